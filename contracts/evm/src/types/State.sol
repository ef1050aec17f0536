// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Counts} from "./Counts.sol";
import {Status} from "./Enums.sol";
import {Member} from "./Member.sol";
import {Params} from "./Params.sol";
import {Tally} from "./Tally.sol";

/// @notice A proposal's content: three slots.
struct SlotContent {
    bytes32 digest;
    bytes32 sha256Hash;
    uint64 size;
    uint40 proposedAt;
    uint8 codec;
}

/// @notice The state of a round.
/// @dev proposers: the learners' indexes, 32 bits each, lowest bits first. A classic round has one, and the rest of the
/// first word is | eligible 16 | commitments 16 | revealStartedAt 40 |, which a plural round has in its tally.
/// counts: the approvals of each slot of a plural round. proposals: their digest, in a plural round.
/// salts: the XOR of the revealed salts, kept with random selection only.
/// ballots: those of a plural round, and of a classic one for learners with index >= 64; see libraries/Rounds.sol.
struct RoundState {
    Tally tally;
    uint256[2] proposers;
    Counts counts;
    bytes32 proposals;
    bytes32 salts;
    SlotContent[16] contents;
    mapping(uint256 key => uint256 word) ballots;
    mapping(address learner => bytes32) pledges;
}

/// @notice A learner in the roster: one slot.
/// @param account Its account.
/// @param position Its position in the active list, while it is active.
/// @param missedProposals The proposals missed since its last one. Here rather than in its member word, because a round
/// has the indexes of its proposers, which lead here.
struct Entry {
    address account;
    uint16 position;
    uint32 missedProposals;
}

/// @notice The state of an experiment.
/// @dev | creator 160 | createdAt 40 | status 8 | round 32 | cancelRequested 8 | = slot 0
/// | misses 32 | currentRound 32 | joinedLearners 32 | activeLearners 16 | cursor 16 | startedAt 40 |
/// endedAt 40 | currentSlots 16 | = slot 1
/// roster: the learners in order of joining. active: the active list, as indexes of 32 bits, eight a word, lowest bits
/// first; what follows its last member has no meaning.
/// round: the current round. misses: rounds whose vote was closed by deadline. currentRound: the round that
/// accepted the current weights, plus one. currentSlots: a bitmap of the slots accepted in it. cursor: with round
/// robin, the position after the last selected one; with random selection, how many are drawn in this cycle.
struct ExperimentState {
    address creator;
    uint40 createdAt;
    Status status;
    uint32 round;
    bool cancelRequested;
    uint32 misses;
    uint32 currentRound;
    uint32 joinedLearners;
    uint16 activeLearners;
    uint16 cursor;
    uint40 startedAt;
    uint40 endedAt;
    uint16 currentSlots;
    bytes32 hash;
    bytes32 seed;
    Params params;
    mapping(address account => bool) admitted;
    mapping(address account => Member) members;
    mapping(address account => bytes32) encryptionKeys;
    mapping(uint256 index => Entry) roster;
    mapping(uint256 key => uint256 word) active;
    mapping(uint256 round => RoundState) roundAt;
}
