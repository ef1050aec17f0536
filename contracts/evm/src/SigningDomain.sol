// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @notice What ballots and commitments are bound to: this contract on this chain (EIP-712).
/// @dev Not OpenZeppelin's EIP712: its storable names and EIP-5267 view cost 900 bytes, and the size limit is near.
abstract contract SigningDomain {
    bytes32 private constant TYPEHASH =
        keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");

    uint256 private immutable _cachedChainId = block.chainid;
    bytes32 private immutable _cachedSeparator = _buildSeparator();

    /// @dev Built anew after a fork that changed the chain's id, so that no ballot counts on both sides.
    function _separator() internal view returns (bytes32) {
        return block.chainid == _cachedChainId ? _cachedSeparator : _buildSeparator();
    }

    function _buildSeparator() private view returns (bytes32) {
        return keccak256(
            abi.encode(
                TYPEHASH, keccak256("CollectiveLearning"), keccak256("1"), block.chainid, address(this)
            )
        );
    }
}
