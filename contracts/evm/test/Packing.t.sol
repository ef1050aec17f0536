// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Test} from "forge-std/Test.sol";

import {Utf8} from "../src/libraries/Utf8.sol";
import {Member, PackedMember} from "../src/types/Member.sol";
import {PackedTally, Stage, Tally} from "../src/types/Tally.sol";

/// @notice Pins the layout of the packed slots, and the well-formedness of UTF-8.
contract PackingTest is Test {
    function testFuzz_a_tally_survives_its_slot(uint256 bits, uint8 stage) public pure {
        bits = bits & ((1 << 232) - 1) | bound(stage, 0, uint8(type(Stage).max)) << 232 | bits >> 254 << 240;
        assertEq(PackedTally.unwrap(PackedTally.wrap(bits).unpack().pack()), bits);
    }

    function testFuzz_a_member_survives_its_slot(Member memory member) public pure {
        assertEq(abi.encode(member.pack().unpack()), abi.encode(member));
    }

    function test_layout_of_a_tally() public pure {
        Tally memory t = Tally(1, 2, 3, 4, 5, 6, Stage.Voting, true, true);
        uint256 bits = 1 | 2 << 64 | 3 << 128 | 4 << 168 | 5 << 200 | 6 << 216 | 2 << 232 | 1 << 240;
        assertEq(PackedTally.unwrap(t.pack()), bits | 1 << 241);
    }

    function test_layout_of_a_member() public pure {
        Member memory m = Member(1, 2, 3, 4, 5, 6, 7, true);
        uint256 bits = 1 | 2 << 32 | 3 << 48 | 4 << 80 | 5 << 112 | 6 << 144 | 7 << 176 | 1 << 208;
        assertEq(PackedMember.unwrap(m.pack()), bits);
    }

    function test_utf8() public pure {
        assertTrue(Utf8.isWellFormed(unicode"Brustkrebs · 乳がん · 🩺"));
        bytes[8] memory bad =
            [bytes(hex"80"), hex"c0af", hex"e08080", hex"eda080", hex"f4908080", hex"f8", hex"e282", hex"c3"];
        for (uint256 i = 0; i < bad.length; ++i) {
            assertFalse(Utf8.isWellFormed(bad[i]));
        }
    }
}
