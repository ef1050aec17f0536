// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Test} from "forge-std/Test.sol";

import {Utf8} from "../src/libraries/Utf8.sol";
import {Member, MemberWords} from "../src/types/Member.sol";
import {Stage, Tallies, Tally} from "../src/types/Tally.sol";

/// @notice The packed slots: every value comes back as it went in, and none touches its neighbours.
contract PackingTest is Test {
    function testFuzz_a_round_begins_with_what_it_was_given(
        uint40 deadline,
        uint32 misses,
        uint16 voters,
        uint16 needed,
        bool early
    ) public pure {
        Tally t = Tallies.begin(deadline, misses, voters, needed, early);
        _assertTally(t, 0, voters, deadline, Stage.Proposing);
        assertEq(t.misses(), misses);
        assertEq(t.needed(), needed);
        assertEq(t.settlesEarly(), early);
        assertFalse(t.isByDeadline());
    }

    /// @dev Against a naive count.
    function testFuzz_ballots_are_counted_each_in_its_own_place(uint64 voted, uint64 approved) public pure {
        Tally t = Tallies.begin(1, 2, 64, 3, true);
        approved &= voted;
        uint16 approvals;
        uint16 outstanding = 64;
        for (uint256 i = 0; i < 64; ++i) {
            if (voted & 1 << i == 0) continue;
            bool approve = approved & 1 << i != 0;
            t = t.withBallot(i, approve);
            --outstanding;
            if (approve) ++approvals;
        }
        for (uint256 i = 0; i < 64; ++i) {
            assertEq(t.hasVoted(i), voted & 1 << i != 0);
            assertEq(t.hasApproved(i), approved & 1 << i != 0);
        }
        _assertTally(t, approvals, outstanding, 1, Stage.Proposing);
        assertEq(t.misses(), 2);
        assertEq(t.needed(), 3);
        assertTrue(t.settlesEarly());
    }

    function testFuzz_counts_move_alone(uint16 voters, uint16 left, bool approve) public pure {
        vm.assume(voters > 0);
        Tally t = Tallies.begin(1, 2, voters, 3, false).withCount(approve);
        _assertTally(t, approve ? 1 : 0, voters - 1, 1, Stage.Proposing);
        _assertTally(t.withOutstanding(left), approve ? 1 : 0, left, 1, Stage.Proposing);
        assertEq(t.withOutstanding(left).needed(), 3);
    }

    function testFuzz_a_stage_follows_a_stage(uint8 from, uint8 to, uint40 time) public pure {
        Stage first = Stage(bound(from, 0, uint8(type(Stage).max)));
        Stage second = Stage(bound(to, 0, uint8(type(Stage).max)));
        Tally t = Tallies.begin(9, 2, 5, 3, true).withBallot(7, true).at(first, type(uint40).max);
        t = t.at(second, time).byDeadline();
        _assertTally(t, 1, 4, time, second);
        assertTrue(t.isByDeadline() && t.settlesEarly() && t.hasApproved(7));
        assertEq(t.misses(), 2);
        assertEq(t.needed(), 3);
    }

    function testFuzz_a_member_keeps_what_it_was_given(
        uint32 index,
        uint16 position,
        uint32 from,
        uint32 misses
    ) public pure {
        Member m = MemberWords.begin(index, position, from, misses);
        _assertMember(m, index, position, from, type(uint32).max);
        assertTrue(m.hasJoined() && m.isClear(misses) && !m.hasLeft());
        assertFalse(Member.wrap(0).hasJoined());
    }

    function testFuzz_a_member_changes_in_one_place(
        uint16 position,
        uint32 until,
        uint32 missed,
        uint32 misses
    ) public pure {
        vm.assume(missed > 0);
        Member m = MemberWords.begin(1, 2, 3, 4);
        _assertMember(m.at(position), 1, position, 3, type(uint32).max);
        _assertMember(m.until(until), 1, 2, 3, until);
        assertEq(m.withMissed(missed).missed(), missed);
        assertEq(m.withMissed(missed).base(), 4);
        assertFalse(m.withMissed(missed).isClear(4));
        assertTrue(m.withMissed(missed).cleared(misses).isClear(misses));
        _assertMember(m.withMissed(missed).cleared(misses), 1, 2, 3, type(uint32).max);
    }

    /// @dev Against the sentence of the protocol.
    function testFuzz_who_has_a_vote(uint32 from, uint32 until, uint32 proposed, uint32 round) public pure {
        from = uint32(bound(from, 0, 20));
        until = uint32(bound(until, from, 21));
        proposed = uint32(bound(proposed, 0, 20));
        round = uint32(bound(round, 0, 20));
        Member m = MemberWords.begin(0, 0, from, 0).until(until).withProposal(proposed);
        assertEq(m.isInElectorate(round), from <= round && round < until);
        assertEq(m.hasVote(round), from <= round && round < until && round != proposed);
        assertFalse(Member.wrap(0).hasVote(round));
    }

    function test_utf8() public pure {
        assertTrue(Utf8.isWellFormed(unicode"Brustkrebs · 乳がん · 🩺"));
        bytes[8] memory bad =
            [bytes(hex"80"), hex"c0af", hex"e08080", hex"eda080", hex"f4908080", hex"f8", hex"e282", hex"c3"];
        for (uint256 i = 0; i < bad.length; ++i) {
            assertFalse(Utf8.isWellFormed(bad[i]));
        }
    }

    function _assertTally(Tally t, uint16 approvals, uint16 outstanding, uint40 time, Stage stage)
        private
        pure
    {
        assertEq(t.approvals(), approvals);
        assertEq(t.outstanding(), outstanding);
        assertEq(t.time(), time);
        assertEq(uint8(t.stage()), uint8(stage));
    }

    function _assertMember(Member m, uint32 index, uint16 position, uint32 from, uint32 until) private pure {
        assertEq(m.index(), index);
        assertEq(m.position(), position);
        assertEq(m.fromRound(), from);
        assertEq(m.untilRound(), until);
    }
}
