// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ICollectiveLearningCalls as C, ICollectiveLearningQueries as Q} from "../src/ICollectiveLearning.sol";
import {Duty, Merge, Outcome, Phase, Selection, SlotState, Status} from "../src/types/Enums.sol";
import {ExperimentId} from "../src/types/ExperimentId.sol";
import {Params} from "../src/types/Params.sol";
import {Base} from "./Base.sol";

/// @notice How rounds begin and end: selection, proposing, current weights, cancelling, patience.
contract LifecycleTest is Base {
    // ------------------------------------------------------------------ beginning

    function test_round_beginsWithAllItsProposers() public {
        ExperimentId id = createExperiment(plural(3));
        joinAll(id, 5);
        address[] memory proposers = new address[](3);
        (proposers[0], proposers[1], proposers[2]) = (account(0), account(1), account(2));
        vm.expectEmit(address(hub));
        emit C.RoundStarted(id, 0, proposers, 4, 2, uint40(vm.getBlockTimestamp()) + WINDOW);
        vm.prank(creator);
        hub.start(id);
        assertEq(uint8(hub.duty(id, account(2))), uint8(Duty.Propose));
        assertEq(uint8(hub.duty(id, account(3))), uint8(Duty.Wait));
    }

    function test_roundRobin_continuesAfterTheLastProposer() public {
        ExperimentId id = startExperiment(plural(3), 5);
        uint8[6] memory wanted = [0, 1, 2, 3, 4, 0];
        _declineAll(id, 0);
        for (uint256 i = 0; i < 6; ++i) {
            assertEq(proposerOf(id, uint32(i / 3), i % 3), account(wanted[i]));
        }
    }

    function test_proposers_areAtMostTheActiveLearners() public {
        ExperimentId id = startExperiment(plural(16), 3);
        assertEq(hub.round(id, 0).slots.length, 3);
        vm.prank(account(1));
        hub.leave(id);
        _declineAll(id, 0);
        assertEq(hub.round(id, 1).slots.length, 2);
    }

    /// @dev Over cycles of any length: nobody is selected twice in a round or, while the list does not change, in a
    /// cycle.
    function testFuzz_randomSelection_givesEveryMemberATurn(uint8 n, uint8 k, uint256 entropy) public {
        Params memory p = plural(uint8(bound(k, 1, 7)));
        p.selection = Selection.Random;
        p.rounds = 30;
        n = uint8(bound(n, 2, 12));
        vm.prevrandao(bytes32(entropy));
        ExperimentId id = startExperiment(p, n);
        uint256[] memory turns = new uint256[](n);
        for (uint32 round = 0; round < 20; ++round) {
            Q.SlotView[] memory slots = hub.round(id, round).slots;
            uint256 seen = 0;
            for (uint256 slot = 0; slot < slots.length; ++slot) {
                uint32 index = hub.learner(id, slots[slot].proposer).index;
                assertEq(seen & (1 << index), 0, "selected twice in a round");
                seen |= 1 << index;
                ++turns[index];
                _assertFair(turns);
            }
            _declineAll(id, round);
        }
    }

    function test_seed_changesOnlyWithTheNextRound() public {
        Params memory p = plural(2);
        p.selection = Selection.Random;
        p.rounds = 2;
        ExperimentId id = startExperiment(p, 4);
        bytes32 seed = hub.experiment(id).seed;
        assertEq(seed, sha256(abi.encodePacked(hub.domainSeparator(), id, block.prevrandao)));
        _declineAll(id, 0);
        bytes32 next = sha256(abi.encodePacked(seed, block.prevrandao, bytes32(0)));
        assertEq(hub.experiment(id).seed, next);
        _declineAll(id, 1);
        assertEq(hub.experiment(id).seed, next);
    }

    // ------------------------------------------------------------------ proposing

    function test_voting_beginsWithTheLastProposal() public {
        ExperimentId id = startExperiment(plural(3), 5);
        proposeIn(id, 0, 2);
        proposeIn(id, 0, 0);
        Q.RoundView memory r = hub.round(id, 0);
        assertEq(uint8(r.phase), uint8(Phase.Proposing));
        assertEq(r.proposals, 0);
        assertEq(uint8(r.slots[1].state), uint8(SlotState.Open));
        assertEq(uint8(r.slots[2].state), uint8(SlotState.Proposed));
        bytes32 digest = sha256(
            bytes.concat(
                abi.encodePacked(uint8(0), proposal(0, 0).sha256Hash),
                abi.encodePacked(uint8(1), proposal(0, 1).sha256Hash),
                abi.encodePacked(uint8(2), proposal(0, 2).sha256Hash)
            )
        );
        uint40 deadline = uint40(vm.getBlockTimestamp()) + 7 + WINDOW;
        vm.warp(vm.getBlockTimestamp() + 7);
        vm.prank(account(1));
        vm.expectEmit(address(hub));
        emit C.WeightsProposed(id, 0, account(1), 1, proposal(0, 1), HALF, ABSENT);
        vm.expectEmit(address(hub));
        emit C.VotingStarted(id, 0, digest, deadline);
        hub.propose(id, 0, proposal(0, 1), HALF, ABSENT);
        r = hub.round(id, 0);
        assertEq(r.proposals, digest);
        assertEq(r.votingStartedAt, vm.getBlockTimestamp());
        assertEq(r.slots[0].proposedAt, vm.getBlockTimestamp() - 7);
        assertEq(r.deadline, deadline);
    }

    function test_proposerHasOneTurn() public {
        ExperimentId id = startExperiment(plural(2), 4);
        proposeIn(id, 0, 0);
        _refusesProposer(id, 0);
        _refusesProposer(id, 3);
        assertEq(uint8(hub.duty(id, account(0))), uint8(Duty.Wait));
    }

    function test_equalProposals_areAllowed() public {
        ExperimentId id = startExperiment(plural(2), 4);
        for (uint256 i = 0; i < 2; ++i) {
            vm.prank(account(i));
            hub.propose(id, 0, content(9), HALF, HALF);
        }
        assertEq(hub.round(id, 0).slots[1].content.digest, content(9).digest);
    }

    function test_missedSlots_areStrikesAndVotersStill() public {
        ExperimentId id = startExperiment(plural(4), 5);
        proposeIn(id, 0, 1);
        proposeIn(id, 0, 2);
        vm.prank(account(3));
        hub.decline(id, 0);
        passDeadline(id);
        assertEq(uint8(hub.duty(id, account(0))), uint8(Duty.Advance));
        hub.advance(id);
        Q.RoundView memory r = hub.round(id, 0);
        assertEq(uint8(r.phase), uint8(Phase.Voting));
        assertEq(uint8(r.slots[0].state), uint8(SlotState.Missed));
        assertEq(uint8(r.slots[3].state), uint8(SlotState.Declined));
        assertEq(hub.learner(id, account(0)).missedProposals, 1);
        assertEq(hub.learner(id, account(1)).missedProposals, 0);
        assertEq(hub.learner(id, account(3)).missedProposals, 0);
        for (uint256 i = 0; i < 5; ++i) {
            castVote(id, 0, i, 0);
        }
        assertFalse(hub.round(id, 0).byDeadline);
    }

    function test_roundWithoutProposals_closesAtTheDeadline() public {
        ExperimentId id = startExperiment(plural(2), 4);
        vm.prank(account(0));
        hub.decline(id, 0);
        passDeadline(id);
        vm.expectEmit(address(hub));
        emit C.RoundClosed(id, 0, Outcome.NoProposal, 0, new uint16[](2), 3);
        hub.advance(id);
        Q.RoundView memory r = hub.round(id, 0);
        assertTrue(r.byDeadline);
        assertEq(r.ballots, 0);
        assertEq(uint8(r.slots[0].state), uint8(SlotState.Declined));
        assertEq(uint8(r.slots[1].state), uint8(SlotState.Missed));
        assertEq(hub.learner(id, account(1)).missedProposals, 1);
    }

    function test_leaving_declinesAnOpenSlot() public {
        ExperimentId id = startExperiment(plural(2), 4);
        proposeIn(id, 0, 0);
        vm.prank(account(1));
        hub.leave(id);
        Q.RoundView memory r = hub.round(id, 0);
        assertEq(uint8(r.phase), uint8(Phase.Voting));
        assertEq(uint8(r.slots[1].state), uint8(SlotState.Declined));
        assertEq(r.slots[1].proposer, account(1));
        assertEq(hub.learner(id, account(1)).missedProposals, 0);
    }

    function test_removal_declinesAnOpenSlot() public {
        Params memory p = plural(2);
        p.maxStrikes = 1;
        p.lateJoin = true;
        ExperimentId id = startExperiment(p, 4);
        passDeadline(id);
        hub.advance(id); // 0 and 1 missed their proposals; 2 and 3 are next
        proposeWeights(id, 1);
        passDeadline(id);
        hub.advance(id); // nobody voted; 0 and 1 are next
        hub.remove(id, account(1));
        assertEq(uint8(hub.round(id, 2).slots[1].state), uint8(SlotState.Declined));
        assertEq(uint8(hub.round(id, 2).phase), uint8(Phase.Proposing));
        hub.remove(id, account(0));
        assertEq(uint8(hub.round(id, 2).outcome), uint8(Outcome.NoProposal));
    }

    // ------------------------------------------------------------------ current weights

    function test_current_areTheAcceptedProposals() public {
        ExperimentId id = startExperiment(plural(3), 5);
        _accept(id, 0, 5);
        assertEq(hub.currentWeights(id).length, 2);
        assertEq(hub.currentWeights(id)[0].digest, proposal(0, 0).digest);
        assertEq(hub.currentWeights(id)[1].digest, proposal(0, 2).digest);
        assertEq(hub.experiment(id).currentRound, 1);
        _accept(id, 1, 0); // rejected
        assertEq(hub.currentWeights(id).length, 2);
        assertEq(abi.encode(hub.experiment(id).current), abi.encode(hub.currentWeights(id)));
    }

    function test_current_areEmptyWithoutInitialWeights() public {
        Params memory p = plural(2);
        p.merge = Merge.Best;
        p.initial.codec = 0;
        p.initial.digest = 0;
        p.initial.sha256Hash = 0;
        p.initial.size = 0;
        ExperimentId id = startExperiment(p, 3);
        assertEq(hub.currentWeights(id).length, 0);
        _accept(id, 0, 3);
        assertEq(hub.currentWeights(id).length, 1);
    }

    function test_propose_refusesTheCurrentFileOnly() public {
        ExperimentId id = startExperiment(plural(2), 4);
        vm.expectRevert(C.Unchanged.selector);
        vm.prank(account(0));
        hub.propose(id, 0, content(2), HALF, HALF);
        _accept(id, 0, 2);
        vm.expectRevert(C.Unchanged.selector);
        vm.prank(account(2));
        hub.propose(id, 1, proposal(0, 1), HALF, HALF);
        _accept(id, 1, 3);
        vm.prank(account(0));
        hub.propose(id, 2, proposal(1, 0), HALF, HALF);
    }

    // ------------------------------------------------------------------ cancelling

    function test_cancel_abandonsARoundWithoutAVote() public {
        ExperimentId id = startExperiment(plural(3), 5);
        proposeIn(id, 0, 0);
        proposeIn(id, 0, 2);
        vm.expectEmit(address(hub));
        emit C.RoundClosed(id, 0, Outcome.Abandoned, 0, new uint16[](3), 4);
        vm.prank(creator);
        hub.cancel(id);
        Q.RoundView memory r = hub.round(id, 0);
        assertEq(uint8(r.slots[0].state), uint8(SlotState.Proposed));
        assertEq(uint8(r.slots[1].state), uint8(SlotState.Open));
        assertEq(r.ballots, 0);
        assertEq(r.votingStartedAt, 0);
        assertEq(uint8(hub.experiment(id).status), uint8(Status.Cancelled));
    }

    function test_cancel_waitsForTheVote() public {
        ExperimentId id = startExperiment(defaults(), 3);
        proposeWeights(id, 0);
        vm.expectEmit(address(hub));
        emit C.CancelRequested(id);
        vm.prank(creator);
        hub.cancel(id);
        assertTrue(hub.experiment(id).cancelRequested);
        assertEq(uint8(hub.experiment(id).status), uint8(Status.Running));
        expectError(C.WrongStatus.selector, abi.encode(Status.Running));
        vm.prank(address(0xBAD)); // the status is checked before the caller
        hub.cancel(id);
        castVote(id, 0, 1, 1);
        castVote(id, 0, 2, 1);
        assertEq(uint8(hub.round(id, 0).outcome), uint8(Outcome.Accepted));
        assertEq(uint8(hub.experiment(id).status), uint8(Status.Cancelled));
        assertEq(hub.currentWeights(id)[0].digest, proposal(0, 0).digest);
    }

    function test_cancel_duringTheLastRoundLetsItComplete() public {
        Params memory p = defaults();
        p.rounds = 1;
        ExperimentId id = startExperiment(p, 3);
        proposeWeights(id, 0);
        vm.prank(creator);
        hub.cancel(id);
        passDeadline(id);
        hub.advance(id);
        assertEq(uint8(hub.experiment(id).status), uint8(Status.Completed));
    }

    // ------------------------------------------------------------------ patience

    function test_patience_completesAfterRoundsWithoutProgress() public {
        Params memory p = defaults();
        p.patience = 2;
        ExperimentId id = startExperiment(p, 3);
        _declineAll(id, 0);
        proposeWeights(id, 1);
        castVote(id, 1, 0, 1);
        castVote(id, 1, 2, 1); // accepted: the count begins again
        _declineAll(id, 2);
        assertEq(uint8(hub.experiment(id).status), uint8(Status.Running));
        proposeWeights(id, 3);
        castVote(id, 3, 1, 0);
        vm.expectEmit(address(hub));
        emit C.ExperimentCompleted(id);
        castVote(id, 3, 2, 0);
        assertEq(uint8(hub.experiment(id).status), uint8(Status.Completed));
    }

    function test_cancelRequest_goesBeforePatience() public {
        Params memory p = defaults();
        p.patience = 1;
        ExperimentId id = startExperiment(p, 3);
        proposeWeights(id, 0);
        vm.prank(creator);
        hub.cancel(id);
        castVote(id, 0, 1, 0);
        castVote(id, 0, 2, 0);
        assertEq(uint8(hub.experiment(id).status), uint8(Status.Cancelled));
    }

    function test_patience_goesBeforeTheLackOfLearners() public {
        Params memory p = defaults();
        p.patience = 1;
        ExperimentId id = startExperiment(p, 2);
        vm.prank(account(0));
        hub.leave(id);
        assertEq(uint8(hub.experiment(id).status), uint8(Status.Completed));
    }

    // ------------------------------------------------------------------ helpers

    /// @dev All proposers decline, which closes the round.
    function _declineAll(ExperimentId id, uint32 round) private {
        Q.SlotView[] memory slots = hub.round(id, round).slots;
        for (uint256 slot = 0; slot < slots.length; ++slot) {
            if (slots[slot].state != SlotState.Open) continue;
            vm.prank(slots[slot].proposer);
            try hub.decline(id, round) {} catch {}
        }
    }

    /// @dev All propose, and all voters approve this set of slots.
    function _accept(ExperimentId id, uint32 round, uint16 approvals) private {
        proposeWeights(id, round);
        Q.SlotView[] memory slots = hub.round(id, round).slots;
        uint32 learners = hub.experiment(id).joinedLearners;
        for (uint256 i = 0; i < learners; ++i) {
            uint16 others = approvals;
            for (uint256 slot = 0; slot < slots.length; ++slot) {
                if (slots[slot].proposer == account(i)) others &= ~uint16(1 << slot);
            }
            castVote(id, round, i, others);
        }
    }

    function _assertFair(uint256[] memory turns) private pure {
        uint256 least = turns[0];
        uint256 most = turns[0];
        for (uint256 i = 1; i < turns.length; ++i) {
            if (turns[i] < least) least = turns[i];
            if (turns[i] > most) most = turns[i];
        }
        assertLe(most, least + 2, "more than a turn ahead");
    }

    function _refusesProposer(ExperimentId id, uint256 i) private {
        bytes memory wanted = abi.encode(account(i));
        expectError(C.NotProposer.selector, wanted);
        vm.prank(account(i));
        hub.propose(id, 0, content(50), HALF, HALF);
        expectError(C.NotProposer.selector, wanted);
        vm.prank(account(i));
        hub.decline(id, 0);
    }
}
