// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {LibBit} from "solady/utils/LibBit.sol";

import {ContentRef} from "../types/ContentRef.sol";
import {RoundState, SlotContent} from "../types/State.sol";
import {Tally} from "../types/Tally.sol";
import {Rounds} from "./Rounds.sol";

/// @notice The proposers of a round and what they proposed.
library Proposals {
    /// @notice The value of `openSlotOf` for a learner without an open slot.
    uint256 internal constant NO_SLOT = type(uint256).max;

    // ------------------------------------------------------------------ proposers

    /// @notice Returns the index of the learner in a slot.
    function proposerAt(RoundState storage self, uint256 slot) internal view returns (uint32) {
        return uint32(self.proposers[slot / 8] >> (32 * (slot % 8)));
    }

    /// @notice Returns the open slot of a learner, or NO_SLOT.
    function openSlotOf(RoundState storage self, Tally tally, uint32 index) internal view returns (uint256) {
        uint256 open = tally.open();
        uint256 word;
        for (uint256 slot = 0; open >> slot != 0; ++slot) {
            if (slot % 8 == 0) word = self.proposers[slot / 8];
            if (uint32(word) == index && (open >> slot) & 1 == 1) return slot;
            word >>= 32;
        }
        return NO_SLOT;
    }

    /// @notice Returns whether a learner made the round's only proposal, on which it has no vote.
    function isOnlyProposer(RoundState storage self, uint32 index) internal view returns (bool) {
        uint256 proposed = self.tally.proposed();
        if (proposed == 0 || !Rounds.isSingle(proposed)) return false;
        return proposerAt(self, LibBit.ffs(proposed)) == index;
    }

    // ------------------------------------------------------------------ content

    /// @notice Writes the content proposed in a slot.
    function setContent(RoundState storage self, uint256 slot, ContentRef calldata proposed) internal {
        SlotContent storage content = self.contents[slot];
        content.digest = proposed.digest;
        content.sha256Hash = proposed.sha256Hash;
        content.size = proposed.size;
        content.proposedAt = uint40(block.timestamp);
        content.codec = proposed.codec;
    }

    /// @notice Returns the content proposed in a slot; empty if there is none.
    function contentAt(RoundState storage self, uint256 slot) internal view returns (ContentRef memory) {
        SlotContent storage content = self.contents[slot];
        return ContentRef(content.codec, content.digest, content.sha256Hash, content.size);
    }

    /// @notice Returns the length of a ballot's scores in bytes: a vote and a test score for the current weights and
    /// for each proposal.
    function scoresLength(uint256 proposed) internal pure returns (uint256) {
        return Rounds.isSingle(proposed) ? 32 : 16 * (1 + LibBit.popCount(proposed));
    }

    // ------------------------------------------------------------------ digest

    /// @notice Returns the digest that names the proposals, from voting on.
    function digestOf(RoundState storage self, Tally tally) internal view returns (bytes32) {
        return tally.isPlural() ? self.proposals : self.contents[0].sha256Hash;
    }

    /// @notice Returns the digest of the proposals in a set of slots: the sha256 of the only file, or else sha256 over
    /// | slot 1 | sha256 32 | of all proposals in slot order.
    function computeDigest(RoundState storage self, uint256 proposed) internal view returns (bytes32) {
        if (Rounds.isSingle(proposed)) return self.contents[LibBit.ffs(proposed)].sha256Hash;
        bytes memory list = new bytes(33 * LibBit.popCount(proposed));
        uint256 at;
        // solhint-disable-next-line no-inline-assembly
        assembly ("memory-safe") {
            at := add(list, 0x20)
        }
        for (uint256 slot = 0; proposed >> slot != 0; ++slot) {
            if ((proposed >> slot) & 1 == 0) continue;
            bytes32 hash = self.contents[slot].sha256Hash;
            // solhint-disable-next-line no-inline-assembly
            assembly ("memory-safe") {
                mstore8(at, slot)
                mstore(add(at, 1), hash)
                at := add(at, 33)
            }
        }
        return sha256(list);
    }
}
