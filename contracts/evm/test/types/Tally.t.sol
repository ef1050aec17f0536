// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Test} from "forge-std/Test.sol";

import {Stage, Tallies, Tally} from "../../src/types/Tally.sol";

/// @notice The packed tally: every value comes back as it went in, and no field touches its neighbours.
contract TallyTest is Test {
    function testFuzz_begin_keepsItsArguments(
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

    function testFuzz_begin_recordsNoBallot(uint40 deadline, uint32 misses, uint16 voters, uint8 index)
        public
        pure
    {
        Tally t = Tallies.begin(deadline, misses, voters, 1, true);
        assertFalse(t.hasVoted(index % 64));
        assertFalse(t.hasApproved(index % 64));
    }

    /// @dev Compared with a naive count.
    function testFuzz_withBallot_countsEachLearnerSeparately(uint64 voted, uint64 approved) public pure {
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

    function testFuzz_withCount_changesTheCountsOnly(uint16 voters, bool approve) public pure {
        vm.assume(voters > 0);
        Tally t = Tallies.begin(1, 2, voters, 3, false).withCount(approve);
        _assertTally(t, approve ? 1 : 0, voters - 1, 1, Stage.Proposing);
        assertEq(t.misses(), 2);
        assertEq(t.needed(), 3);
        assertFalse(t.hasVoted(0));
    }

    function testFuzz_withOutstanding_replacesThatCountOnly(uint16 voters, uint16 outstanding) public pure {
        vm.assume(voters > 0);
        Tally t = Tallies.begin(1, 2, voters, 3, false).withCount(true).withOutstanding(outstanding);
        _assertTally(t, 1, outstanding, 1, Stage.Proposing);
        assertEq(t.needed(), 3);
        assertEq(t.misses(), 2);
    }

    function testFuzz_at_replacesStageAndTimeOnly(uint8 from, uint8 to, uint40 time) public pure {
        Stage first = Stage(bound(from, 0, uint8(type(Stage).max)));
        Stage second = Stage(bound(to, 0, uint8(type(Stage).max)));
        Tally t = Tallies.begin(9, 2, 5, 3, true).withBallot(7, true).at(first, type(uint40).max);
        t = t.at(second, time).byDeadline();
        _assertTally(t, 1, 4, time, second);
        assertTrue(t.isByDeadline() && t.settlesEarly() && t.hasApproved(7));
        assertEq(t.misses(), 2);
        assertEq(t.needed(), 3);
    }

    function testFuzz_byDeadline_setsOneBit(uint256 bits) public pure {
        Tally t = Tally.wrap(bits).byDeadline();
        assertTrue(t.isByDeadline());
        assertEq(Tally.unwrap(t) & ~(uint256(1) << 253), bits & ~(uint256(1) << 253));
    }

    /// @dev The layout in the comment of `Tally`, which the EVM adapter and the state readers rely on.
    function test_layout_isTheDocumentedOne() public pure {
        Tally t = Tallies.begin(0x1122334455, 0x66778899, 0xaabb, 0xccdd, true).withBallot(0, true)
            .at(Stage.Abandoned, 0x1122334455).byDeadline();
        uint256 expected = 1 | uint256(1) << 64 | uint256(0x1122334455) << 128 | uint256(0x66778899) << 168
            | uint256(1) << 200 | uint256(0xaaba) << 216 | uint256(0xccdd) << 232 | uint256(8) << 248
            | uint256(1) << 252 | uint256(1) << 253;
        assertEq(Tally.unwrap(t), expected);
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
