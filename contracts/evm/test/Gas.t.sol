// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ICollectiveLearning as I} from "../src/ICollectiveLearning.sol";
import {ExperimentId} from "../src/types/ExperimentId.sol";
import {Base} from "./Base.sol";

/// @notice Gas of what users do, 21,000 base and calldata included (run with --isolate). Written to snapshots/Gas.json.
contract GasTest is Base {
    function test_gas_is_the_same_for_any_number_of_learners() public {
        uint256[4] memory sizes = [uint256(3), 64, 65, 300];
        uint256[4] memory votes;
        uint256[4] memory proposals;
        uint256[4] memory joins;
        for (uint256 k = 0; k < 4; ++k) {
            ExperimentId id = created(defaults());
            joined(id, sizes[k]);
            joins[k] = vm.lastCallGas().gasTotalUsed;
            vm.prank(creator);
            hub.start(id);
            vm.prank(account(0));
            hub.propose(id, 0, content(100), HALF, ABSENT);
            proposals[k] = vm.snapshotGasLastCall("Gas", label("propose", sizes[k]));
            voted(id, 0, 1, true);
            votes[k] = vm.snapshotGasLastCall("Gas", label("vote", sizes[k]));
        }
        for (uint256 k = 0; k < 4; ++k) {
            assertLe(votes[k], 38_000);
            assertLe(proposals[k], 130_000);
            assertEq(votes[k], votes[0]);
            assertEq(proposals[k], proposals[0]);
            assertApproxEqAbs(joins[k], joins[0], 100);
        }
    }

    function test_gas_beyond_the_hot_slot() public {
        ExperimentId id = started(defaults(), 300);
        proposed(id, 0);
        voted(id, 0, 64, true);
        vm.snapshotGasLastCall("Gas", "vote, index >= 64, first of its word");
        voted(id, 0, 65, true);
        vm.snapshotGasLastCall("Gas", "vote, index >= 64");
        I.SignedBallot[] memory batch = new I.SignedBallot[](100);
        for (uint256 i = 0; i < 100; ++i) {
            batch[i] = signedBallot(id, 0, 150 + i, i % 2 == 0);
        }
        hub.voteSigned(id, 0, batch);
        vm.snapshotGasLastCall("Gas", "voteSigned, batch of 100");
    }

    function test_gas_of_advance() public {
        ExperimentId id = started(defaults(), 64);
        vm.warp(hub.round(id, 0).deadline);
        hub.advance(id);
        vm.snapshotGasLastCall("Gas", "advance, no proposal");
        proposed(id, 1);
        vm.warp(hub.round(id, 1).deadline);
        hub.advance(id);
        vm.snapshotGasLastCall("Gas", "advance, end of a vote");
    }

    function label(string memory what, uint256 n) private pure returns (string memory) {
        return string.concat(what, ", ", vm.toString(n), " learners");
    }
}
