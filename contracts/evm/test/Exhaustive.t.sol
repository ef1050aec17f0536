// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ICollectiveLearningCalls as C, ICollectiveLearningQueries as Q} from "../src/ICollectiveLearning.sol";
import {Phase, Status} from "../src/types/Enums.sol";
import {ExperimentId} from "../src/types/ExperimentId.sol";
import {Params} from "../src/types/Params.sol";
import {Base} from "./Base.sol";

/// @notice Tries every sequence of calls up to a depth, with three learners and two rounds. From each state, time
/// and `advance` alone must end the experiment, and the counts must add up.
/// @dev The environment variable EXHAUSTIVE_DEPTH sets the depth; each step takes about five times as long.
contract ExhaustiveTest is Base {
    uint256 private constant LEARNERS = 3;
    bytes32 private constant SALT = bytes32(uint256(5));

    function test_openBallots_neverGetStuck() public {
        Params memory p = defaults();
        _explore(p);
    }

    function test_earlySettling_neverGetsStuck() public {
        Params memory p = defaults();
        p.settleEarly = true;
        p.maxStrikes = 1;
        _explore(p);
    }

    function test_secretBallots_neverGetStuck() public {
        Params memory p = defaults();
        p.revealWindow = uint32(WINDOW);
        _explore(p);
    }

    function _explore(Params memory p) private {
        p.rounds = 2;
        ExperimentId id = startExperiment(p, LEARNERS);
        assertGt(
            _walk(id, vm.envOr("EXHAUSTIVE_DEPTH", uint256(5))), 1_000, "too few states to mean anything"
        );
    }

    /// @return states How many states were reached.
    function _walk(ExperimentId id, uint256 depth) private returns (uint256 states) {
        states = 1;
        _check(id);
        if (depth == 0 || hub.experiment(id).status != Status.Running) return states;
        uint32 round = hub.experiment(id).round;
        for (uint256 move = 0; move < 8; ++move) {
            for (uint256 i = 0; i < LEARNERS; ++i) {
                uint256 here = vm.snapshotState();
                if (_move(id, round, move, i)) states += _walk(id, depth - 1);
                vm.revertToStateAndDelete(here);
            }
        }
    }

    /// @return done Whether the call succeeded. Calls that do not depend on the learner are made once.
    function _move(ExperimentId id, uint32 round, uint256 move, uint256 i) private returns (bool done) {
        if (move < 2 && hub.round(id, round).proposer != account(i)) return false;
        if (move == 7) {
            if (i > 0) return false;
            vm.warp(hub.round(id, round).deadline);
        }
        bytes memory call;
        if (move == 0) call = abi.encodeCall(C.propose, (id, round, content(100 + round), HALF, HALF));
        if (move == 1) call = abi.encodeCall(C.decline, (id, round));
        if (move == 2) call = abi.encodeCall(C.vote, (id, round, true, HALF, HALF));
        if (move == 3) call = abi.encodeCall(C.vote, (id, round, false, HALF, HALF));
        if (move == 4) call = abi.encodeCall(C.commit, (id, round, commitment(id, round, i, true, SALT)));
        if (move == 5) call = abi.encodeCall(C.reveal, (id, round, true, HALF, HALF, SALT));
        if (move == 6) call = abi.encodeCall(C.leave, (id));
        if (move == 7) call = abi.encodeCall(C.advance, (id));
        vm.prank(account(i));
        // solhint-disable-next-line avoid-low-level-calls
        (done,) = address(hub).call(call);
        if (move == 7) assertTrue(done, "advance refused after the deadline");
    }

    function _check(ExperimentId id) private {
        Q.RoundView[] memory rounds = hub.rounds(id, 0, 10);
        for (uint256 i = 0; i < rounds.length; ++i) {
            assertLe(uint256(rounds[i].approvals) + rounds[i].rejections, rounds[i].eligible);
            assertEq(rounds[i].phase == Phase.Closed, rounds[i].closedAt != 0);
            if (i + 1 < rounds.length) assertTrue(rounds[i].phase == Phase.Closed, "two open rounds");
        }
        uint256 here = vm.snapshotState();
        // Two rounds of at most three phases.
        for (uint256 k = 0; k < 6 && hub.experiment(id).status == Status.Running; ++k) {
            vm.warp(hub.round(id, hub.experiment(id).round).deadline);
            hub.advance(id);
        }
        assertGt(uint8(hub.experiment(id).status), uint8(Status.Running), "stuck");
        vm.revertToStateAndDelete(here);
    }
}
