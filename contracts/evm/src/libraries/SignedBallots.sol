// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ECDSA} from "solady/utils/ECDSA.sol";

import {ICollectiveLearning} from "../ICollectiveLearning.sol";
import {ExperimentId} from "../types/ExperimentId.sol";

/// @notice Memory for one ballot at a time:
/// | typehash | experiment | round | learner | approve | voteScore | testScore |, the struct that is hashed, then
/// | "\x19\x01" | separator | hash of the struct |, what is signed.
type BallotPage is uint256;

using SignedBallots for BallotPage global;

/// @notice Ballots signed off-chain (EIP-712), the many of one round.
/// @dev In assembly, because a batch pays ballot by ballot: what its ballots share is written to memory once, and
/// what is hashed of a ballot is what is emitted of it. `abi.encode` would write it all anew, twice.
// solhint-disable no-inline-assembly
library SignedBallots {
    /// @dev Bytes of a ballot in a batch: | learner 20 | approve 1 | voteScore 8 | testScore 8 | r 32 | vs 32 |.
    uint256 internal constant LENGTH = 101;

    bytes32 private constant TYPEHASH = keccak256(
        "Ballot(uint64 experiment,uint32 round,address learner,bool approve,uint64 voteScore,uint64 testScore)"
    );

    /// @notice Where a batch begins and ends in the calldata.
    function span(bytes calldata batch) internal pure returns (uint256 begin, uint256 end) {
        assembly ("memory-safe") {
            begin := batch.offset
            end := add(begin, batch.length)
        }
    }

    /// @notice Where the ballot after one begins.
    function next(uint256 at) internal pure returns (uint256) {
        unchecked {
            return at + LENGTH;
        }
    }

    /// @notice A page with what the ballots of a round share.
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

    /// @notice Puts a ballot on the page, and tells whether its learner signed it.
    /// @param at Where it is in the calldata.
    /// @dev The compact form has no room for a signature's malleable twin: its `s` takes 256 bits. Of each word only
    /// the low bytes are copied; the page's high ones stay zero.
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

    /// @notice Whether the ballot on the page approves.
    function approves(BallotPage self) internal pure returns (bool approve) {
        assembly ("memory-safe") {
            approve := mload(add(self, 0x80))
        }
    }

    /// @notice Emits `VoteCast` of the ballot on the page.
    function emitVoteCast(BallotPage self, ExperimentId id, uint32 round) internal {
        bytes32 topic = ICollectiveLearning.VoteCast.selector;
        assembly ("memory-safe") {
            log3(add(self, 0x60), 0x80, topic, id, round)
        }
    }
}
