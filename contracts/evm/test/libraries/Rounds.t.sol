// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Test} from "forge-std/Test.sol";

import {Rounds} from "../../src/libraries/Rounds.sol";
import {ContentRef} from "../../src/types/ContentRef.sol";
import {BallotState, Outcome, Phase} from "../../src/types/Enums.sol";
import {RoundState} from "../../src/types/State.sol";
import {Stage, Tallies, Tally} from "../../src/types/Tally.sol";

contract RoundsTest is Test {
    using Rounds for RoundState;

    RoundState private _round;

    function setUp() public {
        vm.warp(1_000);
    }

    // ------------------------------------------------------------------ counting

    function testFuzz_count_refusesASecondBallot(uint16 index, bool first, bool second) public {
        index = uint16(bound(index, 0, 9_999));
        Rounds.Count memory counting = _begin(10_000, false);
        assertTrue(_round.count(counting, index, first));
        assertFalse(_round.count(counting, index, second));
        _round.writeWord(counting);
        _round.tally = counting.tally;
        assertTrue(_round.hasBallot(index));
        assertEq(counting.tally.approvals(), first ? 1 : 0);
        assertEq(counting.tally.outstanding(), 9_999);
        BallotState expected = first ? BallotState.Approved : BallotState.Rejected;
        assertEq(uint8(_round.ballotState(index, address(1))), uint8(expected));
    }

    /// @dev Ballots of different words and of the first slot in one batch, compared with a naive count.
    function testFuzz_count_keepsBallotsApart(uint256 seed) public {
        Rounds.Count memory counting = _begin(1_000, false);
        bool[400] memory voted;
        bool[400] memory approved;
        uint16 approvals;
        uint16 cast;
        for (uint256 k = 0; k < 60; ++k) {
            uint256 draw = uint256(keccak256(abi.encode(seed, k)));
            uint256 index = draw % 400;
            bool approve = draw >> 128 & 1 == 1;
            assertEq(_round.count(counting, index, approve), !voted[index]);
            if (voted[index]) continue;
            voted[index] = true;
            approved[index] = approve;
            ++cast;
            if (approve) ++approvals;
        }
        _round.writeWord(counting);
        _round.tally = counting.tally;
        assertEq(counting.tally.approvals(), approvals);
        assertEq(counting.tally.outstanding(), 1_000 - cast);
        for (uint256 i = 0; i < 400; ++i) {
            assertEq(_round.hasBallot(i), voted[i]);
            BallotState state = _round.ballotState(i, address(1));
            if (!voted[i]) assertEq(uint8(state), uint8(BallotState.None));
            else assertEq(state == BallotState.Approved, approved[i]);
        }
    }

    function test_ballotState_isCommittedWhileOnlyPledged() public {
        _begin(3, false);
        _round.pledges[address(5)] = bytes32(uint256(1));
        assertEq(uint8(_round.ballotState(0, address(5))), uint8(BallotState.Committed));
        assertEq(uint8(_round.ballotState(0, address(6))), uint8(BallotState.None));
    }

    // ------------------------------------------------------------------ settling

    /// @dev Compared with the sentence of the protocol.
    function testFuzz_isSettled_earlyOnceTheOutcomeIsFixed(
        uint16 voters,
        uint16 needed,
        uint16 yes,
        uint16 no
    ) public {
        voters = uint16(bound(voters, 1, 60));
        needed = uint16(bound(needed, 1, voters));
        yes = uint16(bound(yes, 0, voters));
        no = uint16(bound(no, 0, voters - yes));
        Tally tally = Tallies.begin(9, 0, voters, needed, true).at(Stage.Voting, 9);
        for (uint256 i = 0; i < yes + no; ++i) {
            tally = tally.withBallot(i, i < yes);
        }
        uint256 outstanding = voters - yes - no;
        assertEq(_round.isSettled(tally), yes >= needed || yes + outstanding < needed);
    }

    function test_isSettled_withoutEarlySettlingOnlyWithAllBallots() public {
        Tally tally = Tallies.begin(9, 0, 2, 1, false).at(Stage.Voting, 9).withBallot(0, true);
        assertFalse(_round.isSettled(tally));
        assertTrue(_round.isSettled(tally.withBallot(1, false)));
    }

    function test_isSettled_whileRevealingOnlyIfEverybodyCommitted() public {
        _round.eligible = 3;
        _round.commitments = 2;
        Tally tally = Tallies.begin(9, 0, 0, 1, false).at(Stage.Revealing, 9);
        assertFalse(_round.isSettled(tally));
        _round.commitments = 3;
        assertTrue(_round.isSettled(tally));
    }

    // ------------------------------------------------------------------ reading

    function test_rejections_areTheBallotsThatDoNotApprove() public {
        _round.eligible = 5;
        _round.proposedAt = 1;
        Tally tally = Tallies.begin(9, 0, 5, 3, false).at(Stage.Voting, 9);
        assertEq(_round.rejections(tally, false), 0);
        tally = tally.withBallot(0, true).withBallot(1, false).withBallot(2, false);
        assertEq(_round.rejections(tally, false), 2);
    }

    function test_rejections_ofSecretBallotsCountRevealsOnly() public {
        _round.eligible = 5;
        _round.commitments = 3;
        _round.proposedAt = 1;
        Tally tally = Tallies.begin(9, 0, 3, 3, false);
        assertEq(_round.rejections(tally.at(Stage.Committing, 9), true), 0);
        tally = tally.at(Stage.Revealing, 9).withBallot(0, false);
        assertEq(_round.rejections(tally, true), 1);
    }

    function test_rejections_areZeroWithoutAProposal() public view {
        Tally tally = Tallies.begin(9, 0, 5, 3, false);
        assertEq(_round.rejections(tally, false), 0);
        assertEq(_round.rejections(tally.at(Stage.NoProposal, 9), false), 0);
    }

    function testFuzz_content_comesBackAsProposed(bytes32 digest, bytes32 hash, uint64 size, uint8 codec)
        public
    {
        ContentRef memory content = ContentRef(codec, digest, hash, size);
        this.propose(content);
        assertEq(abi.encode(_round.content()), abi.encode(content));
        assertEq(_round.proposedAt, 1_000);
    }

    function propose(ContentRef calldata content) external {
        _round.setContent(content);
    }

    // ------------------------------------------------------------------ phases

    function testFuzz_endCommitting_leavesTheCommittedOutstanding(uint16 eligible, uint16 committed) public {
        eligible = uint16(bound(eligible, 1, 10_000));
        committed = uint16(bound(committed, 0, eligible));
        _round.eligible = eligible;
        Tally tally = Tallies.begin(9, 0, eligible, 1, false).withOutstanding(eligible - committed);
        tally = _round.endCommitting(tally);
        assertEq(tally.outstanding(), committed);
        assertEq(_round.commitments, committed);
    }

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

    function _begin(uint16 voters, bool early) private returns (Rounds.Count memory) {
        _round.eligible = voters;
        _round.tally = Tallies.begin(2_000, 0, voters, 1, early).at(Stage.Voting, 2_000);
        return Rounds.Count(_round.tally, 0, 0);
    }
}
