// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ICollectiveLearningQueries as Q} from "../../src/ICollectiveLearning.sol";
import {Selection} from "../../src/types/Enums.sol";
import {ExperimentId} from "../../src/types/ExperimentId.sol";
import {Params} from "../../src/types/Params.sol";
import {GasBase} from "./GasBase.sol";

/// @notice The gas of the calls that close a round and begin the next. See GasTest.
contract ClosingGasTest is GasBase {
    /// @dev The target, and what it is higher for each slot of the next round.
    uint256 private constant CLOSE = 115_000;
    uint256 private constant CLOSE_EACH = 10_000;
    uint256 private constant CLOSE_EACH_RANDOM = 27_000;
    /// @dev By how much the two calls exceed the target that do more: a random draw after secret ballots may write one
    /// more new word, and `leave` also removes the member.
    uint256 private constant NEW_WORD = 22_100;
    uint256 private constant LEAVING = 1_000;

    enum Call {
        Vote,
        VoteSigned,
        Reveal,
        Decline,
        Leave
    }

    function test_closingVote_isFlat() public {
        _assertFlat(Call.Vote, "vote that closes");
    }

    function test_closingVoteSigned_isFlat() public {
        _assertFlat(Call.VoteSigned, "voteSigned that closes");
    }

    /// @dev Not with 16 proposers: the memory of one test does not suffice for as many ballots.
    function test_closingReveal_isFlat() public {
        uint8[3] memory proposers = [1, 2, 8];
        for (uint256 i = 0; i < 3; ++i) {
            _assertClosing(Call.Reveal, "reveal that closes", _terms(proposers[i], Selection.RoundRobin));
            _assertClosing(Call.Reveal, "reveal that closes", _terms(proposers[i], Selection.Random));
        }
    }

    function test_closingDecline_isFlat() public {
        _assertFlat(Call.Decline, "decline that closes");
    }

    function test_closingLeave_isFlat() public {
        _assertFlat(Call.Leave, "leave that closes");
    }

    function test_advance_isFlat() public {
        uint8[4] memory proposers = [1, 2, 8, 16];
        for (uint256 i = 0; i < 4; ++i) {
            _assertAdvance(_terms(proposers[i], Selection.RoundRobin));
            _assertAdvance(_terms(proposers[i], Selection.Random));
        }
    }

    // ------------------------------------------------------------------ targets

    function _assertFlat(Call call, string memory name) private {
        uint8[4] memory proposers = [1, 2, 8, 16];
        for (uint256 i = 0; i < 4; ++i) {
            _assertClosing(call, name, _terms(proposers[i], Selection.RoundRobin));
            _assertClosing(call, name, _terms(proposers[i], Selection.Random));
        }
    }

    function _assertClosing(Call call, string memory name, Params memory p) private {
        if (call == Call.Reveal) p.revealWindow = uint32(WINDOW);
        uint256 few = _closingCost(call, p, p.proposers + 4);
        uint256 many = _closingCost(call, p, 60);
        uint256 more = _extra(call, p);
        _assertCosts(name, p, few, many, more);
        assertLe(few, _target(p) + more);
    }

    function _extra(Call call, Params memory p) private pure returns (uint256) {
        if (call == Call.Leave) return LEAVING;
        return call == Call.Reveal && p.selection == Selection.Random ? NEW_WORD : 0;
    }

    function _assertAdvance(Params memory p) private {
        (uint256 unproposed, uint256 closing) = _advanceCosts(p, 60);
        (uint256 manyUnproposed, uint256 manyClosing) = _advanceCosts(p, 500);
        _assertCosts("advance, no proposal", p, unproposed, manyUnproposed, 0);
        _assertCosts("advance, vote over", p, closing, manyClosing, 0);
    }

    function _assertCosts(string memory name, Params memory p, uint256 few, uint256 many, uint256 more)
        private
    {
        name = _named(name, p.proposers);
        bool isRandom = p.selection == Selection.Random;
        vm.snapshotValue(GROUP, isRandom ? string.concat(name, ", random") : name, many);
        assertApproxEqAbs(many, few, isRandom ? _noise(p) + more : 3_000);
        assertLe(many, _target(p) + more);
    }

    function _target(Params memory p) private pure returns (uint256) {
        uint256 each = p.selection == Selection.Random ? CLOSE_EACH_RANDOM : CLOSE_EACH;
        return CLOSE + each * p.proposers;
    }

    /// @dev How much depends on which words of the active list the selected members share; with few learners, most.
    function _noise(Params memory p) private pure returns (uint256) {
        return 9_000 * uint256(p.proposers);
    }

    function _terms(uint8 proposers, Selection selection) private pure returns (Params memory p) {
        p = plural(proposers);
        p.selection = selection;
    }

    // ------------------------------------------------------------------ costs

    /// @dev Of the call that closes the second round, which has current weights to replace, and begins the third.
    function _closingCost(Call call, Params memory p, uint256 n) private returns (uint256 cost) {
        ExperimentId id = startExperiment(p, n);
        for (uint32 round = 0; round < 2; ++round) {
            if (call == Call.Decline || call == Call.Leave) {
                cost = _declineAll(id, round, call == Call.Leave && round == 1);
            } else {
                proposeWeights(id, round);
                cost = _voteAll(call, id, round, n);
            }
        }
    }

    function _declineAll(ExperimentId id, uint32 round, bool leaves) private returns (uint256) {
        Q.SlotView[] memory slots = hub.round(id, round).slots;
        for (uint256 slot = 0; slot < slots.length; ++slot) {
            vm.prank(slots[slot].proposer);
            if (leaves && slot == slots.length - 1) hub.leave(id);
            else hub.decline(id, round);
        }
        return _lastCost();
    }

    function _voteAll(Call call, ExperimentId id, uint32 round, uint256 n) private returns (uint256) {
        Q.SlotView[] memory slots = hub.round(id, round).slots;
        uint256 only = slots.length == 1 ? hub.learner(id, slots[0].proposer).index : n;
        uint256 last = only == n - 1 ? n - 2 : n - 1;
        if (call == Call.Reveal) {
            for (uint256 i = 0; i < n; ++i) {
                if (i != only) commitBallot(id, round, i, _choiceOf(slots, i), bytes32(i + 1));
            }
        }
        for (uint256 i = 0; i < n; ++i) {
            if (i == only) continue;
            uint16 approvals = _choiceOf(slots, i);
            if (call == Call.Reveal) {
                revealBallot(id, round, i, approvals, bytes32(i + 1));
            } else if (call == Call.VoteSigned && i == last) {
                bytes32 digest = digestOf(id, round);
                hub.voteSigned(id, round, digest, signedBallot(id, round, i, approvals));
            } else {
                castVote(id, round, i, approvals);
            }
        }
        return _lastCost();
    }

    /// @dev Of the second round's end, without a proposal, and the third's, without a ballot.
    function _advanceCosts(Params memory p, uint256 n) private returns (uint256 unproposed, uint256 closing) {
        ExperimentId id = startExperiment(p, n);
        passDeadline(id);
        hub.advance(id);
        unproposed = _lastCost();
        proposeWeights(id, 1);
        passDeadline(id);
        hub.advance(id);
        closing = _lastCost();
    }

    /// @dev All proposals but the learner's own.
    function _choiceOf(Q.SlotView[] memory slots, uint256 i) private pure returns (uint16 all) {
        for (uint256 slot = 0; slot < slots.length; ++slot) {
            if (slots[slot].proposer != account(i)) all |= uint16(1 << slot);
        }
    }
}
