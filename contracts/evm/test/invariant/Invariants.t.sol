// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ICollectiveLearningQueries as Q} from "../../src/ICollectiveLearning.sol";
import {ContentRef} from "../../src/types/ContentRef.sol";
import {BallotState, Merge, Outcome, Phase, Selection, Status} from "../../src/types/Enums.sol";
import {ExperimentId} from "../../src/types/ExperimentId.sol";
import {Params} from "../../src/types/Params.sol";
import {Base} from "../Base.sol";
import {Handler} from "./Handler.sol";

/// @notice Properties that hold after any sequence of calls, for one and several proposers, open and secret ballots,
/// both selections, both merges and early settling.
abstract contract Invariants is Base {
    Handler private handler;
    ExperimentId private id;

    function setUp() public override {
        super.setUp();
        Params memory p = defaults();
        p.rounds = 20;
        p.lateJoin = true;
        p.maxStrikes = 4;
        _shape(p);
        id = startExperiment(p, 4);
        handler = new Handler(hub, id, creator);
        targetContract(address(handler));
        targetSelector(FuzzSelector(address(handler), _calls()));
    }

    function invariant_missedDutiesEqualTheNaiveCount() public view {
        Q.LearnerView[] memory learners = hub.learners(id, 0, 100);
        for (uint256 i = 0; i < learners.length; ++i) {
            assertEq(learners[i].missedProposals, handler.missedProposals(learners[i].account));
            assertEq(learners[i].missedBallots, handler.missedBallots(learners[i].account));
        }
    }

    /// @dev Approvals, ballots and outcomes follow from the ballots of all learners.
    function invariant_outcomesFollowFromTheBallots() public view {
        Merge merge = hub.experiment(id).params.merge;
        Q.RoundView[] memory rounds = hub.rounds(id, 0, 100);
        for (uint32 i = 0; i < rounds.length; ++i) {
            assertLe(rounds[i].ballots, uint256(rounds[i].eligible) + 1);
            assertLe(rounds[i].commitments, uint256(rounds[i].eligible) + 1);
            _assertCounts(rounds[i], hub.ballots(id, i, 0, 100));
            _assertOutcome(rounds[i], merge);
        }
    }

    function invariant_nobodyIsSelectedTwiceInARound() public view {
        Q.RoundView[] memory rounds = hub.rounds(id, 0, 100);
        for (uint256 i = 0; i < rounds.length; ++i) {
            for (uint256 slot = 1; slot < rounds[i].slots.length; ++slot) {
                for (uint256 other = 0; other < slot; ++other) {
                    assertNotEq(rounds[i].slots[other].proposer, rounds[i].slots[slot].proposer);
                }
            }
        }
    }

    function invariant_currentWeightsAreTheLastAcceptedProposals() public view {
        Q.RoundView[] memory rounds = hub.rounds(id, 0, 100);
        ContentRef[] memory current = hub.currentWeights(id);
        for (uint256 i = rounds.length; i > 0; --i) {
            if (rounds[i - 1].outcome != Outcome.Accepted) continue;
            uint256 found = 0;
            for (uint256 slot = 0; slot < rounds[i - 1].slots.length; ++slot) {
                Q.SlotView memory s = rounds[i - 1].slots[slot];
                if (!s.accepted) continue;
                assertEq(abi.encode(current[found]), abi.encode(s.content));
                ++found;
            }
            assertEq(found, current.length);
            return;
        }
        assertEq(abi.encode(current[0]), abi.encode(hub.experiment(id).params.initial));
    }

    function invariant_closedRoundsNeverChange() public view {
        Q.RoundView[] memory rounds = hub.rounds(id, 0, 100);
        for (uint256 i = 0; i < rounds.length; ++i) {
            if (rounds[i].phase != Phase.Closed) continue;
            assertEq(handler.closedAs(uint32(i)), keccak256(abi.encode(rounds[i])));
        }
    }

    function invariant_onlyMembersActOnceAndRoundsMoveForward() public view {
        assertFalse(handler.strangerActed(), "a stranger acted");
        assertFalse(handler.votedTwice(), "a ballot counted twice");
        assertFalse(handler.votedOnOtherProposals(), "a ballot counted for what it does not name");
        assertFalse(handler.wentBack(), "a round or status went back");
    }

    /// @dev Continues from the state that the run ended in.
    function afterInvariant() public {
        for (uint256 i = 0; i < 60 && hub.experiment(id).status == Status.Running; ++i) {
            uint40 deadline = hub.round(id, hub.experiment(id).round).deadline;
            if (vm.getBlockTimestamp() < deadline) vm.warp(deadline);
            hub.advance(id);
        }
        assertGt(uint8(hub.experiment(id).status), uint8(Status.Running), "stuck");
    }

    function _assertOutcome(Q.RoundView memory r, Merge merge) private pure {
        bool voted = r.outcome == Outcome.Accepted || r.outcome == Outcome.Rejected;
        uint256 accepted = 0;
        for (uint256 slot = 0; slot < r.slots.length; ++slot) {
            Q.SlotView memory s = r.slots[slot];
            if (s.accepted) ++accepted;
            if (s.accepted) assertGe(s.approvals, r.needed);
            if (voted && merge == Merge.Mean) assertEq(s.accepted, s.approvals >= r.needed);
        }
        assertEq(r.outcome == Outcome.Accepted, accepted != 0);
        if (merge == Merge.Best) assertLe(accepted, 1);
    }

    function _assertCounts(Q.RoundView memory r, Q.BallotView[] memory ballots) private pure {
        uint256 cast = 0;
        for (uint256 i = 0; i < ballots.length; ++i) {
            if (ballots[i].state == BallotState.Cast) ++cast;
            else assertEq(ballots[i].approvals, 0);
        }
        assertEq(r.ballots, cast);
        for (uint256 slot = 0; slot < r.slots.length; ++slot) {
            uint256 approvals = 0;
            for (uint256 i = 0; i < ballots.length; ++i) {
                approvals += (ballots[i].approvals >> slot) & 1;
            }
            assertEq(r.slots[slot].approvals, approvals);
        }
    }

    /// @dev Selectors are listed: the handler inherits `setUp`, which would replace the contract.
    function _calls() private pure returns (bytes4[] memory calls) {
        calls = new bytes4[](16);
        calls[0] = Handler.join.selector;
        calls[1] = Handler.leave.selector;
        calls[2] = Handler.remove.selector;
        calls[3] = Handler.cancel.selector;
        calls[4] = Handler.propose.selector;
        calls[5] = Handler.proposeMost.selector;
        calls[6] = Handler.decline.selector;
        calls[7] = Handler.vote.selector;
        calls[8] = Handler.voteMost.selector;
        calls[9] = Handler.voteSigned.selector;
        calls[10] = Handler.commit.selector;
        calls[11] = Handler.commitAll.selector;
        calls[12] = Handler.reveal.selector;
        calls[13] = Handler.revealMost.selector;
        calls[14] = Handler.advance.selector;
        calls[15] = Handler.intrude.selector;
    }

    function _shape(Params memory p) internal pure virtual;
}

