// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Test} from "forge-std/Test.sol";

import {Counts} from "../../src/types/Counts.sol";
import {Status} from "../../src/types/Enums.sol";
import {Entry, ExperimentState, RoundState, SlotContent} from "../../src/types/State.sol";
import {Tally} from "../../src/types/Tally.sol";

/// @notice Pins the storage layouts that the comments in State.sol describe; the gas figures depend on them.
contract StateTest is Test {
    /// @dev The slots of the parameters.
    uint256 private constant PARAMS = 11;

    RoundState private _round;
    ExperimentState private _experiment;

    function test_roundState_hasTheDocumentedLayout() public {
        _round.tally = Tally.wrap(1);
        _round.proposers[1] = 2;
        _round.counts = Counts.wrap(3);
        _round.proposals = bytes32(uint256(4));
        _round.salts = bytes32(uint256(5));
        _round.contents[2] =
            SlotContent(bytes32(uint256(6)), bytes32(uint256(7)), uint64(8), uint40(9), uint8(10));

        uint256 base;
        // solhint-disable-next-line no-inline-assembly
        assembly ("memory-safe") {
            base := _round.slot
        }
        assertEq(_load(base), 1);
        assertEq(_load(base + 2), 2);
        assertEq(_load(base + 3), 3);
        assertEq(_load(base + 4), 4);
        assertEq(_load(base + 5), 5);
        assertEq(_load(base + 12), 6);
        assertEq(_load(base + 13), 7);
        assertEq(_load(base + 14), 8 | uint256(9) << 64 | uint256(10) << 104);
    }

    function test_rosterEntry_isOneSlot() public {
        _experiment.roster[3] = Entry(address(1), 2, 3);
        bytes32 base;
        // solhint-disable-next-line no-inline-assembly
        assembly ("memory-safe") {
            base := _experiment.slot
        }
        // after the seed come the parameters and three other mappings
        uint256 slot = uint256(base) + 4 + PARAMS + 3;
        assertEq(_load(uint256(keccak256(abi.encode(3, slot)))), 1 | uint256(2) << 160 | uint256(3) << 176);
    }

    function test_experimentState_hasTheDocumentedLayout() public {
        _experiment.creator = address(1);
        _experiment.createdAt = 2;
        _experiment.status = Status.Completed;
        _experiment.round = 3;
        _experiment.cancelRequested = true;
        _experiment.misses = 4;
        _experiment.currentRound = 5;
        _experiment.joinedLearners = 6;
        _experiment.activeLearners = 7;
        _experiment.cursor = 8;
        _experiment.startedAt = 9;
        _experiment.endedAt = 10;
        _experiment.currentSlots = 11;
        _experiment.hash = bytes32(uint256(12));
        _experiment.seed = bytes32(uint256(13));

        uint256 base;
        // solhint-disable-next-line no-inline-assembly
        assembly ("memory-safe") {
            base := _experiment.slot
        }
        assertEq(
            _load(base), 1 | uint256(2) << 160 | uint256(2) << 200 | uint256(3) << 208 | uint256(1) << 240
        );
        assertEq(
            _load(base + 1),
            4 | uint256(5) << 32 | uint256(6) << 64 | uint256(7) << 96 | uint256(8) << 112 | uint256(9) << 128
                | uint256(10) << 168 | uint256(11) << 208
        );
        assertEq(_load(base + 2), 12);
        assertEq(_load(base + 3), 13);
    }

    /// @dev From `rounds` to `maxStrikes`, all parameters share one slot.
    function test_params_shareASlot() public {
        _experiment.params.rounds = 1;
        _experiment.params.maxStrikes = 2;
        _experiment.params.patience = 3;
        uint256 base;
        // solhint-disable-next-line no-inline-assembly
        assembly ("memory-safe") {
            base := _experiment.slot
        }
        // after the seed: name 1, spec 4, initial 4 slots
        assertEq(_load(base + 13), 1 | uint256(2) << 224);
        assertEq(_load(base + 14), 3);
    }

    function _load(uint256 slot) private view returns (uint256) {
        return uint256(vm.load(address(this), bytes32(slot)));
    }
}
