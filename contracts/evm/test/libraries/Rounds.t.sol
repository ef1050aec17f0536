// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Test} from "forge-std/Test.sol";

import {Rounds} from "../../src/libraries/Rounds.sol";
import {Counts} from "../../src/types/Counts.sol";
import {BallotState, Outcome, Phase} from "../../src/types/Enums.sol";
import {RoundState} from "../../src/types/State.sol";
import {Stage, Tallies, Tally} from "../../src/types/Tally.sol";

contract RoundsTest is Test {
    using Rounds for RoundState;

    RoundState private _round;

    // ------------------------------------------------------------------ beginning

    function testFuzz_begin_keepsProposersAndEligible(uint8 slots, uint256 first, uint256 second) public {
        slots = uint8(bound(slots, 1, 16));
        if (slots == 1) first &= type(uint32).max;
        Tally tally = Tallies.begin(slots, 9_876, 1, 0, 2_000);
        _round.begin(tally, first, second, 9_876);
        assertEq(Tally.unwrap(_round.tally), Tally.unwrap(tally));
        if (slots == 1) assertEq(uint32(_round.proposers[0]), first);
        else assertEq(_round.proposers[0], first);
        assertEq(_round.proposers[1], slots > 8 ? second : 0);
        assertEq(_round.eligible(tally), 9_876);
        assertEq(_round.commitments(tally), 0);
        assertEq(_round.revealStartedAt(tally), 0);
    }

    // ------------------------------------------------------------------ counting

    function testFuzz_count_refusesASecondBallot(uint8 slots, uint16 index, uint16 first) public {
        index = uint16(bound(index, 0, 9_999));
        Tally tally = _begin(slots, 9_999);
        first &= uint16((1 << tally.slots()) - 1);
        assertFalse(_round.hasBallot(index));
        assertTrue(_count(index, first));
        assertFalse(_count(index, first));
        assertFalse(_count(index, 0));
        assertTrue(_round.hasBallot(index));
        assertEq(_round.tally.outstanding(), 9_998);
        (BallotState state, uint16 approvals) = _round.ballotOf(index, address(1));
        assertEq(uint8(state), uint8(BallotState.Cast));
        assertEq(approvals, first);
    }

    /// @dev Ballots of different words and, in a classic round, of the tally, singly and in batches, compared with
    /// naive counts.
    function testFuzz_count_keepsBallotsApart(uint8 slots, uint256 seed) public {
        uint256 all = (1 << _begin(slots, 1_000).slots()) - 1;
        bool[400] memory voted;
        uint256[400] memory approved;
        uint16[16] memory counts;
        uint16 cast;
        Rounds.Count memory counting = _round.beginCount(_round.tally);
        for (uint256 k = 0; k < 60; ++k) {
            uint256 draw = uint256(keccak256(abi.encode(seed, k)));
            if (draw >> 248 < 50) {
                _end(counting);
                counting = _round.beginCount(_round.tally);
            }
            uint256 index = draw % 400;
            uint256 approvals = (draw >> 128) & all;
            assertEq(_round.count(counting, index, approvals), !voted[index]);
            if (voted[index]) continue;
            voted[index] = true;
            approved[index] = approvals;
            ++cast;
            for (uint256 slot = 0; slot < 16; ++slot) {
                if ((approvals >> slot) & 1 == 1) ++counts[slot];
            }
        }
        _end(counting);
        assertEq(_round.tally.outstanding(), 1_000 - cast);
        for (uint256 slot = 0; slot < 16; ++slot) {
            assertEq(_round.countsOf(_round.tally).at(slot), counts[slot]);
            assertEq(Rounds.countsIn(counting).at(slot), counts[slot]);
        }
        for (uint256 i = 0; i < 400; ++i) {
            assertEq(_round.hasBallot(i), voted[i]);
            (BallotState state, uint16 approvals) = _round.ballotOf(i, address(1));
            assertEq(uint8(state), uint8(voted[i] ? BallotState.Cast : BallotState.None));
            assertEq(approvals, approved[i]);
        }
    }

    function test_ballotOf_isCommittedWhileOnlyPledged() public {
        _begin(1, 3);
        _round.pledges[address(5)] = bytes32(uint256(1));
        (BallotState state,) = _round.ballotOf(0, address(5));
        assertEq(uint8(state), uint8(BallotState.Committed));
        (state,) = _round.ballotOf(0, address(6));
        assertEq(uint8(state), uint8(BallotState.None));
    }

    // ------------------------------------------------------------------ voters

    function test_voters_areTheElectorateUnlessThereIsOneProposal() public {
        Tally classic = _begin(1, 9);
        assertEq(_round.voters(classic, 0), 0);
        assertEq(_round.voters(classic, 1), 9);
        Tally plural = _begin(5, 9);
        assertEq(_round.voters(plural, 0), 0);
        assertEq(_round.voters(plural, 8), 9);
        assertEq(_round.voters(plural, 24), 10);
    }

    function testFuzz_endCommitting_leavesTheCommittedOutstanding(
        uint8 slots,
        uint16 eligible,
        uint16 committed,
        uint40 time
    ) public {
        eligible = uint16(bound(eligible, 1, 9_999));
        Tally tally = _begin(slots, eligible).at(Stage.Committing, 9);
        if (tally.isPlural()) tally = tally.withProposal(0).withProposal(1);
        uint16 voters = _round.voters(tally, tally.proposed());
        assertEq(voters, tally.isPlural() ? eligible + 1 : eligible);
        committed = uint16(bound(committed, 0, voters));
        tally = _round.endCommitting(tally.withOutstanding(voters - committed));
        tally = _round.beginRevealing(tally, time);
        assertEq(tally.outstanding(), committed);
        assertEq(_round.commitments(tally), committed);
        assertEq(_round.revealStartedAt(tally), time);
        assertEq(_round.eligible(tally), eligible);
        assertEq(uint32(_round.proposers[0]), 0x0708);
    }

    // ------------------------------------------------------------------ settling

    /// @dev Compared with the sentence of the protocol.
    function testFuzz_isFixed_onceEveryProposalHasPassedOrCannot(
        uint256 seed,
        uint8 slots,
        uint16 needed,
        uint16 outstanding,
        bool best
    ) public pure {
        slots = uint8(bound(slots, 2, 16));
        needed = uint16(bound(needed, 1, 6));
        outstanding = uint16(bound(outstanding, 0, 6));
        Tally tally = Tallies.begin(slots, 20, needed, 0, 9).withRules(true, best);
        uint256 bits;
        uint256 passed;
        bool open = false;
        for (uint256 slot = 0; slot < slots; ++slot) {
            uint256 draw = uint256(keccak256(abi.encode(seed, slot)));
            if (draw % 4 == 0) continue;
            tally = tally.withProposal(slot);
            uint256 approvals = (draw >> 128) % 8;
            bits |= approvals << (14 * slot);
            if (approvals >= needed) ++passed;
            else if (approvals + outstanding >= needed) open = true;
        }
        bool expected = !open && (!best || passed <= 1);
        assertEq(Rounds.isFixed(tally.withOutstanding(outstanding), Counts.wrap(bits)), expected);
    }

    function testFuzz_isSettled_earlyInAClassicRound(uint16 voters, uint16 needed, uint16 yes, uint16 no)
        public
    {
        voters = uint16(bound(voters, 1, 60));
        needed = uint16(bound(needed, 1, voters));
        yes = uint16(bound(yes, 0, voters));
        no = uint16(bound(no, 0, voters - yes));
        Tally tally = Tallies.begin(1, voters, needed, 0, 9).withRules(true, true).at(Stage.Voting, 9);
        for (uint256 i = 0; i < yes + no; ++i) {
            tally = tally.withBallot(i, i < yes ? 1 : 0);
        }
        uint256 outstanding = voters - yes - no;
        bool expected = yes >= needed || yes + outstanding < needed;
        assertEq(_round.isSettled(tally, _round.countsOf(tally)), expected);
    }

    function test_isSettled_withoutEarlySettlingOnlyWithAllBallots() public {
        Tally tally = _begin(2, 1).at(Stage.Voting, 9).withOutstanding(1);
        assertFalse(_round.isSettled(tally, Counts.wrap(0)));
        assertTrue(_round.isSettled(tally.withOneLess(), Counts.wrap(0)));
    }

    function test_isSettled_whileRevealingOnlyIfEverybodyCommitted() public {
        for (uint8 slots = 1; slots < 3; ++slots) {
            Tally tally = _begin(slots, 3).at(Stage.Committing, 9);
            if (slots == 2) tally = tally.withProposal(0).withProposal(1).withOutstanding(4);
            Tally most = _round.endCommitting(tally.withOutstanding(1)).at(Stage.Revealing, 9);
            assertFalse(_round.isSettled(most.withOutstanding(0), Counts.wrap(0)));
            _begin(slots, 3);
            Tally all = _round.endCommitting(tally.withOutstanding(0)).at(Stage.Revealing, 9);
            assertTrue(_round.isSettled(all.withOutstanding(0), Counts.wrap(0)));
        }
    }

    function test_acceptedSlots_areThoseThatPassOrTheBest() public pure {
        Tally tally = Tallies.begin(4, 9, 3, 0, 9).withProposal(0).withProposal(2).withProposal(3);
        Counts counts = Counts.wrap(3 | 9 << 14 | 5 << 28 | 5 << 42);
        assertEq(Rounds.acceptedSlots(tally, counts), 13);
        assertEq(Rounds.acceptedSlots(tally.withRules(false, true), counts), 4);
        assertEq(Rounds.acceptedSlots(tally, Counts.wrap(2 | 9 << 14)), 0);
    }

    // ------------------------------------------------------------------ phases

    function test_phase_ofEveryStage() public pure {
        Phase[9] memory expected = [
            Phase.Proposing,
            Phase.Proposing,
            Phase.Voting,
            Phase.Voting,
            Phase.Revealing,
            Phase.Closed,
            Phase.Closed,
            Phase.Closed,
            Phase.Closed
        ];
        for (uint8 i = 0; i < 9; ++i) {
            assertEq(uint8(Rounds.phase(Stage(i))), uint8(expected[i]));
        }
    }

    function test_outcome_ofEveryStage() public pure {
        for (uint8 i = 0; i < uint8(Stage.Accepted); ++i) {
            assertEq(uint8(Rounds.outcome(Stage(i))), uint8(Outcome.None));
        }
        assertEq(uint8(Rounds.outcome(Stage.Accepted)), uint8(Outcome.Accepted));
        assertEq(uint8(Rounds.outcome(Stage.Rejected)), uint8(Outcome.Rejected));
        assertEq(uint8(Rounds.outcome(Stage.NoProposal)), uint8(Outcome.NoProposal));
        assertEq(uint8(Rounds.outcome(Stage.Abandoned)), uint8(Outcome.Abandoned));
    }

    // ------------------------------------------------------------------ helpers

    /// @dev Begins a round with 1 to 16 slots; the first proposer has index 0x0708.
    function _begin(uint8 slots, uint16 eligible) private returns (Tally tally) {
        tally = Tallies.begin(bound(slots, 1, 16), eligible, 1, 0, 2_000);
        _round.begin(tally, 0x0708, 0, eligible);
    }

    /// @dev Counts one ballot and writes what the contract writes.
    function _count(uint256 index, uint256 approvals) private returns (bool isNew) {
        Rounds.Count memory counting = _round.beginCount(_round.tally);
        assertEq(_round.isCounted(counting, index), _round.hasBallot(index));
        isNew = _round.count(counting, index, approvals);
        assertTrue(_round.isCounted(counting, index));
        _end(counting);
    }

    function _end(Rounds.Count memory counting) private {
        _round.endCount(counting);
        _round.tally = counting.tally;
    }
}