/// forge-config: default.invariant.runs = 12
/// forge-config: default.invariant.depth = 100
/// forge-config: default.invariant.fail-on-revert = true
contract ClassicOpenInvariantsTest is Invariants {
    function _shape(Params memory p) internal pure override {
        p.selection = Selection.RoundRobin;
    }
}

/// forge-config: default.invariant.runs = 12
/// forge-config: default.invariant.depth = 100
/// forge-config: default.invariant.fail-on-revert = true
contract ClassicSecretInvariantsTest is Invariants {
    function _shape(Params memory p) internal pure override {
        p.revealWindow = uint32(WINDOW);
        p.selection = Selection.Random;
        p.settleEarly = true;
    }
}

/// forge-config: default.invariant.runs = 12
/// forge-config: default.invariant.depth = 100
/// forge-config: default.invariant.fail-on-revert = true
contract PluralOpenInvariantsTest is Invariants {
    function _shape(Params memory p) internal pure override {
        p.proposers = 3;
        p.selection = Selection.Random;
    }
}

/// forge-config: default.invariant.runs = 12
/// forge-config: default.invariant.depth = 100
/// forge-config: default.invariant.fail-on-revert = true
contract PluralSecretInvariantsTest is Invariants {
    function _shape(Params memory p) internal pure override {
        p.proposers = 2;
        p.revealWindow = uint32(WINDOW);
        p.patience = 8;
    }
}

/// forge-config: default.invariant.runs = 12
/// forge-config: default.invariant.depth = 100
/// forge-config: default.invariant.fail-on-revert = true
contract BestInvariantsTest is Invariants {
    function _shape(Params memory p) internal pure override {
        p.proposers = 16;
        p.merge = Merge.Best;
        p.settleEarly = true;
        p.selection = Selection.Random;
    }
}
