// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Test} from "forge-std/Test.sol";

import {Members} from "../../src/libraries/Members.sol";
import {Selections} from "../../src/libraries/Selections.sol";
import {Selection} from "../../src/types/Enums.sol";
import {Entry, ExperimentState} from "../../src/types/State.sol";

/// @notice Compares both ways of selecting proposers with the sentences of the protocol, on a plain list.
contract SelectionsTest is Test {
    using Members for ExperimentState;
    using Selections for ExperimentState;

    ExperimentState private _state;
    address[] private _list;
    uint256 private _drawn;

    // ------------------------------------------------------------------ round robin

    function test_roundRobin_takesTurns() public {
        _add(5);
        _expect(3, [uint8(0), 1, 2]);
        _expect(3, [uint8(3), 4, 0]);
        _expect(3, [uint8(1), 2, 3]);
    }

    function test_roundRobin_beginsAnewInAShorterList() public {
        _add(5);
        _state.select(5); // the last position was 4
        _leave(4);
        _leave(3);
        _expect(3, [uint8(2), 0, 1]); // (4 + 1) mod 3
    }

    function test_roundRobin_mayGrowPastItsLastPosition() public {
        _add(3);
        _state.select(3);
        _add(2);
        _expect(3, [uint8(3), 4, 0]);
    }

    // ------------------------------------------------------------------ random

    /// @dev Draws, joins and leaves in any order, with the list of the protocol beside it.
    function testFuzz_random_followsTheProtocol(uint256 seed, uint8 size, uint8 count) public {
        _state.params.selection = Selection.Random;
        _add(bound(size, 2, 12));
        for (uint256 round = 0; round < 12; ++round) {
            uint256 luck = uint256(keccak256(abi.encode(seed, round)));
            _state.seed = bytes32(luck);
            uint256 most = bound(count, 1, 16);
            _drawAndCompare(most < _list.length ? most : _list.length);
            if (luck % 3 == 0 && _list.length > 2) _leave((luck >> 8) % _list.length);
            if (luck % 5 == 0) _add(1);
            _compare();
        }
    }

    function test_random_drawsEveryMemberOnceInACycle() public {
        _state.params.selection = Selection.Random;
        _add(6);
        _state.seed = "any";
        (, uint256 first,) = _state.select(6);
        uint256 seen;
        for (uint256 i = 0; i < 6; ++i) {
            seen |= 1 << uint32(first >> (32 * i));
        }
        assertEq(seen, 63);
        assertEq(_state.cursor, 6);
    }

    // ------------------------------------------------------------------ helpers

    function _add(uint256 n) private {
        for (uint256 k = 0; k < n; ++k) {
            address account = address(uint160(0x1000 + _state.joinedLearners));
            _state.add(account, 0);
            _list.push(account);
        }
    }

    function _leave(uint256 position) private {
        _state.removeFromActive(_list[position], 1);
        if (_state.params.selection == Selection.Random && position < _drawn) {
            _list[position] = _list[--_drawn];
            position = _drawn;
        }
        _list[position] = _list[_list.length - 1];
        _list.pop();
    }

    function _expect(uint256 count, uint8[3] memory wanted) private {
        (address[] memory accounts, uint256 first,) = _state.select(count);
        for (uint256 i = 0; i < 3; ++i) {
            assertEq(accounts[i], _state.roster[wanted[i]].account);
            assertEq(uint32(first >> (32 * i)), wanted[i]);
        }
    }

    function _drawAndCompare(uint256 count) private {
        (address[] memory accounts, uint256 first, uint256 second) = _state.select(count);
        uint256 left = 0;
        uint256 length = _list.length;
        for (uint256 i = 0; i < count; ++i) {
            if (_drawn == length) {
                _drawn = 0;
                left = i;
            }
            uint256 hash = uint256(sha256(abi.encodePacked(_state.seed, uint8(i))));
            uint256 p = _drawn + hash % (length - left - _drawn);
            (_list[p], _list[_drawn]) = (_list[_drawn], _list[p]);
            assertEq(accounts[i], _list[_drawn]);
            uint32 index = uint32((i < 8 ? first : second) >> (32 * (i % 8)));
            assertEq(_state.roster[index].account, accounts[i]);
            ++_drawn;
            for (uint256 k = 0; k < i; ++k) {
                assertNotEq(accounts[k], accounts[i], "selected twice");
            }
        }
    }

    function _compare() private view {
        assertEq(_state.cursor, _drawn);
        assertEq(_state.activeLearners, _list.length);
        for (uint256 i = 0; i < _list.length; ++i) {
            Entry memory entry = _state.roster[_state.activeAt(i)];
            assertEq(entry.account, _list[i]);
            assertEq(entry.position, i);
            assertEq(_state.members[_list[i]].index(), _state.activeAt(i));
        }
    }
}
