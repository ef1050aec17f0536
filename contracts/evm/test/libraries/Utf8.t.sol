// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Test} from "forge-std/Test.sol";

import {Utf8} from "../../src/libraries/Utf8.sol";

contract Utf8Test is Test {
    function test_textOfAllLengths_isText() public pure {
        assertTrue(Utf8.isText(unicode"Brustkrebs · 乳がん · 🩺"));
        assertTrue(Utf8.isText(""));
    }

    function test_malformedSequences_areRefused() public pure {
        bytes[12] memory bad = [
            bytes(hex"80"), // a continuation alone
            hex"c0af", // overlong
            hex"c1bf",
            hex"e08080",
            hex"f08080af",
            hex"eda080", // a surrogate
            hex"f4908080", // above U+10FFFF
            hex"f5808080",
            hex"f8",
            hex"e282", // cut off
            hex"c3",
            hex"f09f98"
        ];
        for (uint256 i = 0; i < bad.length; ++i) {
            assertFalse(Utf8.isText(bad[i]));
        }
    }

    function test_controlCharacters_areRefused() public pure {
        for (uint32 code = 0; code < 0x200; ++code) {
            bool control = code < 0x20 || (code >= 0x7F && code < 0xA0);
            assertEq(Utf8.isText(_encode(code)), !control);
            assertEq(Utf8.isText(abi.encodePacked("a", _encode(code), "b")), !control);
        }
    }

    function test_boundaryCodePoints_areWellFormed() public pure {
        bytes[8] memory good = [
            bytes(hex"20"),
            hex"7e",
            hex"c2a0",
            hex"dfbf",
            hex"e0a080",
            hex"ed9fbf",
            hex"f0908080",
            hex"f48fbfbf"
        ];
        for (uint256 i = 0; i < good.length; ++i) {
            assertTrue(Utf8.isText(good[i]));
        }
    }

    /// @dev Every scalar value, encoded by the book, is accepted; surrogates and control characters are not.
    function testFuzz_scalarValues_areAccepted(uint32 code) public pure {
        code = uint32(bound(code, 0, 0x10FFFF));
        bool surrogate = code >= 0xD800 && code <= 0xDFFF;
        bool control = code < 0x20 || (code >= 0x7F && code < 0xA0);
        assertEq(Utf8.isText(_encode(code)), !surrogate && !control);
    }

    function testFuzz_concatenation_ofWellFormedTextIsWellFormed(uint32 a, uint32 b) public pure {
        a = uint32(bound(a, 0xA0, 0xD7FF));
        b = uint32(bound(b, 0xE000, 0x10FFFF));
        bytes memory text = abi.encodePacked(_encode(a), _encode(b));
        assertTrue(Utf8.isText(text));
        if (_encode(b).length > 1) {
            // solhint-disable-next-line no-inline-assembly
            assembly ("memory-safe") {
                mstore(text, sub(mload(text), 1))
            }
            assertFalse(Utf8.isText(text));
        }
    }

    function _encode(uint32 code) private pure returns (bytes memory) {
        if (code < 0x80) return abi.encodePacked(uint8(code));
        if (code < 0x800) return abi.encodePacked(uint8(0xC0 | code >> 6), _tail(code, 0));
        if (code < 0x10000) {
            return abi.encodePacked(uint8(0xE0 | code >> 12), _tail(code, 6), _tail(code, 0));
        }
        return abi.encodePacked(uint8(0xF0 | code >> 18), _tail(code, 12), _tail(code, 6), _tail(code, 0));
    }

    function _tail(uint32 code, uint256 shift) private pure returns (uint8) {
        return uint8(0x80 | (code >> shift) & 0x3F);
    }
}
