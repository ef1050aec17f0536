// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Clones} from "@openzeppelin/contracts/proxy/Clones.sol";
import {Test} from "forge-std/Test.sol";

import {SigningDomain} from "../src/SigningDomain.sol";

contract Domain is SigningDomain {
    function separator() external view returns (bytes32) {
        return _separator();
    }
}

contract SigningDomainTest is Test {
    Domain private _domain = new Domain();

    function test_separator_isTheOneOfEip712() public view {
        assertEq(_domain.separator(), _expected(block.chainid, address(_domain)));
    }

    function testFuzz_separator_followsTheChainId(uint64 chainId) public {
        vm.chainId(bound(chainId, 1, type(uint64).max - 1));
        assertEq(_domain.separator(), _expected(block.chainid, address(_domain)));
    }

    function test_separator_differsBetweenContracts() public {
        assertNotEq(new Domain().separator(), _domain.separator());
    }

    /// @dev A clone runs the code of the original, with its immutables, at another address.
    function testFuzz_separator_ofACloneIsItsOwn(uint64 chainId) public {
        Domain clone = Domain(Clones.clone(address(_domain)));
        assertEq(clone.separator(), _expected(block.chainid, address(clone)));
        vm.chainId(bound(chainId, 1, type(uint64).max - 1));
        assertEq(clone.separator(), _expected(block.chainid, address(clone)));
    }

    function _expected(uint256 chainId, address contract_) private pure returns (bytes32) {
        bytes32 typehash =
            keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");
        return
            keccak256(
                abi.encode(typehash, keccak256("CollectiveLearning"), keccak256("2"), chainId, contract_)
            );
    }
}
