// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ContentRef} from "./ContentRef.sol";
import {Admission, Selection, Status} from "./Enums.sol";

/// @notice Where a round is; the last four are outcomes. `Voting` is for open, `Committing` for secret ballots.
enum Stage {
    None,
    Proposing,
    Voting,
    Committing,
    Revealing,
    Accepted,
    Rejected,
    NoProposal,
    Abandoned
}

/// @notice The hot part of a round: one slot, all that casting a ballot reads and writes of it.
/// @dev | voted 64 | approved 64 | time 40 | misses 32 | approvals 16 | outstanding 16 | stage 8 | settleEarly 8 |
/// byDeadline 8 | = 256 bits.
/// voted, approved: ballots of the learners with index < 64; the others are in `RoundState.ballots`.
/// time: the open phase's deadline, the closing time once closed.
/// misses: the experiment's count of votes closed by deadline, when the round began.
/// outstanding: voters who can still act in the phase: without a ballot, a commitment, or a reveal.
struct Tally {
    uint64 voted;
    uint64 approved;
    uint40 time;
    uint32 misses;
    uint16 approvals;
    uint16 outstanding;
    Stage stage;
    bool settleEarly;
    bool byDeadline;
}

/// @notice A round.
/// @dev | tally | = slot 0
/// | proposer 160 | eligible 16 | needed 16 | startedAt 40 | commitments 16 | = slot 1
/// | digest | = slot 2, | sha256 | = slot 3
/// | size 64 | proposedAt 40 | revealStartedAt 40 | codec 8 | = slot 4
/// | salts | = slot 5, the XOR of those revealed, kept with random selection only
/// ballots: for learners with index >= 64, 128 a word: bit 2k voted, bit 2k + 1 approved.
struct RoundState {
    Tally tally;
    address proposer;
    uint16 eligible;
    uint16 needed;
    uint40 startedAt;
    uint16 commitments;
    bytes32 digest;
    bytes32 sha256Hash;
    uint64 size;
    uint40 proposedAt;
    uint40 revealStartedAt;
    uint8 codec;
    bytes32 salts;
    mapping(uint256 word => uint256) ballots;
    mapping(address learner => bytes32) pledges;
}

/// @notice A learner.
/// @dev | index 32 | position 16 | fromRound 32 | untilRound 32 | base 32 | proposed 32 | missed 32 | joined 8 | = slot 0
/// position: in the active list, while active.
/// base: the experiment's misses at its last ballot or proposal; strikes before do not count.
/// proposed: the last round it proposed in, plus one.
/// missed: proposals missed since; after it left, all its strikes.
struct Member {
    uint32 index;
    uint16 position;
    uint32 fromRound;
    uint32 untilRound;
    uint32 base;
    uint32 proposed;
    uint32 missed;
    bool joined;
    bytes32 encryptionKey;
}

/// @notice An experiment.
/// @dev | creator 160 | status 8 | selection 8 | admission 8 | lateJoin 8 | settleEarly 8 | maxStrikes 16 | approvalBps 16 |
/// minLearners 16 | = slot 0
/// | rounds 32 | proposeWindow 32 | voteWindow 32 | revealWindow 32 | createdAt 40 | maxLearners 16 | = slot 1
/// | round 32 | misses 32 | currentRound 32 | joinedLearners 32 | activeLearners 16 | position 16 | startedAt 40 |
/// endedAt 40 | = slot 2
/// round: the current one. misses: rounds whose vote was closed by deadline. currentRound: the round that
/// accepted the current weights, plus one. position: where the last proposer was selected.
/// votesMissed: the round of the k-th miss, which tells a learner's first one after its base.
struct ExperimentState {
    address creator;
    Status status;
    Selection selection;
    Admission admission;
    bool lateJoin;
    bool settleEarly;
    uint16 maxStrikes;
    uint16 approvalBps;
    uint16 minLearners;
    uint32 rounds;
    uint32 proposeWindow;
    uint32 voteWindow;
    uint32 revealWindow;
    uint40 createdAt;
    uint16 maxLearners;
    uint32 round;
    uint32 misses;
    uint32 currentRound;
    uint32 joinedLearners;
    uint16 activeLearners;
    uint16 position;
    uint40 startedAt;
    uint40 endedAt;
    bytes32 seed;
    string name;
    ContentRef spec;
    ContentRef initial;
    mapping(address account => bool) admitted;
    mapping(address account => Member) members;
    mapping(uint256 index => address) roster;
    mapping(uint256 position => address) active;
    mapping(uint256 round => RoundState) roundAt;
    mapping(uint256 miss => uint32 round) votesMissed;
}
