// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @notice Checks text that people read: UTF-8 (Unicode 15, table 3-7: no overlong forms, no surrogates) without
/// control characters (U+0000–U+001F, U+007F–U+009F).
library Utf8 {
    /// @notice Returns whether the bytes are such text. The cost grows with the length; callers limit it.
    function isText(bytes memory text) internal pure returns (bool) {
        uint256 i = 0;
        while (i < text.length) {
            uint8 lead = uint8(text[i]);
            uint256 length = _sequenceLength(lead);
            if (length == 0 || i + length > text.length) return false;
            if (length > 1 && !_secondByteFits(lead, uint8(text[i + 1]))) return false;
            for (uint256 k = 2; k < length; ++k) {
                if (uint8(text[i + k]) & 0xC0 != 0x80) return false;
            }
            i += length;
        }
        return true;
    }

    /// @dev 0 if no character of text begins with this byte.
    function _sequenceLength(uint8 lead) private pure returns (uint256) {
        if (lead < 0x80) return lead < 0x20 || lead == 0x7F ? 0 : 1;
        if (lead >= 0xC2 && lead <= 0xDF) return 2;
        if (lead >= 0xE0 && lead <= 0xEF) return 3;
        if (lead >= 0xF0 && lead <= 0xF4) return 4;
        return 0;
    }

    /// @dev U+0080–U+009F begin with 0xC2.
    function _secondByteFits(uint8 lead, uint8 second) private pure returns (bool) {
        if (lead == 0xC2) return second >= 0xA0 && second <= 0xBF;
        if (lead == 0xE0) return second >= 0xA0 && second <= 0xBF;
        if (lead == 0xED) return second >= 0x80 && second <= 0x9F;
        if (lead == 0xF0) return second >= 0x90 && second <= 0xBF;
        if (lead == 0xF4) return second >= 0x80 && second <= 0x8F;
        return second >= 0x80 && second <= 0xBF;
    }
}
