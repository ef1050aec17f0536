// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ICollectiveLearningCalls} from "../ICollectiveLearning.sol";
import {Params} from "../types/Params.sol";
import {Utf8} from "./Utf8.sol";

/// @notice Checks the bounds of an experiment's parameters.
library Parameters {
    uint16 internal constant MAX_LEARNERS = 10_000;
    uint16 internal constant ALL_BPS = 10_000;

    /// @notice Reverts with the name of the first parameter that is out of bounds.
    function check(Params calldata p) internal pure {
        uint256 length = bytes(p.name).length;
        _require(length >= 1 && length <= 64 && Utf8.isWellFormed(bytes(p.name)), "name");
        _require(p.spec.isWellFormed(), "spec");
        _require(p.initial.isEmpty() || p.initial.isWellFormed(), "initial");
        _require(p.rounds >= 1 && p.rounds <= type(uint32).max - 1, "rounds");
        _require(p.minLearners >= 2, "min_learners");
        _require(p.maxLearners >= p.minLearners && p.maxLearners <= MAX_LEARNERS, "max_learners");
        _require(p.approvalBps >= 1 && p.approvalBps <= ALL_BPS, "approval_bps");
        _require(p.proposeWindow >= 1, "propose_window");
        _require(p.voteWindow >= 1, "vote_window");
    }

    function _require(bool holds, string memory name) private pure {
        if (!holds) revert ICollectiveLearningCalls.InvalidParameter(name);
    }
}
