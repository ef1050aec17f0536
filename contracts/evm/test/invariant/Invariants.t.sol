// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ICollectiveLearningQueries as Q} from "../../src/ICollectiveLearning.sol";
import {Phase, Selection, Status} from "../../src/types/Enums.sol";
import {ExperimentId} from "../../src/types/ExperimentId.sol";
import {Params} from "../../src/types/Params.sol";
import {Base} from "../Base.sol";
import {Handler} from "./Handler.sol";

/// @notice Properties that hold after any sequence of calls, for open and secret ballots, both selections and
/// early settling.
/// @dev One experiment per contract: with a shared clock, the windows of all others would expire.
abstract contract Invariants is Base {
    Handler private handler;

    function setUp() public override {
        super.setUp();
        Params memory p = defaults();
        p.rounds = 20;
        p.lateJoin = true;
        p.maxStrikes = 4;
        _shape(p);
        ExperimentId[] memory ids = new ExperimentId[](1);
        ids[0] = startExperiment(p, 4);
        handler = new Handler(hub, ids);
        targetContract(address(handler));
        targetSelector(FuzzSelector(address(handler), _calls()));
    }

    function invariant_strikesEqualTheNaiveCount() public view {
        for (uint256 k = 0; k < handler.count(); ++k) {
            ExperimentId id = handler.ids(k);
            Q.LearnerView[] memory learners = hub.learners(id, 0, 100);
            for (uint256 i = 0; i < learners.length; ++i) {
                assertEq(learners[i].strikes, handler.strikes(id, learners[i].account));
            }
        }
    }

    function invariant_ballotsNeverExceedTheEligible() public view {
        for (uint256 k = 0; k < handler.count(); ++k) {
            Q.RoundView[] memory rounds = hub.rounds(handler.ids(k), 0, 100);
            for (uint256 i = 0; i < rounds.length; ++i) {
                assertLe(uint256(rounds[i].approvals) + rounds[i].rejections, rounds[i].eligible);
                assertLe(rounds[i].commitments, rounds[i].eligible);
            }
        }
    }

    function invariant_closedRoundsNeverChange() public view {
        for (uint256 k = 0; k < handler.count(); ++k) {
            ExperimentId id = handler.ids(k);
            Q.RoundView[] memory rounds = hub.rounds(id, 0, 100);
            for (uint256 i = 0; i < rounds.length; ++i) {
                if (rounds[i].phase != Phase.Closed) continue;
                assertEq(handler.closedAs(id, uint32(i)), keccak256(abi.encode(rounds[i])));
            }
        }
    }

    function invariant_onlyMembersActOnceAndRoundsMoveForward() public view {
        assertFalse(handler.strangerActed(), "a stranger acted");
        assertFalse(handler.votedTwice(), "a ballot counted twice");
        assertFalse(handler.wentBack(), "a round or status went back");
    }

    /// @dev Continues from the state that the run ended in.
    function afterInvariant() public {
        for (uint256 k = 0; k < handler.count(); ++k) {
            ExperimentId id = handler.ids(k);
            for (uint256 i = 0; i < 60 && hub.experiment(id).status == Status.Running; ++i) {
                uint40 deadline = hub.round(id, hub.experiment(id).round).deadline;
                if (vm.getBlockTimestamp() < deadline) vm.warp(deadline);
                hub.advance(id);
            }
            assertGt(uint8(hub.experiment(id).status), uint8(Status.Running), "stuck");
        }
    }

    /// @dev Selectors are listed: the handler inherits `setUp`, which would replace the contract.
    function _calls() private pure returns (bytes4[] memory calls) {
        calls = new bytes4[](13);
        calls[0] = Handler.join.selector;
        calls[1] = Handler.leave.selector;
        calls[2] = Handler.remove.selector;
        calls[3] = Handler.propose.selector;
        calls[4] = Handler.decline.selector;
        calls[5] = Handler.vote.selector;
        calls[6] = Handler.voteSigned.selector;
        calls[7] = Handler.commit.selector;
        calls[8] = Handler.reveal.selector;
        calls[9] = Handler.advance.selector;
        calls[10] = Handler.intrude.selector;
        calls[11] = Handler.commitAll.selector;
        calls[12] = Handler.revealMost.selector;
    }

    function _shape(Params memory p) internal pure virtual;
}

/// forge-config: default.invariant.runs = 32
/// forge-config: default.invariant.depth = 100
/// forge-config: default.invariant.fail-on-revert = true
contract OpenBallotsInvariantsTest is Invariants {
    function _shape(Params memory p) internal pure override {
        p.selection = Selection.RoundRobin;
    }
}

/// forge-config: default.invariant.runs = 32
/// forge-config: default.invariant.depth = 100
/// forge-config: default.invariant.fail-on-revert = true
contract SecretBallotsInvariantsTest is Invariants {
    function _shape(Params memory p) internal pure override {
        p.revealWindow = uint32(WINDOW);
        p.selection = Selection.Random;
    }
}

/// forge-config: default.invariant.runs = 32
/// forge-config: default.invariant.depth = 100
/// forge-config: default.invariant.fail-on-revert = true
contract SettlingEarlyInvariantsTest is Invariants {
    function _shape(Params memory p) internal pure override {
        p.settleEarly = true;
    }
}
