// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Test} from "forge-std/Test.sol";

import {Member, MemberWords} from "../../src/types/Member.sol";

/// @notice The packed member: every value comes back as it went in, and no field touches its neighbours.
contract MemberTest is Test {
    function testFuzz_begin_keepsItsArguments(uint32 index, uint32 from, uint32 misses) public pure {
        Member m = MemberWords.begin(index, from, misses);
        _assertMember(m, index, from, type(uint32).max);
        assertEq(m.base(), misses);
        assertEq(m.kept(), 0);
        assertTrue(m.isActive() && m.isClear(misses));
    }

    function test_zeroWord_isNobody() public pure {
        assertFalse(Member.wrap(0).hasJoined());
        assertFalse(Member.wrap(0).isActive());
    }

    function testFuzz_until_endsTheElectorateOnly(uint32 until) public pure {
        Member m = _sample().until(until);
        _assertMember(m, 1, 3, until);
        assertEq(m.base(), 4);
        assertEq(m.hasLeft(), until != type(uint32).max);
        assertEq(m.isActive(), until == type(uint32).max);
    }

    function testFuzz_withMissedBallots_setsThatCountAndTheBase(uint32 missed, uint32 misses) public pure {
        Member m = _sample().withMissedBallots(missed, misses);
        _assertMember(m, 1, 3, type(uint32).max);
        assertEq(m.kept(), missed);
        assertEq(m.base(), misses);
        assertEq(m.isClear(misses), missed == 0);
    }

    function testFuzz_isClear_needsTheSameBase(uint32 base, uint32 misses) public pure {
        assertEq(MemberWords.begin(1, 3, base).isClear(misses), base == misses);
    }

    function testFuzz_withProposal_recordsRoundAndSlot(uint32 round, uint32 other, uint8 slot) public pure {
        round = uint32(bound(round, 0, type(uint32).max - 2));
        other = uint32(bound(other, 0, type(uint32).max - 2));
        slot = slot % 16;
        Member m = _sample().withMissedBallots(6, 7).withProposal(round, slot);
        _assertMember(m, 1, 3, type(uint32).max);
        assertTrue(m.hasProposed(round));
        assertEq(m.hasProposed(other), other == round);
        assertEq(m.slot(), slot);
        assertEq(m.kept(), 6);
        assertEq(m.base(), 7);
    }

    function test_hasProposed_isFalseBeforeTheFirstProposal() public pure {
        assertFalse(_sample().hasProposed(0));
        assertFalse(_sample().hasProposed(type(uint32).max - 2));
    }

    /// @dev Compared with the sentence of the protocol.
    function testFuzz_isInElectorate_betweenFromAndUntil(uint32 from, uint32 until, uint32 round)
        public
        pure
    {
        from = uint32(bound(from, 0, 20));
        until = uint32(bound(until, from, 21));
        round = uint32(bound(round, 0, 21));
        Member m = MemberWords.begin(0, from, 0).until(until);
        assertEq(m.isInElectorate(round), from <= round && round < until);
        assertFalse(Member.wrap(0).isInElectorate(round));
    }

    function test_isInElectorate_atTheEndsOfTheRange() public pure {
        uint32 last = type(uint32).max - 1;
        Member m = MemberWords.begin(0, last, 0);
        assertTrue(m.isInElectorate(last));
        assertFalse(m.isInElectorate(last - 1));
        assertFalse(m.isInElectorate(0));
        assertTrue(MemberWords.begin(0, 0, 0).isInElectorate(0));
    }

    function testFuzz_judgedSlots_areAllProposalsButItsOwn(uint16 proposed, uint8 slot) public pure {
        slot = slot % 16;
        Member m = MemberWords.begin(1, 3, 0);
        assertEq(m.judgedSlots(5, proposed), proposed);
        assertEq(m.judgedSlots(2, proposed), 0);
        m = m.withProposal(5, slot);
        assertEq(m.judgedSlots(5, proposed), proposed & ~(uint256(1) << slot));
        assertEq(m.judgedSlots(6, proposed), proposed);
        assertEq(m.until(5).judgedSlots(5, proposed), 0);
    }

    /// @dev The layout in the comment of `Member`.
    function test_layout_isTheDocumentedOne() public pure {
        Member m = MemberWords.begin(0x11223344, 0x778899aa, 7).until(0xbbccddee).withProposal(0x0f, 0xd)
            .withMissedBallots(0x01020304, 0x05060708);
        uint256 expected = uint256(0x11223344) | uint256(0x778899aa) << 32 | uint256(0xbbccddee) << 64
            | uint256(0x10) << 96 | uint256(0xd) << 128 | uint256(0x05060708) << 132 | uint256(0x01020304)
            << 164 | uint256(1) << 196;
        assertEq(Member.unwrap(m), expected);
    }

    function _sample() private pure returns (Member) {
        return MemberWords.begin(1, 3, 4);
    }

    function _assertMember(Member m, uint32 index, uint32 from, uint32 until) private pure {
        assertEq(m.index(), index);
        assertEq(m.fromRound(), from);
        assertEq(m.untilRound(), until);
    }
}
