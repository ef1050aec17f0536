// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ICollectiveLearningCalls as C, ICollectiveLearningQueries as Q} from "../src/ICollectiveLearning.sol";
import {Admission, Outcome, Phase, Selection, Status} from "../src/types/Enums.sol";
import {ExperimentId} from "../src/types/ExperimentId.sol";
import {Params} from "../src/types/Params.sol";
import {Base} from "./Base.sol";

/// @notice The life of experiments and rounds. The full rules are tested as scenarios on every ledger.
contract CollectiveLearningTest is Base {
    function test_enoughApprovals_acceptTheProposal() public {
        ExperimentId id = startExperiment(defaults(), 5);
        proposeWeights(id, 0);
        for (uint256 i = 1; i < 5; ++i) {
            castVote(id, 0, i, i <= 2 ? 1 : 0);
        }
        Q.RoundView memory r = hub.round(id, 0);
        assertEq(uint8(r.outcome), uint8(Outcome.Accepted));
        assertEq(r.slots[0].approvals, 2);
        assertTrue(r.slots[0].accepted);
        assertEq(r.ballots, 4);
        assertEq(hub.currentWeights(id)[0].digest, proposal(0, 0).digest);
        assertEq(proposerOf(id, 1, 0), account(1));
    }

    function test_tooFewApprovals_rejectTheProposal() public {
        ExperimentId id = startExperiment(defaults(), 5);
        proposeWeights(id, 0);
        for (uint256 i = 1; i < 5; ++i) {
            castVote(id, 0, i, i == 1 ? 1 : 0);
        }
        assertEq(uint8(hub.round(id, 0).outcome), uint8(Outcome.Rejected));
        assertEq(hub.currentWeights(id)[0].digest, content(2).digest);
    }

    function test_vote_isRefusedTheSecondTime() public {
        ExperimentId id = startExperiment(defaults(), 5);
        proposeWeights(id, 0);
        castVote(id, 0, 1, 1);
        bytes32 digest = digestOf(id, 0);
        expectError(C.AlreadyVoted.selector, abi.encode(account(1)));
        vm.prank(account(1));
        hub.vote(id, 0, digest, 0, scores(1));
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
        hub.vote(none, 0, 0, 1, scores(1));
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
        assertEq(hub.learner(id, account(0)).missedProposals, 1);
        assertEq(hub.learner(id, account(0)).missedBallots, 0);
        vm.expectRevert(abi.encodeWithSelector(C.DeadlineNotPassed.selector, deadline + WINDOW));
        hub.advance(id);
    }

    function test_missedBallots_areClearedByABallot() public {
        ExperimentId id = startExperiment(defaults(), 3);
        proposeWeights(id, 0);
        castVote(id, 0, 1, 1);
        passDeadline(id);
        hub.advance(id);
        assertEq(hub.learner(id, account(2)).missedBallots, 1);
        assertEq(hub.learner(id, account(1)).missedBallots, 0);
        proposeWeights(id, 1);
        castVote(id, 1, 2, 1);
        assertEq(hub.learner(id, account(2)).missedBallots, 0);
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

    /// @dev With any number of ballots, time and `advance` are enough to reach the end.
    function testFuzz_timeAndAdvance_completeAnExperiment(uint8 ballots, bool secret) public {
        Params memory p = defaults();
        p.rounds = 3;
        p.revealWindow = secret ? uint32(WINDOW) : 0;
        ExperimentId id = startExperiment(p, 6);
        proposeWeights(id, 0);
        for (uint256 i = 1; i <= ballots % 6 && !secret && i < 6; ++i) {
            castVote(id, 0, i, 1);
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
            castVote(id, 0, i, approve ? 1 : 0);
        }
        Q.RoundView memory r = hub.round(id, 0);
        assertEq(r.slots[0].approvals, approvals);
        assertEq(r.ballots, n - 1);
        bool accepted = approvals * 10_000 >= (n - 1) * p.approvalBps && approvals >= 1;
        assertEq(uint8(r.outcome), uint8(accepted ? Outcome.Accepted : Outcome.Rejected));
        assertEq(uint8(r.phase), uint8(Phase.Closed));
    }

    function test_allowlistAndRandomSelection_workTogether() public {
        Params memory p = defaults();
        p.admission = Admission.Allowlist;
        p.selection = Selection.Random;
        ExperimentId id = createExperiment(p);
        bytes32 hash = hub.experiment(id).hash;
        vm.expectRevert(abi.encodeWithSelector(C.NotAdmitted.selector, account(0)));
        vm.prank(account(0));
        hub.join(id, hash, 0);
        address[] memory list = new address[](3);
        for (uint256 i = 0; i < 3; ++i) {
            list[i] = account(i);
        }
        vm.prank(creator);
        hub.admit(id, list);
        joinAll(id, 3);
        vm.prank(creator);
        hub.start(id);
        assertTrue(hub.learner(id, proposerOf(id, 0, 0)).active);
    }

    // ------------------------------------------------------------------ joining and announcing

    function test_join_needsTheHashOfTheExperiment() public {
        Params memory p = defaults();
        ExperimentId id = createExperiment(p);
        p.name = "another one";
        bytes32 other = hub.experiment(createExperiment(p)).hash;
        bytes32 hash = hub.experiment(id).hash;
        expectError(C.WrongExperiment.selector, abi.encode(hash));
        vm.prank(account(0));
        hub.join(id, other, 0);
    }

    function test_hash_coversTheCreator() public {
        bytes32 hash = hub.experiment(createExperiment(defaults())).hash;
        assertEq(hub.experiment(createExperiment(defaults())).hash, hash);
        creator = address(0xBEEF);
        assertNotEq(hub.experiment(createExperiment(defaults())).hash, hash);
    }

    function test_setEncryptionKey_replacesTheKey() public {
        ExperimentId id = startExperiment(defaults(), 2);
        vm.prank(account(1));
        hub.setEncryptionKey(id, "new key");
        assertEq(hub.learner(id, account(1)).encryptionKey, "new key");
        vm.prank(account(1));
        hub.setEncryptionKey(id, 0);
        assertEq(hub.learner(id, account(1)).encryptionKey, 0);
    }

    function test_announce_emitsAnEventInEveryStatus() public {
        ExperimentId id = createExperiment(defaults());
        joinAll(id, 2);
        _announces(id);
        vm.prank(creator);
        hub.start(id);
        _announces(id);
        vm.prank(creator);
        hub.cancel(id);
        _announces(id);
    }

    function _announces(ExperimentId id) private {
        vm.expectEmit(address(hub));
        emit C.Announced(id, account(1), "keys", content(7));
        vm.prank(account(1));
        hub.announce(id, "keys", content(7));
    }
}
