// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @notice A content reference: a CIDv1 with sha2-256, and the file's own hash and size.
/// @param codec The CID's codec: 0x55 (raw) or 0x70 (dag-pb).
/// @param digest The CID's digest.
/// @param sha256Hash The sha256 of the file's bytes.
/// @param size The file's size in bytes.
struct ContentRef {
    uint8 codec;
    bytes32 digest;
    bytes32 sha256Hash;
    uint64 size;
}

using ContentRefs for ContentRef global;

/// @notice Checks of content references.
library ContentRefs {
    uint8 internal constant RAW = 0x55;
    uint8 internal constant DAG_PB = 0x70;

    /// @notice Returns whether all fields are zero.
    function isEmpty(ContentRef memory self) internal pure returns (bool) {
        return self.codec == 0 && self.digest == 0 && self.sha256Hash == 0 && self.size == 0;
    }

    /// @notice Returns whether it can refer to a file. The digest of a raw CID is the file's own hash.
    function isWellFormed(ContentRef memory self) internal pure returns (bool) {
        if (self.size == 0 || self.digest == 0 || self.sha256Hash == 0) return false;
        return self.codec == DAG_PB || (self.codec == RAW && self.digest == self.sha256Hash);
    }
}
