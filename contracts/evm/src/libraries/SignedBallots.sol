// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ECDSA} from "solady/utils/ECDSA.sol";

import {ICollectiveLearningCalls} from "../ICollectiveLearning.sol";
import {ExperimentId} from "../types/ExperimentId.sol";

/// @notice A memory area that contains one ballot at a time:
/// | typehash | experiment | round | learner | proposals | approvals | hash of the scores |, the EIP-712 struct, then
/// | "\x19\x01" | separator | hash of the struct |, the signed message, then
/// | approvals | offset of the scores | length of the scores | scores |, the data of the event.
type BallotPage is uint256;

using SignedBallots for BallotPage global;

/// @notice Reads a batch of ballots of one round that learners signed off-chain (EIP-712).
/// @dev In assembly, because every ballot of a batch costs gas: the fields that all ballots share are written to
/// memory once, and the same bytes are hashed and emitted. `abi.encode` would write everything twice per ballot.
// solhint-disable no-inline-assembly
library SignedBallots {
    /// @dev The length of a ballot in a batch without its scores: | learner 20 | approvals 2 | then scores, then
    /// | r 32 | vs 32 |.
    uint256 internal constant LENGTH = 86;

    bytes32 private constant TYPEHASH = keccak256(
        "Ballot(uint64 experiment,uint32 round,address learner,bytes32 proposals,uint16 approvals,bytes scores)"
    );

    // Offsets on a page.
    uint256 private constant MESSAGE = 0xe0;
    uint256 private constant DATA = 0x140;
    uint256 private constant SCORES = 0x1a0;

    /// @notice Returns where a batch begins and ends in the calldata.
    function span(bytes calldata batch) internal pure returns (uint256 begin, uint256 end) {
        assembly ("memory-safe") {
            begin := batch.offset
            end := add(begin, batch.length)
        }
    }

    /// @notice Returns where the next ballot begins.
    function next(uint256 at, uint256 length) internal pure returns (uint256) {
        unchecked {
            return at + length;
        }
    }

    /// @notice Allocates a page and writes the fields that all ballots of a round share.
    /// @param proposals The digest of the proposals.
    /// @param scoresLength The length of each ballot's scores in bytes, at least 32.
    /// @dev The end of the last word stays zero, as in any encoded event.
    function page(bytes32 separator, ExperimentId id, uint32 round, bytes32 proposals, uint256 scoresLength)
        internal
        pure
        returns (BallotPage at)
    {
        bytes32 typehash = TYPEHASH;
        assembly ("memory-safe") {
            at := mload(0x40)
            let end := add(add(at, SCORES), and(add(scoresLength, 31), not(31)))
            mstore(0x40, end)
            mstore(sub(end, 0x20), 0)
            mstore(at, typehash)
            mstore(add(at, 0x20), id)
            mstore(add(at, 0x40), round)
            mstore(add(at, 0x80), proposals)
            mstore(add(at, MESSAGE), hex"1901")
            mstore(add(at, add(MESSAGE, 2)), separator)
            mstore(add(at, add(DATA, 0x20)), 0x40)
            mstore(add(at, add(DATA, 0x40)), scoresLength)
        }
    }

    /// @notice Copies a ballot to the page and returns whether its learner signed it.
    /// @param at The ballot's offset in the calldata.
    /// @dev The compact form cannot express a signature's malleable twin, whose `s` needs 256 bits.
    function read(BallotPage self, uint256 at)
        internal
        view
        returns (address learner, uint256 approvals, bool isSigned)
    {
        bytes32 digest;
        bytes32 r;
        bytes32 vs;
        assembly ("memory-safe") {
            learner := shr(96, calldataload(at))
            approvals := shr(240, calldataload(add(at, 20)))
            mstore(add(self, 0x60), learner)
            mstore(add(self, 0xa0), approvals)
            mstore(add(self, DATA), approvals)
            let length := mload(add(self, add(DATA, 0x40)))
            let scores := add(self, SCORES)
            calldatacopy(scores, add(at, 22), length)
            mstore(add(self, 0xc0), keccak256(scores, length))
            at := add(add(at, 22), length)
            r := calldataload(at)
            vs := calldataload(add(at, 32))
            mstore(add(self, add(MESSAGE, 0x22)), keccak256(self, MESSAGE))
            digest := keccak256(add(self, MESSAGE), 0x42)
        }
        address signer = ECDSA.tryRecover(digest, r, vs);
        assembly ("memory-safe") {
            isSigned := mul(eq(signer, learner), iszero(iszero(learner)))
        }
    }

    /// @notice Emits `VoteCast` for the ballot on the page.
    function emitVoteCast(BallotPage self, ExperimentId id, uint32 round, address learner) internal {
        bytes32 topic = ICollectiveLearningCalls.VoteCast.selector;
        assembly ("memory-safe") {
            let length := mload(add(self, add(DATA, 0x40)))
            let size := and(add(length, add(sub(SCORES, DATA), 31)), not(31))
            log4(add(self, DATA), size, topic, id, round, learner)
        }
    }
}
