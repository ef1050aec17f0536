// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ICollectiveLearning} from "../ICollectiveLearning.sol";
import {ExperimentState} from "../types/State.sol";
import {Utf8} from "./Utf8.sol";

/// @notice The parameters of an experiment: their bounds, and where they are kept.
library Parameters {
    uint16 internal constant MAX_LEARNERS = 10_000;
    uint16 internal constant ALL_BPS = 10_000;

    /// @notice Reverts with the first parameter that is out of its bounds.
    function check(ICollectiveLearning.Params calldata p) internal pure {
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

    /// @notice Writes the parameters.
    function store(ExperimentState storage self, ICollectiveLearning.Params calldata p) internal {
        self.name = p.name;
        self.spec = p.spec;
        if (!p.initial.isEmpty()) self.initial = p.initial;
        self.rounds = p.rounds;
        self.minLearners = p.minLearners;
        self.maxLearners = p.maxLearners;
        self.approvalBps = p.approvalBps;
        self.proposeWindow = p.proposeWindow;
        self.voteWindow = p.voteWindow;
        self.revealWindow = p.revealWindow;
        self.selection = p.selection;
        self.admission = p.admission;
        self.lateJoin = p.lateJoin;
        self.settleEarly = p.settleEarly;
        self.maxStrikes = p.maxStrikes;
    }

    /// @notice Reads the parameters back.
    function load(ExperimentState storage self) internal view returns (ICollectiveLearning.Params memory p) {
        p.name = self.name;
        p.spec = self.spec;
        p.initial = self.initial;
        p.rounds = self.rounds;
        p.minLearners = self.minLearners;
        p.maxLearners = self.maxLearners;
        p.approvalBps = self.approvalBps;
        p.proposeWindow = self.proposeWindow;
        p.voteWindow = self.voteWindow;
        p.revealWindow = self.revealWindow;
        p.selection = self.selection;
        p.admission = self.admission;
        p.lateJoin = self.lateJoin;
        p.settleEarly = self.settleEarly;
        p.maxStrikes = self.maxStrikes;
    }

    function _require(bool holds, string memory name) private pure {
        if (!holds) revert ICollectiveLearning.InvalidParameter(name);
    }
}
