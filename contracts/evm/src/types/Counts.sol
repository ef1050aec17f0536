// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @notice The approvals of each slot: sixteen counts of 14 bits, lowest bits first.
/// @dev A count cannot overflow: it is at most 9,999, because nobody approves its own proposal.
type Counts is uint256;

using CountWords for Counts global;

/// @notice Reads counts and derives changed ones. A set of slots is a bitmap.
library CountWords {
    uint256 private constant WIDTH = 14;
    uint256 private constant MASK = (1 << WIDTH) - 1;

    // The masks of `plus`: groups of 8, 4, 2 and 1 bits, each group where its slots' counts are.
    uint256 private constant EIGHTS = 0xff | 0xff << (8 * WIDTH);
    uint256 private constant FOURS = 0xf | 0xf << (4 * WIDTH) | 0xf << (8 * WIDTH) | 0xf << (12 * WIDTH);
    uint256 private constant TWOS = 0x3 * EVERY_SECOND;
    uint256 private constant ONES = EVERY_SECOND | EVERY_SECOND << WIDTH;
    uint256 private constant EVERY_SECOND = ((1 << (16 * WIDTH)) - 1) / ((1 << (2 * WIDTH)) - 1);

    /// @notice Returns the count of a slot.
    function at(Counts self, uint256 slot) internal pure returns (uint16) {
        unchecked {
            return uint16((Counts.unwrap(self) >> (WIDTH * slot)) & MASK);
        }
    }

    /// @notice Returns the counts with one more in each slot of a set.
    /// @dev Spreads bit i to bit 14 * i: upper halves of ever smaller groups move up to their counts.
    function plus(Counts self, uint256 slots) internal pure returns (Counts) {
        unchecked {
            slots = (slots | slots << (8 * (WIDTH - 1))) & EIGHTS;
            slots = (slots | slots << (4 * (WIDTH - 1))) & FOURS;
            slots = (slots | slots << (2 * (WIDTH - 1))) & TWOS;
            slots = (slots | slots << (WIDTH - 1)) & ONES;
            return Counts.wrap(Counts.unwrap(self) + slots);
        }
    }

    /// @notice Returns the slots of a set whose count is at least `least`.
    function reaching(Counts self, uint256 slots, uint256 least) internal pure returns (uint256 reached) {
        unchecked {
            uint256 counts = Counts.unwrap(self);
            for (uint256 bit = 1; bit <= slots; bit <<= 1) {
                if (slots & bit != 0 && counts & MASK >= least) reached |= bit;
                counts >>= WIDTH;
            }
        }
    }

    /// @notice Returns the slot with the highest count of a set, the lowest slot if several have as many, as a set.
    function highest(Counts self, uint256 slots) internal pure returns (uint256 best) {
        unchecked {
            uint256 counts = Counts.unwrap(self);
            uint256 most;
            for (uint256 bit = 1; bit <= slots; bit <<= 1) {
                if (slots & bit != 0 && (best == 0 || counts & MASK > most)) {
                    best = bit;
                    most = counts & MASK;
                }
                counts >>= WIDTH;
            }
        }
    }
}
