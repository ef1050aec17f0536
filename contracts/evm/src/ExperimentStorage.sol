// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ICollectiveLearningCalls} from "./ICollectiveLearning.sol";
import {ExperimentId} from "./types/ExperimentId.sol";
import {ExperimentState} from "./types/State.sol";

/// @notice The storage of the contract. `CollectiveLearning` writes it, and `Queries` reads the same slots.
/// @dev All storage is declared here: a variable anywhere else would shift the layout of one of the two parts.
abstract contract ExperimentStorage {
    mapping(uint64 id => ExperimentState) private _experiments;
    uint64 internal _count;

    function _stateOf(ExperimentId id) internal view returns (ExperimentState storage) {
        return _experiments[ExperimentId.unwrap(id)];
    }

    function _existing(ExperimentId id) internal view returns (ExperimentState storage e) {
        e = _stateOf(id);
        if (e.creator == address(0)) revert ICollectiveLearningCalls.UnknownExperiment(id);
    }
}
