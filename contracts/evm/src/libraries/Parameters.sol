// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ICollectiveLearningCalls} from "../ICollectiveLearning.sol";
import {ContentRef} from "../types/ContentRef.sol";
import {Merge} from "../types/Enums.sol";
import {Params} from "../types/Params.sol";
import {Utf8} from "./Utf8.sol";

/// @notice Checks and hashes an experiment's parameters.
library Parameters {
    uint16 internal constant MAX_LEARNERS = 10_000;
    uint16 internal constant ALL_BPS = 10_000;
    uint8 internal constant MAX_PROPOSERS = 16;

    /// @notice Reverts with the name of the first parameter that is out of bounds.
    function check(Params calldata p) internal pure {
        uint256 length = bytes(p.name).length;
        _require(length >= 1 && length <= 64 && Utf8.isText(bytes(p.name)), "name");
        _require(p.spec.isWellFormed(), "spec");
        _require(p.initial.isEmpty() || p.initial.isWellFormed(), "initial");
        _require(p.rounds >= 1 && p.rounds <= type(uint32).max - 1, "rounds");
        _require(p.minLearners >= 2, "min_learners");
        _require(p.maxLearners >= p.minLearners && p.maxLearners <= MAX_LEARNERS, "max_learners");
        _require(p.approvalBps >= 1 && p.approvalBps <= ALL_BPS, "approval_bps");
        _require(p.proposeWindow >= 1, "propose_window");
        _require(p.voteWindow >= 1, "vote_window");
        _require(p.proposers >= 1 && p.proposers <= MAX_PROPOSERS, "proposers");
        // The mean of networks that began with different random weights is useless.
        _require(p.proposers == 1 || p.merge == Merge.Best || !p.initial.isEmpty(), "initial");
    }

    /// @notice Returns the hash that names an experiment by its content; the encoding is in docs/protocol.md.
    function hash(address creator, Params calldata p) internal pure returns (bytes32) {
        return sha256(
            bytes.concat(
                abi.encodePacked(uint8(20), creator, _encode(p.spec), _encode(p.initial)),
                abi.encodePacked(p.rounds, p.minLearners, p.maxLearners, p.approvalBps),
                abi.encodePacked(p.proposeWindow, p.voteWindow, p.revealWindow),
                abi.encodePacked(p.selection, p.proposers, p.merge, p.admission, p.lateJoin, p.settleEarly),
                abi.encodePacked(p.maxStrikes, p.patience, p.name)
            )
        );
    }

    function _encode(ContentRef calldata content) private pure returns (bytes memory) {
        return abi.encodePacked(content.codec, content.digest, content.sha256Hash, content.size);
    }

    function _require(bool holds, string memory name) private pure {
        if (!holds) revert ICollectiveLearningCalls.InvalidParameter(name);
    }
}
