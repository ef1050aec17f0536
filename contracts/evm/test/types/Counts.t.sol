// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Test} from "forge-std/Test.sol";

import {Counts} from "../../src/types/Counts.sol";

/// @notice Sixteen counts in a word, compared with an array.
contract CountsTest is Test {
    function testFuzz_plus_countsEachSlotSeparately(uint256 seed) public pure {
        Counts counts;
        uint16[16] memory naive;
        for (uint256 k = 0; k < 40; ++k) {
            uint16 slots = uint16(uint256(keccak256(abi.encode(seed, k))));
            counts = counts.plus(slots);
            for (uint256 slot = 0; slot < 16; ++slot) {
                if ((slots >> slot) & 1 == 1) ++naive[slot];
            }
        }
        for (uint256 slot = 0; slot < 16; ++slot) {
            assertEq(counts.at(slot), naive[slot]);
        }
    }

    /// @dev The highest count of a learner's peers.
    function test_plus_keepsCountsUpTo9999Apart() public pure {
        Counts counts;
        for (uint256 k = 0; k < 9_999; ++k) {
            counts = counts.plus(0x5555);
        }
        for (uint256 slot = 0; slot < 16; ++slot) {
            assertEq(counts.at(slot), slot % 2 == 0 ? 9_999 : 0);
        }
    }

    function testFuzz_reaching_comparesEveryCount(uint256 bits, uint16 slots, uint16 least) public pure {
        Counts counts = _counts(bits);
        least = uint16(bound(least, 0, 10_000));
        uint256 reached = counts.reaching(slots, least);
        for (uint256 slot = 0; slot < 16; ++slot) {
            bool expected = (slots >> slot) & 1 == 1 && counts.at(slot) >= least;
            assertEq((reached >> slot) & 1 == 1, expected);
        }
        assertEq(reached >> 16, 0);
    }

    function testFuzz_highest_isTheLowestSlotWithTheMost(uint256 bits, uint16 slots, uint8 range)
        public
        pure
    {
        Counts counts = _small(bits, uint16(bound(range, 1, 5)));
        uint256 best = counts.highest(slots);
        if (slots == 0) {
            assertEq(best, 0);
            return;
        }
        uint256 wanted = 16;
        for (uint256 slot = 0; slot < 16; ++slot) {
            if ((slots >> slot) & 1 == 0) continue;
            if (wanted == 16 || counts.at(slot) > counts.at(wanted)) wanted = slot;
        }
        assertEq(best, 1 << wanted);
    }

    function _counts(uint256 bits) private pure returns (Counts) {
        return Counts.wrap(bits & ((1 << 224) - 1));
    }

    /// @dev Counts below `range`, so that some are equal.
    function _small(uint256 seed, uint16 range) private pure returns (Counts) {
        uint256 bits;
        for (uint256 slot = 0; slot < 16; ++slot) {
            bits |= (uint256(keccak256(abi.encode(seed, slot))) % range) << (14 * slot);
        }
        return Counts.wrap(bits);
    }
}
