// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ICollectiveLearningCalls as C, ICollectiveLearningQueries as Q} from "../src/ICollectiveLearning.sol";
import {Merge, Phase, Selection, SlotState, Status} from "../src/types/Enums.sol";
import {ExperimentId} from "../src/types/ExperimentId.sol";
import {Params} from "../src/types/Params.sol";
import {Base} from "./Base.sol";

/// @notice Tries every sequence of calls up to a depth, with three learners and two rounds. From each state, time
/// and `advance` alone must end the experiment, and the counts must add up.
/// @dev The environment variable EXHAUSTIVE_DEPTH sets the depth; each step takes about five times as long.
contract ExhaustiveTest is Base {
    uint256 private constant LEARNERS = 3;
    uint256 private constant MOVES = 9;
    bytes32 private constant SALT = bytes32(uint256(5));

    function test_openBallots_neverGetStuck() public {
        _explore(defaults());
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

    function test_twoProposers_neverGetStuck() public {
        Params memory p = plural(2);
        p.selection = Selection.Random;
        _explore(p);
    }

    function test_onlyTheBestOfAll_neverGetsStuck() public {
        Params memory p = plural(3);
        p.merge = Merge.Best;
        p.settleEarly = true;
        p.patience = 1;
        _explore(p);
    }

    function test_secretBallotsOnTwo_neverGetStuck() public {
        Params memory p = plural(2);
        p.revealWindow = uint32(WINDOW);
        p.settleEarly = true;
        _explore(p);
    }

    function _explore(Params memory p) private {
        p.rounds = 2;
        ExperimentId id = startExperiment(p, LEARNERS);
        assertGt(_walk(id, vm.envOr("EXHAUSTIVE_DEPTH", uint256(4))), 300, "too few states to mean anything");
    }

    /// @return states How many states were reached.
    function _walk(ExperimentId id, uint256 depth) private returns (uint256 states) {
        states = 1;
        _check(id);
        if (depth == 0 || hub.experiment(id).status != Status.Running) return states;
        uint32 round = hub.experiment(id).round;
        for (uint256 move = 0; move < MOVES; ++move) {
            for (uint256 i = 0; i < LEARNERS; ++i) {
                uint256 here = vm.snapshotState();
                uint256 end = _memoryEnd();
                if (_move(id, round, move, i)) states += _walk(id, depth - 1);
                _freeMemory(end);
                vm.revertToStateAndDelete(here);
            }
        }
    }

    function _memoryEnd() private pure returns (uint256 end) {
        // solhint-disable-next-line no-inline-assembly
        assembly ("memory-safe") {
            end := mload(0x40)
        }
    }

    /// @dev Without it, the answers of all queries of a walk would exceed forge's limit for memory.
    function _freeMemory(uint256 end) private pure {
        // solhint-disable-next-line no-inline-assembly
        assembly ("memory-safe") {
            mstore(0x40, end)
        }
    }

    /// @return done Whether the call succeeded. Calls that do not depend on the learner are made once.
    function _move(ExperimentId id, uint32 round, uint256 move, uint256 i) private returns (bool done) {
        if (move >= 7 && i > 0) return false;
        if (move == 7) passDeadline(id);
        bytes memory call = _call(id, round, move, i);
        vm.prank(move == 8 ? creator : account(i));
        // solhint-disable-next-line avoid-low-level-calls
        (done,) = address(hub).call(call);
        if (move == 7) assertTrue(done, "advance refused after the deadline");
    }

    function _call(ExperimentId id, uint32 round, uint256 move, uint256 i)
        private
        view
        returns (bytes memory)
    {
        Q.RoundView memory r = hub.round(id, round);
        bytes memory list = scoresOf(id, round);
        uint16 all = _others(r, account(i));
        if (move == 0) return abi.encodeCall(C.propose, (id, round, content(100 + i), HALF, HALF));
        if (move == 1) return abi.encodeCall(C.decline, (id, round));
        if (move == 2) return abi.encodeCall(C.vote, (id, round, r.proposals, all, list));
        if (move == 3) return abi.encodeCall(C.vote, (id, round, r.proposals, 0, list));
        if (move == 4) {
            return abi.encodeCall(C.commit, (id, round, r.proposals, commitment(id, round, i, all, SALT)));
        }
        if (move == 5) return abi.encodeCall(C.reveal, (id, round, all, list, SALT));
        if (move == 6) return abi.encodeCall(C.leave, (id));
        if (move == 7) return abi.encodeCall(C.advance, (id));
        return abi.encodeCall(C.cancel, (id));
    }

    /// @dev All proposals but the voter's own.
    function _others(Q.RoundView memory r, address voter) private pure returns (uint16 all) {
        for (uint256 slot = 0; slot < r.slots.length; ++slot) {
            bool judged = r.slots[slot].state == SlotState.Proposed && r.slots[slot].proposer != voter;
            if (judged) all |= uint16(1 << slot);
        }
    }

    function _check(ExperimentId id) private {
        Q.RoundView[] memory rounds = hub.rounds(id, 0, 10);
        for (uint256 i = 0; i < rounds.length; ++i) {
            assertLe(rounds[i].ballots, uint256(rounds[i].eligible) + 1);
            for (uint256 slot = 0; slot < rounds[i].slots.length; ++slot) {
                assertLe(rounds[i].slots[slot].approvals, rounds[i].eligible);
            }
            assertEq(rounds[i].phase == Phase.Closed, rounds[i].closedAt != 0);
            if (i + 1 < rounds.length) assertTrue(rounds[i].phase == Phase.Closed, "two open rounds");
        }
        uint256 here = vm.snapshotState();
        // Two rounds of at most three phases.
        for (uint256 k = 0; k < 6 && hub.experiment(id).status == Status.Running; ++k) {
            passDeadline(id);
            hub.advance(id);
        }
        assertGt(uint8(hub.experiment(id).status), uint8(Status.Running), "stuck");
        vm.revertToStateAndDelete(here);
    }
}
