// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ICollectiveLearningCalls as C, ICollectiveLearningQueries as Q} from "../src/ICollectiveLearning.sol";
import {BallotState, Duty, Merge, Outcome, Phase, SkipReason} from "../src/types/Enums.sol";
import {ExperimentId} from "../src/types/ExperimentId.sol";
import {Params} from "../src/types/Params.sol";
import {Base} from "./Base.sol";

/// @notice Open, signed and secret ballots on one and on several proposals.
contract VotingTest is Base {
    // ------------------------------------------------------------------ open ballots

    function test_oneBallot_judgesAllProposals() public {
        ExperimentId id = startExperiment(plural(3), 5);
        proposeWeights(id, 0);
        vm.expectEmit(address(hub));
        emit C.VoteCast(id, 0, account(4), 5, scores(3));
        castVote(id, 0, 4, 5);
        Q.RoundView memory r = hub.round(id, 0);
        assertEq(r.slots[0].approvals, 1);
        assertEq(r.slots[1].approvals, 0);
        assertEq(r.slots[2].approvals, 1);
        assertEq(r.ballots, 1);
        assertEq(hub.ballot(id, 0, account(4)).approvals, 5);
        assertEq(uint8(hub.ballot(id, 0, account(4)).state), uint8(BallotState.Cast));
    }

    function test_proposer_judgesTheOthersOnly() public {
        ExperimentId id = startExperiment(plural(3), 5);
        proposeWeights(id, 0);
        assertEq(uint8(hub.duty(id, account(1))), uint8(Duty.Vote));
        _refusesVote(id, 1, 2, "approvals");
        castVote(id, 0, 1, 5);
        assertEq(uint8(hub.duty(id, account(1))), uint8(Duty.Wait));
    }

    function test_slotsWithoutAProposal_cannotBeApproved() public {
        ExperimentId id = startExperiment(plural(3), 5);
        proposeIn(id, 0, 0);
        proposeIn(id, 0, 2);
        vm.prank(account(1));
        hub.decline(id, 0);
        _refusesVote(id, 1, 2, "approvals");
        _refusesVote(id, 4, 8, "approvals");
        castVote(id, 0, 1, 5);
    }

    function test_scores_haveOnePairForEachProposalAndOneMore() public {
        ExperimentId id = startExperiment(plural(3), 5);
        proposeWeights(id, 0);
        bytes32 digest = digestOf(id, 0);
        for (uint256 n = 0; n < 6; ++n) {
            if (n == 3) continue;
            expectError(C.InvalidParameter.selector, abi.encode("scores"));
            vm.prank(account(4));
            hub.vote(id, 0, digest, 0, scores(n));
        }
        expectError(C.InvalidParameter.selector, abi.encode("scores"));
        vm.prank(account(4));
        hub.vote(id, 0, digest, 0, bytes.concat(scores(3), hex"00"));
    }

    function test_onlyProposer_hasNoVote() public {
        ExperimentId id = startExperiment(plural(2), 4);
        proposeIn(id, 0, 1);
        vm.prank(account(0));
        hub.decline(id, 0);
        assertEq(digestOf(id, 0), proposal(0, 1).sha256Hash);
        assertFalse(hub.ballot(id, 0, account(1)).eligible);
        assertEq(uint8(hub.duty(id, account(1))), uint8(Duty.Wait));
        bytes32 digest = digestOf(id, 0);
        expectError(C.NotEligible.selector, abi.encode(account(1)));
        vm.prank(account(1));
        hub.vote(id, 0, digest, 0, scores(1));
        castVote(id, 0, 0, 2);
        castVote(id, 0, 2, 2);
        castVote(id, 0, 3, 0);
        assertEq(uint8(hub.round(id, 0).phase), uint8(Phase.Closed));
        assertEq(hub.currentWeights(id)[0].digest, proposal(0, 1).digest);
    }

    function test_ballotOnOtherProposals_isRefused() public {
        ExperimentId id = startExperiment(plural(2), 4);
        proposeWeights(id, 0);
        bytes32 digest = digestOf(id, 0);
        bytes32 swapped = sha256(
            abi.encodePacked(uint8(0), proposal(0, 1).sha256Hash, uint8(1), proposal(0, 0).sha256Hash)
        );
        bytes memory wrong = abi.encode(digest);
        expectError(C.WrongProposals.selector, wrong);
        vm.prank(account(2));
        hub.vote(id, 0, swapped, 0, scores(2));
        bytes memory ballot = signedBallot(id, 0, 2, 0, swapped, scores(2));
        expectError(C.WrongProposals.selector, wrong);
        hub.voteSigned(id, 0, swapped, ballot);
    }

    function test_round_closesWhenEveryVotersBallotIsIn() public {
        ExperimentId id = startExperiment(plural(2), 4);
        proposeWeights(id, 0);
        castVote(id, 0, 0, 2);
        castVote(id, 0, 1, 1);
        castVote(id, 0, 2, 3);
        assertEq(uint8(hub.round(id, 0).phase), uint8(Phase.Voting));
        vm.expectEmit(address(hub));
        uint16[] memory approvals = new uint16[](2);
        (approvals[0], approvals[1]) = (2, 2);
        emit C.RoundClosed(id, 0, Outcome.Accepted, 3, approvals, 3);
        castVote(id, 0, 3, 0);
        assertFalse(hub.round(id, 0).byDeadline);
        assertEq(hub.currentWeights(id).length, 2);
        assertEq(hub.currentWeights(id)[1].digest, proposal(0, 1).digest);
    }

    function test_learnerThatLeft_mayStillVote() public {
        ExperimentId id = startExperiment(plural(2), 5);
        proposeWeights(id, 0);
        vm.prank(account(3));
        hub.leave(id);
        castVote(id, 0, 3, 3);
        assertEq(hub.round(id, 0).slots[1].approvals, 1);
    }

    /// @dev At the borders of words: 85 ballots each with 2 slots, 28 with 8, 15 with 16.
    function test_ballotsOfDifferentWords_areKeptApart() public {
        uint8[4] memory slots = [1, 2, 8, 16];
        for (uint256 k = 0; k < 4; ++k) {
            ExperimentId id = startExperiment(plural(slots[k]), 130);
            proposeWeights(id, 0);
            uint256 voters = hub.round(id, 0).eligible;
            uint16 all = uint16((1 << slots[k]) - 1);
            for (uint256 i = slots[k]; i <= voters; i += 7) {
                castVote(id, 0, i, i % 2 == 0 ? all : 0);
            }
            for (uint256 i = 0; i <= voters; ++i) {
                bool voted = i >= slots[k] && (i - slots[k]) % 7 == 0;
                Q.BallotView memory b = hub.ballot(id, 0, account(i));
                assertEq(uint8(b.state), uint8(voted ? BallotState.Cast : BallotState.None));
                assertEq(b.approvals, voted && i % 2 == 0 ? all : 0);
            }
        }
    }

    /// @dev Compares outcomes and counts with a naive count.
    function testFuzz_outcome_equalsTheCountOfBallots(uint256 choices, uint8 k, uint16 bps, bool best)
        public
    {
        Params memory p = plural(uint8(bound(k, 2, 6)));
        p.approvalBps = uint16(bound(bps, 1, 10_000));
        p.merge = best ? Merge.Best : Merge.Mean;
        ExperimentId id = startExperiment(p, 7);
        proposeWeights(id, 0);
        uint16[6] memory approvals;
        for (uint256 i = 0; i < 7; ++i) {
            uint16 chosen =
                uint16(uint256(keccak256(abi.encode(choices, i)))) & uint16((1 << p.proposers) - 1);
            if (i < p.proposers) chosen &= ~uint16(1 << i);
            for (uint256 slot = 0; slot < 6; ++slot) {
                if ((chosen >> slot) & 1 == 1) ++approvals[slot];
            }
            castVote(id, 0, i, chosen);
        }
        Q.RoundView memory r = hub.round(id, 0);
        assertEq(uint8(r.phase), uint8(Phase.Closed));
        uint256 most = 0;
        bool any = false;
        for (uint256 slot = 0; slot < p.proposers; ++slot) {
            if (approvals[slot] > approvals[most]) most = slot;
            any = any || approvals[slot] >= r.needed;
        }
        for (uint256 slot = 0; slot < p.proposers; ++slot) {
            assertEq(r.slots[slot].approvals, approvals[slot]);
            bool passed = approvals[slot] >= r.needed;
            assertEq(r.slots[slot].accepted, passed && (!best || slot == most));
        }
        assertEq(uint8(r.outcome), uint8(any ? Outcome.Accepted : Outcome.Rejected));
    }

    // ------------------------------------------------------------------ settling early

    function test_settlingEarly_waitsUntilEverySlotIsFixed() public {
        Params memory p = plural(2);
        p.settleEarly = true;
        ExperimentId id = startExperiment(p, 5); // 4 eligible, 2 needed, 5 voters
        proposeWeights(id, 0);
        castVote(id, 0, 2, 1);
        castVote(id, 0, 3, 1); // slot 0 has passed, slot 1 may get 3 more
        assertEq(uint8(hub.round(id, 0).phase), uint8(Phase.Voting));
        castVote(id, 0, 4, 0);
        assertEq(uint8(hub.round(id, 0).phase), uint8(Phase.Voting));
        castVote(id, 0, 1, 0); // one voter is left
        assertEq(uint8(hub.round(id, 0).outcome), uint8(Outcome.Accepted));
        assertTrue(hub.round(id, 0).slots[0].accepted);
    }

    function test_settlingEarly_withBestWaitsIfTwoHavePassed() public {
        Params memory p = plural(2);
        p.settleEarly = true;
        p.merge = Merge.Best;
        p.approvalBps = 2_500;
        ExperimentId id = startExperiment(p, 5); // 1 needed
        proposeWeights(id, 0);
        castVote(id, 0, 2, 3);
        castVote(id, 0, 3, 2);
        castVote(id, 0, 4, 0);
        castVote(id, 0, 0, 0);
        assertEq(uint8(hub.round(id, 0).phase), uint8(Phase.Voting));
        castVote(id, 0, 1, 0);
        assertEq(uint8(hub.round(id, 0).outcome), uint8(Outcome.Accepted));
        assertEq(hub.currentWeights(id)[0].digest, proposal(0, 1).digest);
    }

    function test_settlingEarly_closesAHopelessVoteWhenRevealingWouldBegin() public {
        Params memory p = plural(2);
        p.settleEarly = true;
        p.revealWindow = uint32(WINDOW);
        ExperimentId id = startExperiment(p, 5);
        proposeWeights(id, 0);
        commitBallot(id, 0, 2, 3, "salt"); // 2 are needed
        passDeadline(id);
        hub.advance(id);
        Q.RoundView memory r = hub.round(id, 0);
        assertEq(uint8(r.outcome), uint8(Outcome.Rejected));
        assertTrue(r.byDeadline);
        assertEq(r.commitments, 1);
        assertEq(r.ballots, 0);
        assertEq(r.revealStartedAt, 0);
    }

    // ------------------------------------------------------------------ signed ballots

    function test_voteSigned_countsGoodBallotsAndReportsBadOnes() public {
        ExperimentId id = startExperiment(defaults(), 6);
        proposeWeights(id, 0);
        bytes memory forged = signedBallot(id, 0, 2, 1);
        forged[21] = 0;
        bytes memory batch = bytes.concat(
            signedBallot(id, 0, 1, 1),
            signedBallot(id, 0, 1, 1),
            signedBallot(id, 0, 0, 1),
            signedBallot(id, 0, 9, 1),
            forged,
            signedBallot(id, 0, 2, 2),
            signedBallot(id, 0, 3, 0)
        );
        bytes32 digest = digestOf(id, 0);
        vm.expectEmit(address(hub));
        emit C.VoteCast(id, 0, account(1), 1, scores(1));
        _expectSkipped(id, 1, SkipReason.AlreadyVoted);
        _expectSkipped(id, 0, SkipReason.NotEligible);
        _expectSkipped(id, 9, SkipReason.NotALearner);
        _expectSkipped(id, 2, SkipReason.BadSignature);
        _expectSkipped(id, 2, SkipReason.InvalidBallot);
        vm.expectEmit(address(hub));
        emit C.VoteCast(id, 0, account(3), 0, scores(1));
        vm.prank(address(0xBEEF));
        hub.voteSigned(id, 0, digest, batch);
        assertEq(hub.round(id, 0).slots[0].approvals, 1);
        assertEq(hub.round(id, 0).ballots, 2);
    }

    function test_voteSigned_countsTheWholeBatchBeforeTheRoundCloses() public {
        Params memory p = plural(2);
        p.settleEarly = true;
        ExperimentId id = startExperiment(p, 5);
        proposeWeights(id, 0);
        bytes memory batch;
        for (uint256 i = 0; i < 5; ++i) {
            batch = bytes.concat(batch, signedBallot(id, 0, i, i < 2 ? 0 : 3));
        }
        hub.voteSigned(id, 0, digestOf(id, 0), batch);
        Q.RoundView memory r = hub.round(id, 0);
        assertEq(r.ballots, 5);
        assertEq(r.slots[0].approvals, 3);
        assertEq(r.slots[1].approvals, 3);
        assertEq(uint8(r.phase), uint8(Phase.Closed));
    }

    function test_voteSigned_skipsAnApprovalOfTheOwnProposal() public {
        ExperimentId id = startExperiment(plural(2), 5);
        proposeWeights(id, 0);
        bytes memory ballot = signedBallot(id, 0, 1, 2);
        bytes32 digest = digestOf(id, 0);
        _expectSkipped(id, 1, SkipReason.InvalidBallot);
        hub.voteSigned(id, 0, digest, ballot);
        assertEq(hub.round(id, 0).ballots, 0);
    }

    // ------------------------------------------------------------------ secret ballots

    function test_secretBallots_areCommittedThenRevealed() public {
        Params memory p = plural(2);
        p.revealWindow = uint32(WINDOW);
        ExperimentId id = startExperiment(p, 3);
        proposeWeights(id, 0);
        for (uint256 i = 0; i < 3; ++i) {
            assertEq(uint8(hub.duty(id, account(i))), uint8(Duty.Commit));
            assertEq(hub.round(id, 0).commitments, i);
            commitBallot(id, 0, i, i == 2 ? 3 : 0, bytes32(i));
        }
        assertEq(uint8(hub.round(id, 0).phase), uint8(Phase.Revealing));
        assertEq(hub.round(id, 0).revealStartedAt, vm.getBlockTimestamp());
        assertEq(uint8(hub.duty(id, account(2))), uint8(Duty.Reveal));
        expectError(C.BadReveal.selector, abi.encode(account(2)));
        vm.prank(account(2));
        hub.reveal(id, 0, 2, scores(2), bytes32(uint256(2)));
        for (uint256 i = 0; i < 3; ++i) {
            assertEq(hub.round(id, 0).ballots, i);
            revealBallot(id, 0, i, i == 2 ? 3 : 0, bytes32(i));
        }
        Q.RoundView memory r = hub.round(id, 0);
        assertEq(r.commitments, 3);
        assertEq(r.ballots, 3);
        assertEq(uint8(r.outcome), uint8(Outcome.Accepted));
        assertEq(hub.currentWeights(id).length, 2);
    }

    function test_reveal_refusesACopiedCommitment() public {
        Params memory p = defaults();
        p.revealWindow = uint32(WINDOW);
        ExperimentId id = startExperiment(p, 3);
        proposeWeights(id, 0);
        bytes32 copied = commitment(id, 0, 1, 1, bytes32(uint256(1)));
        bytes32 digest = digestOf(id, 0);
        for (uint256 i = 1; i < 3; ++i) {
            vm.prank(account(i));
            hub.commit(id, 0, digest, copied);
        }
        expectError(C.BadReveal.selector, abi.encode(account(2)));
        vm.prank(account(2));
        hub.reveal(id, 0, 1, scores(1), bytes32(uint256(1)));
    }

    /// @dev The commitment is checked first, then the ballot.
    function test_reveal_refusesACommittedBallotThatIsNotValid() public {
        Params memory p = plural(2);
        p.revealWindow = uint32(WINDOW);
        ExperimentId id = startExperiment(p, 3);
        proposeWeights(id, 0);
        commitBallot(id, 0, 0, 1, "own");
        commitBallot(id, 0, 1, 1, "fine");
        commitBallot(id, 0, 2, 4, "none");
        expectError(C.InvalidParameter.selector, abi.encode("approvals"));
        vm.prank(account(0));
        hub.reveal(id, 0, 1, scores(2), "own");
        expectError(C.InvalidParameter.selector, abi.encode("approvals"));
        vm.prank(account(2));
        hub.reveal(id, 0, 4, scores(2), "none");
        revealBallot(id, 0, 1, 1, "fine");
        assertEq(uint8(hub.ballot(id, 0, account(0)).state), uint8(BallotState.Committed));
        assertEq(uint8(hub.ballot(id, 0, account(1)).state), uint8(BallotState.Cast));
    }

    function test_revealing_staysOpenWhileAVoterIsAbsent() public {
        Params memory p = plural(2);
        p.revealWindow = uint32(WINDOW);
        ExperimentId id = startExperiment(p, 4);
        proposeWeights(id, 0);
        commitBallot(id, 0, 2, 3, "a");
        commitBallot(id, 0, 3, 3, "b");
        passDeadline(id);
        hub.advance(id);
        revealBallot(id, 0, 2, 3, "a");
        revealBallot(id, 0, 3, 3, "b");
        assertEq(uint8(hub.round(id, 0).phase), uint8(Phase.Revealing));
        passDeadline(id);
        hub.advance(id);
        assertEq(uint8(hub.round(id, 0).outcome), uint8(Outcome.Accepted));
        assertEq(hub.learner(id, account(0)).missedBallots, 1);
        assertEq(hub.learner(id, account(2)).missedBallots, 0);
    }

    // ------------------------------------------------------------------ helpers

    function _refusesVote(ExperimentId id, uint256 i, uint16 approvals, string memory name) private {
        bytes32 digest = digestOf(id, 0);
        bytes memory list = scoresOf(id, 0);
        expectError(C.InvalidParameter.selector, abi.encode(name));
        vm.prank(account(i));
        hub.vote(id, 0, digest, approvals, list);
    }

    function _expectSkipped(ExperimentId id, uint256 i, SkipReason reason) private {
        vm.expectEmit(address(hub));
        emit C.BallotSkipped(id, 0, account(i), reason);
    }
}
