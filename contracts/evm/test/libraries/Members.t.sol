// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Test} from "forge-std/Test.sol";

import {Members} from "../../src/libraries/Members.sol";
import {Rounds} from "../../src/libraries/Rounds.sol";
import {Selection} from "../../src/types/Enums.sol";
import {Member} from "../../src/types/Member.sol";
import {ExperimentState, RoundState} from "../../src/types/State.sol";
import {Stage, Tallies, Tally} from "../../src/types/Tally.sol";

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
            assertEq(_state.roster[i].account, _account(i));
            assertEq(_state.roster[i].position, i);
            assertEq(_state.activeAt(i), i);
            Member member = _state.members[_account(i)];
            assertEq(member.index(), i);
            assertEq(member.fromRound(), i % 3);
        }
    }

    function test_removeFromActive_movesTheLastMember() public {
        _add(4);
        _state.removeFromActive(_account(1), 5);
        _assertActive([uint8(0), 3, 2, 99, 99]);
        assertEq(_state.members[_account(1)].untilRound(), 5);
    }

    function test_removeFromActive_ofTheLastMemberMovesNobody() public {
        _add(3);
        _state.removeFromActive(_account(2), 1);
        _assertActive([uint8(0), 1, 99, 99, 99]);
    }

    /// @dev The lists of the protocol: drawn members are those before the cursor.
    function test_removeFromActive_withRandomSelectionKeepsDrawnMembersTogether() public {
        _state.params.selection = Selection.Random;
        _add(6);
        _state.cursor = 3;
        _state.removeFromActive(_account(0), 1); // drawn: 2 takes its place, then 5 that of 2
        _assertActive([uint8(2), 1, 5, 3, 4]);
        assertEq(_state.cursor, 2);
        _state.removeFromActive(_account(5), 1); // not drawn
        _assertActive([uint8(2), 1, 4, 3, 99]);
        assertEq(_state.cursor, 2);
        _state.removeFromActive(_account(1), 1); // the last one drawn
        _assertActive([uint8(2), 3, 4, 99, 99]);
        assertEq(_state.cursor, 1);
        _state.cursor = 3;
        _state.removeFromActive(_account(4), 1); // the last of all, with all drawn
        _assertActive([uint8(2), 3, 99, 99, 99]);
        assertEq(_state.cursor, 2);
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
            assertEq(_state.activeAt(_state.roster[i].position), i);
        }
        assertEq(_state.activeLearners, active);
        assertEq(_state.joinedLearners, count);
    }

    // ------------------------------------------------------------------ strikes

    function test_missedBallots_countVotesClosedByTheirDeadline() public {
        _add(3);
        _closeByDeadline(0, 0, new uint256[](0));
        _closeByDeadline(1, 1, new uint256[](0));
        assertEq(_missedBallots(2), 2);
    }

    function test_missedBallots_doNotCountARoundOfTheOnlyProposer() public {
        _add(3);
        _propose(0, 0);
        _closeByDeadline(0, 0, new uint256[](0));
        assertEq(_missedBallots(0), 0);
        _closeByDeadline(1, 1, new uint256[](0));
        assertEq(_missedBallots(0), 1);
    }

    /// @dev The case that a count of misses since the last ballot would get wrong.
    function test_missedBallots_beforeTheOwnProposalAreKept() public {
        _add(3);
        _closeByDeadline(0, 0, new uint256[](0));
        _propose(1, 1);
        assertEq(_missedBallots(1), 1);
        _closeByDeadline(1, 1, new uint256[](0));
        assertEq(_missedBallots(1), 1);
        _closeByDeadline(2, 2, new uint256[](0));
        assertEq(_missedBallots(1), 2);
        _propose(3, 1);
        _closeByDeadline(3, 1, new uint256[](0));
        assertEq(_missedBallots(1), 2);
    }

    function test_missedBallots_doNotCountARoundWithABallot() public {
        _add(3);
        uint256[] memory voters = new uint256[](1);
        voters[0] = 2;
        _closeByDeadline(0, 0, voters);
        assertEq(_missedBallots(2), 0);
        assertEq(_missedBallots(1), 1);
    }

    /// @dev The round of the first miss is found among any number of rounds, with and without misses.
    function testFuzz_missedBallots_findTheFirstMiss(uint256 seed, uint8 length, uint8 at) public {
        _add(3);
        uint32 rounds = uint32(bound(length, 1, 60));
        uint32 voted = uint32(bound(at, 0, rounds - 1));
        uint32 expected;
        for (uint32 round = 0; round < rounds; ++round) {
            bool isMiss = (seed >> round) & 1 == 1;
            uint256[] memory voters = new uint256[](round == voted ? 1 : 0);
            if (round == voted) {
                voters[0] = 2;
                _state.members[_account(2)] = _state.members[_account(2)].withMissedBallots(0, _state.misses);
                expected = 0;
            } else if (isMiss) {
                ++expected;
            }
            _closeByDeadline(round, 0, voters);
            if (isMiss) continue;
            --_state.misses; // closed without one
            _state.roundAt[round + 1].tally = Tallies.begin(1, 9, 1, _state.misses, 1);
        }
        assertEq(_missedBallots(2), expected);
    }

    function test_strikes_areTheLargerCount() public {
        _add(3);
        _state.roster[1].missedProposals = 2;
        _closeByDeadline(0, 0, new uint256[](0));
        assertEq(_state.strikes(_state.members[_account(1)]), 2);
        _closeByDeadline(1, 0, new uint256[](0));
        _closeByDeadline(2, 0, new uint256[](0));
        assertEq(_state.strikes(_state.members[_account(1)]), 3);
    }

    function test_strikes_stayAfterLeaving() public {
        _add(3);
        _state.roster[2].missedProposals = 4;
        _closeByDeadline(0, 0, new uint256[](0));
        _state.removeFromActive(_account(2), 1);
        assertEq(_missedBallots(2), 1);
        _closeByDeadline(1, 1, new uint256[](0));
        assertEq(_missedBallots(2), 1);
        assertEq(_state.strikes(_state.members[_account(2)]), 4);
    }

    function test_missedBallots_ofALateJoinerStartAtZero() public {
        _add(2);
        _closeByDeadline(0, 0, new uint256[](0));
        _state.add(_account(7), 2); // while round 1 is open
        assertEq(_missedBallots(7), 0);
        _closeByDeadline(1, 1, new uint256[](0));
        assertEq(_missedBallots(7), 0);
        _closeByDeadline(2, 1, new uint256[](0));
        assertEq(_missedBallots(7), 1);
    }

    // ------------------------------------------------------------------ eligibility

    function testFuzz_isEligible_isTheElectorateButTheOnlyProposer(uint32 from, uint32 until, uint32 round)
        public
    {
        from = uint32(bound(from, 0, 9));
        until = uint32(bound(until, from, 10));
        round = uint32(bound(round, 0, 10));
        _state.add(_account(0), from);
        Member member = _state.members[_account(0)].until(until);
        bool inElectorate = from <= round && round < until;
        RoundState storage state = _state.roundAt[round];
        state.tally = Tallies.begin(2, 9, 1, 0, 1).withProposal(1);
        state.proposers[0] = 5; // index 5 in slot 0, index 0 in slot 1
        assertFalse(member.isEligible(state, round));
        state.tally = Tallies.begin(2, 9, 1, 0, 1).withProposal(0);
        assertEq(member.isEligible(state, round), inElectorate);
        state.tally = Tallies.begin(2, 9, 1, 0, 1).withProposal(1).withProposal(0);
        assertEq(member.isEligible(state, round), inElectorate);
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

    function _missedBallots(uint256 i) private view returns (uint32) {
        return _state.missedBallots(_state.members[_account(i)]);
    }

    /// @dev The indexes of the active list; 99 stands for none.
    function _assertActive(uint8[5] memory wanted) private view {
        uint256 length = 0;
        for (; length < 5 && wanted[length] != 99; ++length) {
            assertEq(_state.activeAt(length), wanted[length]);
            assertEq(_state.roster[wanted[length]].position, length);
        }
        assertEq(_state.activeLearners, length);
    }

    /// @dev What `propose` does with the member.
    function _propose(uint32 round, uint256 i) private {
        Member member = _state.members[_account(i)];
        member = member.withMissedBallots(_state.missedBallots(member), _state.misses);
        _state.members[_account(i)] = member.withProposal(round, 0);
    }

    /// @dev Closes a classic round of this proposer.
    function _closeByDeadline(uint32 round, uint256 proposer, uint256[] memory voters) private {
        RoundState storage state = _state.roundAt[round];
        Tally tally = Tallies.begin(1, 9, 1, _state.misses, 1);
        state.begin(tally, proposer, 0, 9);
        for (uint256 i = 0; i < voters.length; ++i) {
            tally = tally.withBallot(voters[i], 1);
        }
        state.tally = tally.at(Stage.Rejected, 1);
        ++_state.misses;
        _state.round = round + 1; // which begins with these misses
        _state.roundAt[round + 1].tally = Tallies.begin(1, 9, 1, _state.misses, 1);
    }
}
