// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Base} from "../Base.sol";

/// @notice Shared by the gas tests.
abstract contract GasBase is Base {
    string internal constant GROUP = "Gas";

    function _lastCost() internal view returns (uint256) {
        return vm.lastCallGas().gasTotalUsed;
    }

    function _named(string memory name, uint256 proposers) internal pure returns (string memory) {
        string memory noun = proposers == 1 ? " proposer" : " proposers";
        return string.concat(name, ", ", vm.toString(proposers), noun);
    }
}
