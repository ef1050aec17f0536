// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @notice The EIP-712 domain that binds ballots and commitments to this contract on this chain.
/// @dev OpenZeppelin's EIP712 would add 900 bytes for stored names and the EIP-5267 view, too close to the size limit.
abstract contract SigningDomain {
    bytes32 private constant TYPEHASH =
        keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");

    uint256 private immutable _cachedChainId = block.chainid;
    address private immutable _cachedAddress = address(this);
    bytes32 private immutable _cachedSeparator = _buildSeparator();

    /// @dev Recomputed after a fork that changed the chain id and behind another address, such as a clone, so that no
    /// ballot counts on both sides.
    function _separator() internal view returns (bytes32) {
        bool isCached = block.chainid == _cachedChainId && address(this) == _cachedAddress;
        return isCached ? _cachedSeparator : _buildSeparator();
    }

    function _buildSeparator() private view returns (bytes32) {
        return keccak256(
            abi.encode(
                TYPEHASH, keccak256("CollectiveLearning"), keccak256("2"), block.chainid, address(this)
            )
        );
    }
}
