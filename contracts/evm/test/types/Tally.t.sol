// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Test} from "forge-std/Test.sol";

import {Stage, Tallies, Tally} from "../../src/types/Tally.sol";

/// @notice The packed tally: every value comes back as it went in, and no field touches its neighbours.
contract TallyTest is Test {
    function testFuzz_begin_keepsItsArguments(
        uint8 slots,
        uint16 eligible,
        uint16 needed,
        uint32 misses,
        uint40 deadline
    ) public pure {
        slots = uint8(bound(slots, 1, 16));
        eligible = uint16(bound(eligible, 1, 9_999));
        needed = uint16(bound(needed, 1, 9_999));
        Tally t = Tallies.begin(slots, eligible, needed, misses, deadline);
        assertEq(t.slots(), slots);
        assertEq(t.isPlural(), slots > 1);
        assertEq(t.outstanding(), eligible);
        if (slots > 1) assertEq(t.pluralEligible(), eligible);
        assertEq(t.needed(), needed);
        assertEq(t.misses(), misses);
        assertEq(t.time(), deadline);
        assertEq(uint8(t.stage()), uint8(Stage.Proposing));
        assertEq(t.proposed(), 0);
        assertEq(t.open(), (1 << slots) - 1);
        assertFalse(t.settlesEarly() || t.picksBest() || t.isByDeadline());
    }

    function testFuzz_withRules_setsTwoBits(uint256 bits, bool early, bool best) public pure {
        bits &= ~(uint256(1) << 251 | uint256(1) << 253);
        Tally t = Tally.wrap(bits).withRules(early, best);
        assertEq(t.settlesEarly(), early);
        assertEq(t.picksBest(), best);
        assertEq(Tally.unwrap(t) & ~(uint256(1) << 251 | uint256(1) << 253), bits);
    }

    // ------------------------------------------------------------------ classic rounds

    function testFuzz_begin_recordsNoBallot(uint40 deadline, uint32 misses, uint8 index) public pure {
        Tally t = Tallies.begin(1, 9_999, 1, misses, deadline);
        assertFalse(t.hasVoted(index % 64));
        assertFalse(t.hasApproved(index % 64));
    }

    /// @dev Compared with a naive count.
    function testFuzz_withBallot_countsEachLearnerSeparately(uint64 voted, uint64 approved) public pure {
        Tally t = Tallies.begin(1, 64, 3, 2, 1).withRules(true, false);
        approved &= voted;
        uint16 approvals;
        uint16 outstanding = 64;
        for (uint256 i = 0; i < 64; ++i) {
            if (voted & 1 << i == 0) continue;
            bool approve = approved & 1 << i != 0;
            t = t.withBallot(i, approve ? 1 : 0);
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

    function testFuzz_withCount_changesTheCountsOnly(uint16 voters, bool approve) public pure {
        voters = uint16(bound(voters, 1, 9_999));
        Tally t = Tallies.begin(1, voters, 3, 2, 1).withCount(approve ? 1 : 0);
        _assertTally(t, approve ? 1 : 0, voters - 1, 1, Stage.Proposing);
        assertEq(t.misses(), 2);
        assertEq(t.needed(), 3);
        assertFalse(t.hasVoted(0));
    }

    function testFuzz_withOutstanding_replacesThatCountOnly(uint16 voters, uint16 outstanding) public pure {
        voters = uint16(bound(voters, 1, 9_999));
        outstanding = uint16(bound(outstanding, 0, 9_999));
        Tally t = Tallies.begin(1, voters, 3, 2, 1).withCount(1).withOutstanding(outstanding);
        _assertTally(t, 1, outstanding, 1, Stage.Proposing);
        assertEq(t.needed(), 3);
        assertEq(t.misses(), 2);
    }

    function testFuzz_at_replacesStageAndTimeOnly(uint8 from, uint8 to, uint40 time) public pure {
        Stage first = Stage(bound(from, 0, uint8(type(Stage).max)));
        Stage second = Stage(bound(to, 0, uint8(type(Stage).max)));
        Tally t = Tallies.begin(1, 5, 3, 2, 9).withRules(true, true).withBallot(7, 1);
        t = t.at(first, type(uint40).max).at(second, time).byDeadline();
        _assertTally(t, 1, 4, time, second);
        assertTrue(t.isByDeadline() && t.settlesEarly() && t.picksBest() && t.hasApproved(7));
        assertEq(t.misses(), 2);
        assertEq(t.needed(), 3);
    }

    function testFuzz_byDeadline_setsOneBit(uint256 bits) public pure {
        Tally t = Tally.wrap(bits).byDeadline();
        assertTrue(t.isByDeadline());
        assertEq(Tally.unwrap(t) & ~(uint256(1) << 252), bits & ~(uint256(1) << 252));
    }

    /// @dev A classic round has no bits for its slot: its stage tells what became of it.
    function test_classicSlot_followsFromTheStage() public pure {
        Tally t = Tallies.begin(1, 5, 3, 2, 9);
        for (uint8 i = 1; i <= uint8(type(Stage).max); ++i) {
            Stage stage = Stage(i);
            bool hasProposal = stage == Stage.Voting || stage == Stage.Committing || stage == Stage.Revealing
                || stage == Stage.Accepted || stage == Stage.Rejected;
            assertEq(t.at(stage, 9).proposed(), hasProposal ? 1 : 0);
            bool isOpen = stage == Stage.Proposing || stage == Stage.Abandoned;
            assertEq(t.at(stage, 9).open(), isOpen ? 1 : 0);
            assertEq(t.at(stage, 9).judged(), 1);
            assertTrue(t.at(stage, 9).isAt(stage));
            assertFalse(t.at(Stage.None, 9).isAt(stage));
        }
        assertEq(t.at(Stage.NoProposal, 9).byDeadline().open(), 1);
    }

    // ------------------------------------------------------------------ plural rounds

    function testFuzz_slots_areProposedOrDeclinedSeparately(uint8 slots, uint16 proposed, uint16 declined)
        public
        pure
    {
        slots = uint8(bound(slots, 2, 16));
        uint256 all = (1 << slots) - 1;
        Tally t = Tallies.begin(slots, 9_999, 3, 2, 9);
        uint256 before = Tally.unwrap(t) >> 32;
        for (uint256 slot = 0; slot < slots; ++slot) {
            if ((proposed >> slot) & 1 == 1) t = t.withProposal(slot);
            else if ((declined >> slot) & 1 == 1) t = t.withDecline(slot);
        }
        assertEq(t.proposed(), proposed & all);
        assertEq(t.judged(), proposed & all);
        assertEq(t.open(), all & ~uint256(proposed | declined));
        assertEq(Tally.unwrap(t) >> 32, before);
    }

    function testFuzz_times_areKeptApart(uint40 voting, uint40 revealing, uint16 commitments) public pure {
        commitments = uint16(bound(commitments, 0, 10_000));
        Tally t = Tallies.begin(16, 9_999, 3, 2, 9).withProposal(15).withVotingStarted(voting);
        t = t.withRevealStarted(revealing).withCommitments(commitments).withOneLess();
        assertEq(t.votingStartedAt(), voting);
        assertEq(t.pluralRevealStartedAt(), revealing);
        assertEq(t.pluralCommitments(), commitments);
        assertEq(t.pluralEligible(), 9_999);
        assertEq(t.outstanding(), 9_998);
        assertEq(t.proposed(), 1 << 15);
        assertEq(t.open(), (1 << 15) - 1);
        assertEq(t.needed(), 3);
        assertEq(t.time(), 9);
    }

    // ------------------------------------------------------------------ layout

    /// @dev The layout in the comment of `Tally`.
    function test_layout_isTheDocumentedOne() public pure {
        Tally t = Tallies.begin(1, 0x1abb, 0x0cdd, 0x66778899, 0x1122334455).withRules(true, true);
        t = t.withBallot(0, 1).at(Stage.Abandoned, 0x1122334455).byDeadline();
        uint256 shared = uint256(0x1122334455) << 128 | uint256(0x66778899) << 168 | uint256(0x0cdd) << 228
            | uint256(8) << 247 | uint256(7) << 251;
        uint256 classic =
            1 | uint256(1) << 64 | uint256(1) << 200 | uint256(0x1aba) << 214 | uint256(1) << 242;
        assertEq(Tally.unwrap(t), shared | classic);

        t = Tallies.begin(3, 0x1abb, 0x0cdd, 0x66778899, 0x1122334455).withRules(true, true).withProposal(2);
        t = t.withVotingStarted(0xa1a2a3a4a5).withRevealStarted(0xb1b2b3b4b5).withCommitments(0x0123);
        t = t.at(Stage.Abandoned, 0x1122334455).byDeadline();
        uint256 plural = 4 | uint256(3) << 16 | uint256(0x1abb) << 32 | uint256(0xa1a2a3a4a5) << 46
            | uint256(0xb1b2b3b4b5) << 86 | uint256(0x0123) << 200 | uint256(0x1abb) << 214 | uint256(3)
            << 242;
        assertEq(Tally.unwrap(t), shared | plural);
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
}
