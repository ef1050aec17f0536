// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Test} from "forge-std/Test.sol";

import {ContentRef, ContentRefs} from "../../src/types/ContentRef.sol";

contract ContentRefTest is Test {
    function test_isEmpty_onlyIfAllFieldsAreZero() public pure {
        assertTrue(ContentRef(0, 0, 0, 0).isEmpty());
        assertFalse(ContentRef(1, 0, 0, 0).isEmpty());
        assertFalse(ContentRef(0, bytes32(uint256(1)), 0, 0).isEmpty());
        assertFalse(ContentRef(0, 0, bytes32(uint256(1)), 0).isEmpty());
        assertFalse(ContentRef(0, 0, 0, 1).isEmpty());
    }

    function testFuzz_rawContent_hasTheDigestOfTheFile(bytes32 digest, bytes32 sha256Hash, uint64 size)
        public
        pure
    {
        bool expected = digest == sha256Hash && digest != 0 && size != 0;
        assertEq(ContentRef(ContentRefs.RAW, digest, sha256Hash, size).isWellFormed(), expected);
        if (digest != 0 && size != 0) {
            assertTrue(ContentRef(ContentRefs.RAW, digest, digest, size).isWellFormed());
        }
    }

    function testFuzz_treeContent_hasAnyDigest(bytes32 digest, bytes32 sha256Hash, uint64 size) public pure {
        bool expected = digest != 0 && sha256Hash != 0 && size != 0;
        assertEq(ContentRef(ContentRefs.DAG_PB, digest, sha256Hash, size).isWellFormed(), expected);
    }

    function testFuzz_otherCodecs_areRefused(uint8 codec) public pure {
        vm.assume(codec != ContentRefs.RAW && codec != ContentRefs.DAG_PB);
        bytes32 digest = bytes32(uint256(1));
        assertFalse(ContentRef(codec, digest, digest, 1).isWellFormed());
    }

    function test_emptyFile_isRefused() public pure {
        bytes32 digest = sha256("");
        assertFalse(ContentRef(ContentRefs.RAW, digest, digest, 0).isWellFormed());
    }
}
