// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Test} from "forge-std/Test.sol";

import {Member, MemberWords} from "../../src/types/Member.sol";

/// @notice The packed member: every value comes back as it went in, and no field touches its neighbours.
contract MemberTest is Test {
    function testFuzz_begin_keepsItsArguments(uint32 index, uint16 position, uint32 from, uint32 misses)
        public
        pure
    {
        Member m = MemberWords.begin(index, position, from, misses);
        _assertMember(m, index, position, from, type(uint32).max);
        assertEq(m.base(), misses);
        assertEq(m.missed(), 0);
        assertTrue(m.hasJoined() && m.isClear(misses) && !m.hasLeft());
    }

    function test_zeroWord_isNobody() public pure {
        assertFalse(Member.wrap(0).hasJoined());
    }

    function testFuzz_at_movesThePositionOnly(uint16 position) public pure {
        Member m = _sample();
        _assertMember(m.at(position), 1, position, 3, type(uint32).max);
        assertEq(m.at(position).base(), 4);
    }

    function testFuzz_until_endsTheElectorateOnly(uint32 until) public pure {
        Member m = _sample().until(until);
        _assertMember(m, 1, 2, 3, until);
        assertEq(m.base(), 4);
        assertEq(m.hasLeft(), until != type(uint32).max);
    }

    function testFuzz_withMissed_setsTheMissedProposalsOnly(uint32 missed) public pure {
        vm.assume(missed > 0);
        Member m = _sample().withMissed(missed);
        _assertMember(m, 1, 2, 3, type(uint32).max);
        assertEq(m.missed(), missed);
        assertEq(m.base(), 4);
        assertFalse(m.isClear(4));
    }

    function testFuzz_cleared_removesAllStrikes(uint32 missed, uint32 misses) public pure {
        Member m = _sample().withMissed(missed).cleared(misses);
        _assertMember(m, 1, 2, 3, type(uint32).max);
        assertTrue(m.isClear(misses));
        assertEq(m.base(), misses);
        assertEq(m.missed(), 0);
    }

    function testFuzz_isClear_needsTheSameBase(uint32 base, uint32 misses) public pure {
        assertEq(MemberWords.begin(1, 2, 3, base).isClear(misses), base == misses);
    }

    function testFuzz_withProposal_changesNothingElse(uint32 round) public pure {
        vm.assume(round < type(uint32).max);
        Member m = _sample().withProposal(round);
        _assertMember(m, 1, 2, 3, type(uint32).max);
        assertTrue(m.isClear(4));
    }

    /// @dev Compared with the sentence of the protocol.
    function testFuzz_hasVote_isTheElectorateButTheProposer(
        uint32 from,
        uint32 until,
        uint32 proposed,
        uint32 round
    ) public pure {
        from = uint32(bound(from, 0, 20));
        until = uint32(bound(until, from, 21));
        proposed = uint32(bound(proposed, 0, 20));
        round = uint32(bound(round, 0, 20));
        Member m = MemberWords.begin(0, 0, from, 0).until(until).withProposal(proposed);
        assertEq(m.isInElectorate(round), from <= round && round < until);
        assertEq(m.hasVote(round), from <= round && round < until && round != proposed);
        assertFalse(Member.wrap(0).hasVote(round));
    }

    function test_hasVote_atTheEndsOfTheRange() public pure {
        uint32 last = type(uint32).max - 1;
        Member m = MemberWords.begin(0, 0, last, 0);
        assertTrue(m.hasVote(last));
        assertFalse(m.hasVote(last - 1));
        assertFalse(m.hasVote(0));
        assertTrue(MemberWords.begin(0, 0, 0, 0).hasVote(0));
    }

    /// @dev The layout in the comment of `Member`.
    function test_layout_isTheDocumentedOne() public pure {
        Member m = MemberWords.begin(0x11223344, 0x5566, 0x778899aa, 7).until(0xbbccddee).withProposal(0x0f)
            .cleared(0x01020304).withMissed(0x05060708);
        uint256 expected = uint256(0x11223344) | uint256(0x5566) << 32 | uint256(0x778899aa) << 48
            | uint256(0xbbccddee) << 80 | uint256(0x10) << 112 | uint256(0x01020304) << 144
            | uint256(0x05060708) << 176 | uint256(1) << 208;
        assertEq(Member.unwrap(m), expected);
    }

    function _sample() private pure returns (Member) {
        return MemberWords.begin(1, 2, 3, 4);
    }

    function _assertMember(Member m, uint32 index, uint16 position, uint32 from, uint32 until) private pure {
        assertEq(m.index(), index);
        assertEq(m.position(), position);
        assertEq(m.fromRound(), from);
        assertEq(m.untilRound(), until);
    }
}
