// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ECDSA} from "solady/utils/ECDSA.sol";

import {ICollectiveLearningCalls} from "../ICollectiveLearning.sol";
import {ExperimentId} from "../types/ExperimentId.sol";

/// @notice A memory area that contains one ballot at a time:
/// | typehash | experiment | round | learner | approve | voteScore | testScore |, the EIP-712 struct, then
/// | "\x19\x01" | separator | hash of the struct |, the signed message.
type BallotPage is uint256;

using SignedBallots for BallotPage global;

/// @notice Reads a batch of ballots of one round that learners signed off-chain (EIP-712).
/// @dev In assembly, because every ballot of a batch costs gas: the fields that all ballots share are written to
/// memory once, and the same bytes are hashed and emitted. `abi.encode` would write everything twice per ballot.
// solhint-disable no-inline-assembly
library SignedBallots {
    /// @dev The length of a ballot in a batch, in bytes:
    /// | learner 20 | approve 1 | voteScore 8 | testScore 8 | r 32 | vs 32 |.
    uint256 internal constant LENGTH = 101;

    bytes32 private constant TYPEHASH = keccak256(
        "Ballot(uint64 experiment,uint32 round,address learner,bool approve,uint64 voteScore,uint64 testScore)"
    );

    /// @notice Returns where a batch begins and ends in the calldata.
    function span(bytes calldata batch) internal pure returns (uint256 begin, uint256 end) {
        assembly ("memory-safe") {
            begin := batch.offset
            end := add(begin, batch.length)
        }
    }

    /// @notice Returns where the next ballot begins.
    function next(uint256 at) internal pure returns (uint256) {
        unchecked {
            return at + LENGTH;
        }
    }

    /// @notice Allocates a page and writes the fields that all ballots of a round share.
    function page(bytes32 separator, ExperimentId id, uint32 round) internal pure returns (BallotPage at) {
        bytes32 typehash = TYPEHASH;
        assembly ("memory-safe") {
            at := mload(0x40)
            mstore(0x40, add(at, 0x140))
            mstore(at, typehash)
            mstore(add(at, 0x20), id)
            mstore(add(at, 0x40), round)
            mstore(add(at, 0xe0), hex"1901")
            mstore(add(at, 0xe2), separator)
        }
    }

    /// @notice Copies a ballot to the page and returns whether its learner signed it.
    /// @param at The ballot's offset in the calldata.
    /// @dev The compact form cannot express a signature's malleable twin, whose `s` needs 256 bits. Only the low
    /// bytes of each word are copied; its high bytes stay zero.
    function read(BallotPage self, uint256 at) internal view returns (address learner, bool isSigned) {
        bytes32 digest;
        bytes32 r;
        bytes32 vs;
        assembly ("memory-safe") {
            learner := shr(96, calldataload(at))
            mstore(add(self, 0x60), learner)
            calldatacopy(add(self, 0x9f), add(at, 20), 1)
            calldatacopy(add(self, 0xb8), add(at, 21), 8)
            calldatacopy(add(self, 0xd8), add(at, 29), 8)
            r := calldataload(add(at, 37))
            vs := calldataload(add(at, 69))
            mstore(add(self, 0x102), keccak256(self, 0xe0))
            digest := keccak256(add(self, 0xe0), 0x42)
        }
        address signer = ECDSA.tryRecover(digest, r, vs);
        assembly ("memory-safe") {
            isSigned := and(lt(mload(add(self, 0x80)), 2), and(eq(signer, learner), iszero(iszero(learner))))
        }
    }

    /// @notice Returns whether the ballot on the page approves.
    function approves(BallotPage self) internal pure returns (bool approve) {
        assembly ("memory-safe") {
            approve := mload(add(self, 0x80))
        }
    }

    /// @notice Emits `VoteCast` for the ballot on the page.
    function emitVoteCast(BallotPage self, ExperimentId id, uint32 round) internal {
        bytes32 topic = ICollectiveLearningCalls.VoteCast.selector;
        assembly ("memory-safe") {
            log3(add(self, 0x60), 0x80, topic, id, round)
        }
    }
}
