// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Test} from "forge-std/Test.sol";

import {Proposals} from "../../src/libraries/Proposals.sol";
import {Rounds} from "../../src/libraries/Rounds.sol";
import {ContentRef} from "../../src/types/ContentRef.sol";
import {RoundState} from "../../src/types/State.sol";
import {Stage, Tallies, Tally} from "../../src/types/Tally.sol";

contract ProposalsTest is Test {
    using Proposals for RoundState;
    using Rounds for RoundState;

    RoundState private _round;

    function setUp() public {
        vm.warp(1_000);
    }

    // ------------------------------------------------------------------ proposers

    function testFuzz_openSlotOf_findsOpenSlotsOnly(uint8 slots, uint16 settled) public {
        slots = uint8(bound(slots, 2, 16));
        Tally tally = _begin(slots);
        for (uint256 slot = 0; slot < slots; ++slot) {
            if ((settled >> slot) & 1 == 1) tally = tally.withDecline(slot);
        }
        for (uint256 slot = 0; slot < slots; ++slot) {
            assertEq(_round.proposerAt(slot), _index(slot));
            uint256 expected = (settled >> slot) & 1 == 1 ? Proposals.NO_SLOT : slot;
            assertEq(_round.openSlotOf(tally, _index(slot)), expected);
        }
        assertEq(_round.openSlotOf(tally, 0), Proposals.NO_SLOT);
        assertEq(_round.openSlotOf(tally, 9_999), Proposals.NO_SLOT);
    }

    function test_openSlotOf_inAClassicRound() public {
        Tally tally = _begin(1);
        assertEq(_round.openSlotOf(tally, _index(0)), 0);
        assertEq(_round.openSlotOf(tally, _index(1)), Proposals.NO_SLOT);
        assertEq(_round.openSlotOf(tally.at(Stage.Voting, 9), _index(0)), Proposals.NO_SLOT);
    }

    function test_isOnlyProposer_ofARoundWithOneProposal() public {
        Tally tally = _begin(9);
        assertFalse(_round.isOnlyProposer(_index(8)));
        _round.tally = tally.withProposal(8);
        assertTrue(_round.isOnlyProposer(_index(8)));
        assertFalse(_round.isOnlyProposer(_index(0)));
        _round.tally = tally.withProposal(8).withProposal(1);
        assertFalse(_round.isOnlyProposer(_index(8)));
        _round.tally = _begin(1).at(Stage.Rejected, 9);
        assertTrue(_round.isOnlyProposer(_index(0)));
        assertFalse(_round.isOnlyProposer(_index(1)));
    }

    // ------------------------------------------------------------------ content

    function testFuzz_content_comesBackAsProposed(uint8 slot, bytes32 digest, bytes32 hash, uint64 size)
        public
    {
        slot = slot % 16;
        ContentRef memory content = ContentRef(0x70, digest, hash, size);
        this.propose(slot, content);
        assertEq(abi.encode(_round.contentAt(slot)), abi.encode(content));
        assertEq(_round.contents[slot].proposedAt, 1_000);
        assertTrue(_round.contentAt((uint256(slot) + 1) % 16).isEmpty());
    }

    function propose(uint256 slot, ContentRef calldata content) external {
        _round.setContent(slot, content);
    }

    function test_scoresLength_coversTheCurrentWeightsAndEachProposal() public pure {
        assertEq(Proposals.scoresLength(1), 32);
        assertEq(Proposals.scoresLength(0x8000), 32);
        assertEq(Proposals.scoresLength(0xffff), 272);
        assertEq(Proposals.scoresLength(0x0105), 64);
    }

    // ------------------------------------------------------------------ digest

    function testFuzz_digest_namesSlotsAndFilesInOrder(uint16 proposed) public {
        vm.assume(proposed != 0);
        bytes memory list;
        uint256 count;
        for (uint256 slot = 0; slot < 16; ++slot) {
            if ((proposed >> slot) & 1 == 0) continue;
            bytes32 hash = keccak256(abi.encode(slot));
            this.propose(slot, ContentRef(0x70, hash, hash, 1));
            list = abi.encodePacked(list, uint8(slot), hash);
            ++count;
        }
        bytes32 expected = sha256(list);
        if (count == 1) {
            // the only file's own hash, without the slot
            // solhint-disable-next-line no-inline-assembly
            assembly ("memory-safe") {
                expected := mload(add(list, 0x21))
            }
        }
        assertEq(_round.computeDigest(proposed), expected);
    }

    function test_digestOf_isTheFileOfAClassicRound() public {
        Tally classic = _begin(1);
        this.propose(0, ContentRef(0x70, bytes32(uint256(1)), bytes32(uint256(2)), 1));
        assertEq(_round.digestOf(classic), bytes32(uint256(2)));
        Tally plural = _begin(2);
        _round.proposals = bytes32(uint256(3));
        assertEq(_round.digestOf(plural), bytes32(uint256(3)));
    }

    // ------------------------------------------------------------------ helpers

    function _index(uint256 slot) private pure returns (uint32) {
        return uint32(7 + 3 * slot);
    }

    function _begin(uint256 slots) private returns (Tally tally) {
        uint256 first;
        uint256 second;
        for (uint256 slot = 0; slot < slots; ++slot) {
            if (slot < 8) first |= uint256(_index(slot)) << (32 * slot);
            else second |= uint256(_index(slot)) << (32 * (slot - 8));
        }
        tally = Tallies.begin(slots, 9, 1, 0, 2_000);
        _round.begin(tally, first, second, 9);
    }
}
