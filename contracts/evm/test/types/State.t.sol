// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Test} from "forge-std/Test.sol";

import {Status} from "../../src/types/Enums.sol";
import {ExperimentState, RoundState} from "../../src/types/State.sol";
import {Tally} from "../../src/types/Tally.sol";

/// @notice Pins the storage layouts that the comments in State.sol describe; the gas figures depend on them.
contract StateTest is Test {
    RoundState private _round;
    ExperimentState private _experiment;

    function test_roundState_hasTheDocumentedLayout() public {
        _round.tally = Tally.wrap(1);
        _round.proposer = address(2);
        _round.eligible = 3;
        _round.startedAt = 4;
        _round.commitments = 5;
        _round.digest = bytes32(uint256(6));
        _round.sha256Hash = bytes32(uint256(7));
        _round.size = 8;
        _round.proposedAt = 9;
        _round.revealStartedAt = 10;
        _round.codec = 11;
        _round.salts = bytes32(uint256(12));

        uint256 base;
        // solhint-disable-next-line no-inline-assembly
        assembly ("memory-safe") {
            base := _round.slot
        }
        assertEq(_load(base), 1);
        assertEq(_load(base + 1), 2 | uint256(3) << 160 | uint256(4) << 176 | uint256(5) << 216);
        assertEq(_load(base + 2), 6);
        assertEq(_load(base + 3), 7);
        assertEq(_load(base + 4), 8 | uint256(9) << 64 | uint256(10) << 104 | uint256(11) << 144);
        assertEq(_load(base + 5), 12);
    }

    function test_experimentState_hasTheDocumentedLayout() public {
        _experiment.creator = address(1);
        _experiment.createdAt = 2;
        _experiment.status = Status.Completed;
        _experiment.round = 3;
        _experiment.misses = 4;
        _experiment.currentRound = 5;
        _experiment.joinedLearners = 6;
        _experiment.activeLearners = 7;
        _experiment.position = 8;
        _experiment.startedAt = 9;
        _experiment.endedAt = 10;
        _experiment.seed = bytes32(uint256(11));

        uint256 base;
        // solhint-disable-next-line no-inline-assembly
        assembly ("memory-safe") {
            base := _experiment.slot
        }
        assertEq(_load(base), 1 | uint256(2) << 160 | uint256(2) << 200 | uint256(3) << 208);
        assertEq(
            _load(base + 1),
            4 | uint256(5) << 32 | uint256(6) << 64 | uint256(7) << 96 | uint256(8) << 112 | uint256(9) << 128
                | uint256(10) << 168
        );
        assertEq(_load(base + 2), 11);
    }

    /// @dev From `rounds` on, all parameters share one slot.
    function test_params_shareTheirLastSlot() public {
        _experiment.params.rounds = 1;
        _experiment.params.maxStrikes = 2;
        uint256 base;
        // solhint-disable-next-line no-inline-assembly
        assembly ("memory-safe") {
            base := _experiment.slot
        }
        // name 1, spec 4, initial 4 slots after the seed
        assertEq(_load(base + 12), 1 | uint256(2) << 208);
    }

    function _load(uint256 slot) private view returns (uint256) {
        return uint256(vm.load(address(this), bytes32(slot)));
    }
}
