// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ICollectiveLearningCalls as C, ICollectiveLearningQueries as Q} from "../src/ICollectiveLearning.sol";
import {
    Admission,
    BallotState,
    Duty,
    Outcome,
    Phase,
    Selection,
    SkipReason,
    Status
} from "../src/types/Enums.sol";
import {ExperimentId} from "../src/types/ExperimentId.sol";
import {Params} from "../src/types/Params.sol";
import {Base} from "./Base.sol";

/// @notice The life of experiments and rounds. The full rules are tested as scenarios on every ledger.
contract CollectiveLearningTest is Base {
    function test_enoughApprovals_acceptTheProposal() public {
        ExperimentId id = startExperiment(defaults(), 5);
        proposeWeights(id, 0);
        for (uint256 i = 1; i < 5; ++i) {
            castVote(id, 0, i, i <= 2);
        }
        Q.RoundView memory r = hub.round(id, 0);
        assertEq(uint8(r.outcome), uint8(Outcome.Accepted));
        assertEq(r.approvals, 2);
        assertEq(r.rejections, 2);
        assertEq(hub.currentWeights(id).digest, content(100).digest);
        assertEq(hub.round(id, 1).proposer, account(1));
    }

    function test_tooFewApprovals_rejectTheProposal() public {
        ExperimentId id = startExperiment(defaults(), 5);
        proposeWeights(id, 0);
        for (uint256 i = 1; i < 5; ++i) {
            castVote(id, 0, i, i == 1);
        }
        assertEq(uint8(hub.round(id, 0).outcome), uint8(Outcome.Rejected));
        assertEq(hub.currentWeights(id).digest, content(2).digest);
    }

    function test_vote_isRefusedTheSecondTime() public {
        ExperimentId id = startExperiment(defaults(), 5);
        proposeWeights(id, 0);
        castVote(id, 0, 1, true);
        vm.expectRevert(abi.encodeWithSelector(C.AlreadyVoted.selector, account(1)));
        castVote(id, 0, 1, false);
    }

    function test_vote_isRefusedToProposerAndStrangers() public {
        ExperimentId id = startExperiment(defaults(), 3);
        proposeWeights(id, 0);
        vm.expectRevert(abi.encodeWithSelector(C.NotEligible.selector, account(0)));
        castVote(id, 0, 0, true);
        vm.expectRevert(abi.encodeWithSelector(C.NotALearner.selector, account(9)));
        castVote(id, 0, 9, true);
    }

    function test_propose_isRefusedToOtherLearners() public {
        ExperimentId id = startExperiment(defaults(), 3);
        vm.expectRevert(abi.encodeWithSelector(C.NotProposer.selector, account(1)));
        vm.prank(account(1));
        hub.propose(id, 0, content(9), HALF, HALF);
    }

    function test_propose_refusesTheCurrentWeights() public {
        ExperimentId id = startExperiment(defaults(), 3);
        vm.expectRevert(C.Unchanged.selector);
        vm.prank(account(0));
        hub.propose(id, 0, content(2), HALF, HALF);
    }

    function test_startAndCancel_areRefusedToOthers() public {
        ExperimentId id = createExperiment(defaults());
        joinAll(id, 2);
        vm.expectRevert(abi.encodeWithSelector(C.NotCreator.selector, account(0)));
        vm.prank(account(0));
        hub.start(id);
        vm.expectRevert(abi.encodeWithSelector(C.NotCreator.selector, account(0)));
        vm.prank(account(0));
        hub.cancel(id);
    }

    function test_unknownExperiment_isRefused() public {
        ExperimentId none = ExperimentId.wrap(7);
        vm.expectRevert(abi.encodeWithSelector(C.UnknownExperiment.selector, none));
        hub.experiment(none);
        vm.expectRevert(abi.encodeWithSelector(C.UnknownExperiment.selector, none));
        hub.vote(none, 0, true, HALF, HALF);
    }

    function test_advance_worksOnceFromTheDeadlineOn() public {
        ExperimentId id = startExperiment(defaults(), 3);
        uint40 deadline = hub.round(id, 0).deadline;
        vm.warp(deadline - 1);
        vm.expectRevert(abi.encodeWithSelector(C.DeadlineNotPassed.selector, deadline));
        hub.advance(id);
        vm.warp(deadline);
        hub.advance(id);
        assertEq(uint8(hub.round(id, 0).outcome), uint8(Outcome.NoProposal));
        assertEq(hub.learner(id, account(0)).strikes, 1);
        vm.expectRevert(abi.encodeWithSelector(C.DeadlineNotPassed.selector, deadline + WINDOW));
        hub.advance(id);
    }

    function test_strikes_countAbsenceAndAreClearedByABallot() public {
        ExperimentId id = startExperiment(defaults(), 3);
        proposeWeights(id, 0);
        castVote(id, 0, 1, true);
        vm.warp(hub.round(id, 0).deadline);
        hub.advance(id);
        assertEq(hub.learner(id, account(2)).strikes, 1);
        assertEq(hub.learner(id, account(1)).strikes, 0);
        proposeWeights(id, 1);
        castVote(id, 1, 2, true);
        assertEq(hub.learner(id, account(2)).strikes, 0);
    }

    function test_remove_isOpenToAnyoneOnceTheStrikesAreReached() public {
        Params memory p = defaults();
        p.maxStrikes = 1;
        ExperimentId id = startExperiment(p, 4);
        vm.expectRevert(abi.encodeWithSelector(C.NotRemovable.selector, 0));
        hub.remove(id, account(0));
        vm.warp(hub.round(id, 0).deadline);
        hub.advance(id);
        hub.remove(id, account(0));
        assertFalse(hub.learner(id, account(0)).active);
        assertEq(hub.experiment(id).activeLearners, 3);
    }

    function test_voteSigned_countsGoodBallotsAndReportsBadOnes() public {
        ExperimentId id = startExperiment(defaults(), 6);
        proposeWeights(id, 0);
        bytes memory forged = signedBallot(id, 0, 2, true);
        forged[20] = 0;
        bytes memory batch = bytes.concat(
            signedBallot(id, 0, 1, true),
            signedBallot(id, 0, 1, true),
            signedBallot(id, 0, 0, true),
            signedBallot(id, 0, 9, true),
            forged,
            signedBallot(id, 0, 3, false)
        );
        SkipReason[4] memory reasons = [
            SkipReason.AlreadyVoted, SkipReason.NotEligible, SkipReason.NotALearner, SkipReason.BadSignature
        ];
        uint8[4] memory whose = [1, 0, 9, 2];
        vm.expectEmit(address(hub));
        emit C.VoteCast(id, 0, account(1), true, SCORE, HALF);
        for (uint256 i = 0; i < 4; ++i) {
            vm.expectEmit(address(hub));
            emit C.BallotSkipped(id, 0, account(whose[i]), reasons[i]);
        }
        vm.expectEmit(address(hub));
        emit C.VoteCast(id, 0, account(3), false, SCORE, HALF);
        vm.prank(address(0xBEEF));
        hub.voteSigned(id, 0, batch);
        assertEq(hub.round(id, 0).approvals, 1);
        assertEq(hub.round(id, 0).rejections, 1);
    }

    function test_secretBallots_areCommittedThenRevealed() public {
        Params memory p = defaults();
        p.revealWindow = uint32(WINDOW);
        ExperimentId id = startExperiment(p, 3);
        proposeWeights(id, 0);
        for (uint256 i = 1; i < 3; ++i) {
            bytes32 c = commitment(id, 0, i, true, bytes32(i));
            vm.prank(account(i));
            hub.commit(id, 0, c);
        }
        assertEq(uint8(hub.duty(id, account(1))), uint8(Duty.Reveal));
        vm.expectRevert(abi.encodeWithSelector(C.BadReveal.selector, account(1)));
        vm.prank(account(1));
        hub.reveal(id, 0, false, HALF, HALF, bytes32(uint256(1)));
        for (uint256 i = 1; i < 3; ++i) {
            vm.prank(account(i));
            hub.reveal(id, 0, true, HALF, HALF, bytes32(i));
        }
        assertEq(uint8(hub.round(id, 0).outcome), uint8(Outcome.Accepted));
    }

    function test_reveal_refusesACopiedCommitment() public {
        Params memory p = defaults();
        p.revealWindow = uint32(WINDOW);
        ExperimentId id = startExperiment(p, 3);
        proposeWeights(id, 0);
        bytes32 c = commitment(id, 0, 1, true, bytes32(uint256(1)));
        for (uint256 i = 1; i < 3; ++i) {
            vm.prank(account(i));
            hub.commit(id, 0, c);
        }
        vm.expectRevert(abi.encodeWithSelector(C.BadReveal.selector, account(2)));
        vm.prank(account(2));
        hub.reveal(id, 0, true, HALF, HALF, bytes32(uint256(1)));
    }

    function test_ballotsBeyondTheFirstSlot_areKeptApart() public {
        ExperimentId id = startExperiment(defaults(), 300);
        proposeWeights(id, 0);
        uint8[5] memory some = [63, 64, 127, 128, 255];
        for (uint256 k = 0; k < 5; ++k) {
            castVote(id, 0, some[k], k % 2 == 0);
        }
        for (uint256 k = 0; k < 5; ++k) {
            BallotState expected = k % 2 == 0 ? BallotState.Approved : BallotState.Rejected;
            assertEq(uint8(hub.ballot(id, 0, account(some[k])).state), uint8(expected));
        }
        assertEq(uint8(hub.ballot(id, 0, account(65)).state), uint8(BallotState.None));
        assertEq(hub.round(id, 0).approvals, 3);
    }

    /// @dev With any number of ballots, time and `advance` are enough to reach the end.
    function testFuzz_timeAndAdvance_completeAnExperiment(uint8 ballots, bool secret) public {
        Params memory p = defaults();
        p.rounds = 3;
        p.revealWindow = secret ? uint32(WINDOW) : 0;
        ExperimentId id = startExperiment(p, 6);
        proposeWeights(id, 0);
        for (uint256 i = 1; i <= ballots % 6 && !secret && i < 6; ++i) {
            castVote(id, 0, i, true);
        }
        for (uint256 k = 0; k < 9 && hub.experiment(id).status == Status.Running; ++k) {
            vm.warp(hub.round(id, hub.experiment(id).round).deadline);
            hub.advance(id);
        }
        assertEq(uint8(hub.experiment(id).status), uint8(Status.Completed));
    }

    /// @dev Compares the tally with a naive count.
    function testFuzz_tally_equalsTheCountOfBallots(uint256 bits, uint16 bps) public {
        Params memory p = defaults();
        p.approvalBps = uint16(bound(bps, 1, 10_000));
        uint256 n = 8;
        ExperimentId id = startExperiment(p, n);
        proposeWeights(id, 0);
        uint256 approvals;
        for (uint256 i = 1; i < n; ++i) {
            bool approve = (bits >> i) & 1 == 1;
            if (approve) ++approvals;
            castVote(id, 0, i, approve);
        }
        Q.RoundView memory r = hub.round(id, 0);
        assertEq(r.approvals, approvals);
        assertEq(r.rejections, n - 1 - approvals);
        bool accepted = approvals * 10_000 >= (n - 1) * p.approvalBps && approvals >= 1;
        assertEq(uint8(r.outcome), uint8(accepted ? Outcome.Accepted : Outcome.Rejected));
        assertEq(uint8(r.phase), uint8(Phase.Closed));
    }

    function test_allowlistAndRandomSelection_workTogether() public {
        Params memory p = defaults();
        p.admission = Admission.Allowlist;
        p.selection = Selection.Random;
        ExperimentId id = createExperiment(p);
        vm.expectRevert(abi.encodeWithSelector(C.NotAdmitted.selector, account(0)));
        vm.prank(account(0));
        hub.join(id, 0);
        address[] memory list = new address[](3);
        for (uint256 i = 0; i < 3; ++i) {
            list[i] = account(i);
        }
        vm.prank(creator);
        hub.admit(id, list);
        joinAll(id, 3);
        vm.prank(creator);
        hub.start(id);
        assertTrue(hub.learner(id, hub.round(id, 0).proposer).active);
    }
}
