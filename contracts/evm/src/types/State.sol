// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Status} from "./Enums.sol";
import {Member} from "./Member.sol";
import {Params} from "./Params.sol";
import {Tally} from "./Tally.sol";

/// @notice The state of a round.
/// @dev | tally | = slot 0
/// | proposer 160 | eligible 16 | startedAt 40 | commitments 16 | = slot 1
/// | digest | = slot 2, | sha256 | = slot 3
/// | size 64 | proposedAt 40 | revealStartedAt 40 | codec 8 | = slot 4
/// | salts | = slot 5, the XOR of the revealed salts, kept with random selection only
/// ballots: for learners with index >= 64, 128 per word, keys from 1: bit 2k voted, bit 2k + 1 approved.
struct RoundState {
    Tally tally;
    address proposer;
    uint16 eligible;
    uint40 startedAt;
    uint16 commitments;
    bytes32 digest;
    bytes32 sha256Hash;
    uint64 size;
    uint40 proposedAt;
    uint40 revealStartedAt;
    uint8 codec;
    bytes32 salts;
    mapping(uint256 key => uint256 word) ballots;
    mapping(address learner => bytes32) pledges;
}

/// @notice The state of an experiment.
/// @dev | creator 160 | createdAt 40 | status 8 | round 32 | = slot 0
/// | misses 32 | currentRound 32 | joinedLearners 32 | activeLearners 16 | position 16 | startedAt 40 |
/// endedAt 40 | = slot 1
/// round: the current round. misses: rounds whose vote was closed by deadline. currentRound: the round that
/// accepted the current weights, plus one. position: where the last proposer was selected.
/// votesMissed: the round of the k-th miss, from which a learner's first miss after its base follows.
struct ExperimentState {
    address creator;
    uint40 createdAt;
    Status status;
    uint32 round;
    uint32 misses;
    uint32 currentRound;
    uint32 joinedLearners;
    uint16 activeLearners;
    uint16 position;
    uint40 startedAt;
    uint40 endedAt;
    bytes32 seed;
    Params params;
    mapping(address account => bool) admitted;
    mapping(address account => Member) members;
    mapping(address account => bytes32) encryptionKeys;
    mapping(uint256 index => address) roster;
    mapping(uint256 position => address) active;
    mapping(uint256 round => RoundState) roundAt;
    mapping(uint256 miss => uint32 round) votesMissed;
}
