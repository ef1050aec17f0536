// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Test} from "forge-std/Test.sol";

import {Members} from "../../src/libraries/Members.sol";
import {Rounds} from "../../src/libraries/Rounds.sol";
import {Member} from "../../src/types/Member.sol";
import {ExperimentState, RoundState} from "../../src/types/State.sol";
import {Tallies} from "../../src/types/Tally.sol";

contract MembersTest is Test {
    using Members for ExperimentState;
    using Members for Member;
    using Rounds for RoundState;

    ExperimentState private _state;

    // ------------------------------------------------------------------ joining and leaving

    function testFuzz_add_appendsToRosterAndActiveList(uint8 count) public {
        count = uint8(bound(count, 1, 40));
        for (uint256 i = 0; i < count; ++i) {
            assertEq(_state.add(_account(i), uint32(i % 3)), i);
        }
        assertEq(_state.joinedLearners, count);
        assertEq(_state.activeLearners, count);
        for (uint256 i = 0; i < count; ++i) {
            assertEq(_state.roster[i], _account(i));
            assertEq(_state.active[i], _account(i));
            Member member = _state.members[_account(i)];
            assertEq(member.index(), i);
            assertEq(member.position(), i);
            assertEq(member.fromRound(), i % 3);
        }
    }

    function test_removeFromActive_movesTheLastMember() public {
        _add(4);
        _state.removeFromActive(_account(1), 5);
        assertEq(_state.activeLearners, 3);
        assertEq(_state.active[1], _account(3));
        assertEq(_state.members[_account(3)].position(), 1);
        assertEq(_state.active[3], address(0));
        assertEq(_state.members[_account(1)].untilRound(), 5);
    }

    function test_removeFromActive_ofTheLastMemberMovesNobody() public {
        _add(3);
        _state.removeFromActive(_account(2), 1);
        assertEq(_state.activeLearners, 2);
        assertEq(_state.active[0], _account(0));
        assertEq(_state.active[1], _account(1));
        assertEq(_state.active[2], address(0));
    }

    /// @dev Compared with a plain list after any sequence of removals.
    function testFuzz_activeList_isTheMembersThatHaveNotLeft(uint256 seed) public {
        uint256 count = 12;
        _add(count);
        bool[12] memory left;
        for (uint256 k = 0; k < 8; ++k) {
            uint256 i = uint256(keccak256(abi.encode(seed, k))) % count;
            if (left[i]) continue;
            left[i] = true;
            _state.removeFromActive(_account(i), 1);
        }
        uint256 active;
        for (uint256 i = 0; i < count; ++i) {
            Member member = _state.members[_account(i)];
            assertEq(member.hasLeft(), left[i]);
            if (left[i]) continue;
            ++active;
            assertEq(_state.active[member.position()], _account(i));
        }
        assertEq(_state.activeLearners, active);
        assertEq(_state.joinedLearners, count);
    }

    // ------------------------------------------------------------------ strikes

    function test_strikes_countMissedVotes() public {
        _add(3);
        _closeByDeadline(0, _account(0), new uint256[](0));
        _closeByDeadline(1, _account(1), new uint256[](0));
        assertEq(_state.strikes(_account(2)), 2);
    }

    function test_strikes_doNotCountARoundInWhichTheLearnerProposed() public {
        _add(3);
        _closeByDeadline(0, _account(0), new uint256[](0));
        assertEq(_state.strikes(_account(0)), 0);
        _closeByDeadline(1, _account(1), new uint256[](0));
        assertEq(_state.strikes(_account(0)), 1);
    }

    function test_strikes_doNotCountARoundWithABallot() public {
        _add(3);
        uint256[] memory voters = new uint256[](1);
        voters[0] = 2;
        _closeByDeadline(0, _account(0), voters);
        assertEq(_state.strikes(_account(2)), 0);
        assertEq(_state.strikes(_account(1)), 1);
    }

    function test_strikes_addMissedProposals() public {
        _add(2);
        _state.members[_account(1)] = _state.members[_account(1)].withMissed(2);
        _closeByDeadline(0, _account(0), new uint256[](0));
        assertEq(_state.strikes(_account(1)), 3);
    }

    function test_strikes_stayAfterLeaving() public {
        _add(3);
        _closeByDeadline(0, _account(0), new uint256[](0));
        _state.removeFromActive(_account(2), 1);
        assertEq(_state.strikes(_account(2)), 1);
        _closeByDeadline(1, _account(1), new uint256[](0));
        assertEq(_state.strikes(_account(2)), 1);
    }

    function test_strikes_ofALateJoinerStartAtZero() public {
        _add(2);
        _closeByDeadline(0, _account(0), new uint256[](0));
        _state.add(_account(7), 1);
        assertEq(_state.strikes(_account(7)), 0);
    }

    // ------------------------------------------------------------------ eligibility

    function testFuzz_isEligible_isTheElectorateButTheProposer(uint32 from, uint32 until, uint32 round)
        public
    {
        from = uint32(bound(from, 0, 9));
        until = uint32(bound(until, from, 10));
        round = uint32(bound(round, 0, 10));
        _state.add(_account(0), from);
        Member member = _state.members[_account(0)].until(until);
        bool inElectorate = from <= round && round < until;
        assertEq(member.isEligible(_state.roundAt[round], _account(0), round), inElectorate);
        _state.roundAt[round].proposer = _account(0);
        assertFalse(member.isEligible(_state.roundAt[round], _account(0), round));
    }

    // ------------------------------------------------------------------ helpers

    function _account(uint256 i) private pure returns (address) {
        return address(uint160(0x1000 + i));
    }

    function _add(uint256 count) private {
        for (uint256 i = 0; i < count; ++i) {
            _state.add(_account(i), 0);
        }
    }

    function _closeByDeadline(uint32 round, address proposer, uint256[] memory voters) private {
        RoundState storage state = _state.roundAt[round];
        state.tally = Tallies.begin(1, _state.misses, 9, 1, false);
        state.proposer = proposer;
        Rounds.Count memory counting = Rounds.Count(state.tally, 0, 0);
        for (uint256 i = 0; i < voters.length; ++i) {
            state.count(counting, voters[i], true);
        }
        state.tally = counting.tally;
        _state.votesMissed[_state.misses] = round;
        ++_state.misses;
    }
}
