// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Selection} from "../types/Enums.sol";
import {ExperimentState} from "../types/State.sol";
import {Members} from "./Members.sol";

/// @notice Selects the proposers of a round from the active list.
/// @dev The cost grows with the number of proposers, never with the length of the list.
library Selections {
    using Members for ExperimentState;

    /// @notice Selects this many members, at most all, and moves the cursor.
    /// @return accounts Their accounts, in order of selection.
    /// @return first The indexes of the first eight, 32 bits each, lowest bits first.
    /// @return second The indexes of the others.
    function select(ExperimentState storage self, uint256 count)
        internal
        returns (address[] memory accounts, uint256 first, uint256 second)
    {
        accounts = new address[](count);
        bool isRandom = self.params.selection == Selection.Random;
        uint256 length = self.activeLearners;
        uint256 end = length;
        uint256 cursor = self.cursor;
        for (uint256 slot = 0; slot < count; ++slot) {
            if (cursor >= length) {
                cursor = isRandom ? 0 : cursor % length;
                end = length - slot;
            }
            if (isRandom) _draw(self, slot, cursor, end);
            uint32 index = self.activeAt(cursor);
            accounts[slot] = self.roster[index].account;
            if (slot < 8) first |= uint256(index) << (32 * slot);
            else second |= uint256(index) << (32 * (slot - 8));
            ++cursor;
        }
        self.cursor = uint16(cursor);
    }

    /// @dev Draws one of the members at the positions from `drawn` to `end`, and moves it to the position `drawn`. The
    /// members before `drawn` were drawn in this cycle. A cycle that begins within the round leaves out the members
    /// that were drawn for the round before; they have the positions from `end` on.
    function _draw(ExperimentState storage self, uint256 slot, uint256 drawn, uint256 end) private {
        uint256 hash = uint256(sha256(abi.encodePacked(self.seed, uint8(slot))));
        uint256 position = drawn + hash % (end - drawn);
        if (position == drawn) return;
        uint32 chosen = self.activeAt(position);
        self.place(self.activeAt(drawn), position);
        self.place(chosen, drawn);
    }
}
