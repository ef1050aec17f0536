// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ICollectiveLearning, ICollectiveLearningQueries as Q} from "../../src/ICollectiveLearning.sol";
import {BallotState, Outcome, Phase, SlotState, Status} from "../../src/types/Enums.sol";
import {ExperimentId} from "../../src/types/ExperimentId.sol";
import {Base} from "../Base.sol";

/// @notice Makes random calls by five learners and a stranger, and keeps a naive model of the missed duties:
/// after each step it visits every learner that missed one.
contract Handler is Base {
    uint256 public constant ACTORS = 5;
    address public constant STRANGER = address(0xBAD);

    ExperimentId public id;
    mapping(address learner => uint32) public missedProposals;
    mapping(address learner => uint32) public missedBallots;
    mapping(uint32 round => bytes32) public closedAs;
    uint32 public lastRound;

    bool public strangerActed;
    bool public votedTwice;
    bool public votedOnOtherProposals;
    bool public wentBack;
    mapping(address learner => uint16) private _choice;

    constructor(ICollectiveLearning hub_, ExperimentId id_, address creator_) {
        hub = hub_;
        id = id_;
        creator = creator_;
    }

    modifier step() {
        Q.ExperimentView memory before = hub.experiment(id);
        _;
        _follow(before);
    }

    // ------------------------------------------------------------------ calls

    function join(uint256 who) external step {
        bytes32 hash = hub.experiment(id).hash;
        vm.prank(_actor(who));
        try hub.join(id, hash, 0) {} catch {}
    }

    function leave(uint256 who) external step {
        // Rarely, so that enough learners are left.
        if (who % 16 != 0) return;
        vm.prank(_actor(who / 16));
        try hub.leave(id) {} catch {}
    }

    function remove(uint256 who) external step {
        vm.prank(STRANGER);
        try hub.remove(id, _actor(who)) {} catch {}
    }

    function cancel(uint256 luck) external step {
        if (luck % 32 != 0) return;
        vm.prank(creator);
        try hub.cancel(id) {} catch {}
    }

    function propose(uint256 slot, uint256 salt) external step {
        _propose(slot, salt);
    }

    /// @dev All proposers but one; otherwise few plural rounds would have several proposals.
    function proposeMost(uint256 absent, uint256 salt) external step {
        uint256 slots = _slots().length;
        for (uint256 slot = 0; slot < slots; ++slot) {
            if (slot != absent % (2 * slots)) _propose(slot, salt ^ slot);
        }
    }

    function decline(uint256 slot, uint256 luck) external step {
        Q.SlotView[] memory slots = _slots();
        if (luck % 4 != 0 || slots.length == 0) return;
        uint32 round = _round();
        vm.prank(slots[slot % slots.length].proposer);
        try hub.decline(id, round) {} catch {}
    }

    function vote(uint256 who, uint16 approvals, uint256 luck) external step {
        _vote(_actor(who), approvals, luck % 16 == 0);
    }

    function voteMost(uint256 absent, uint256 approvals) external step {
        for (uint256 i = 0; i < ACTORS; ++i) {
            if (i != absent % (2 * ACTORS)) _vote(account(i), uint16(approvals >> (16 * i)), false);
        }
    }

    function voteSigned(uint256 who, uint16 approvals) external step {
        address voter = _actor(who);
        (uint32 round, bytes32 digest) = (_round(), _digest());
        bool had = _hasBallot(voter, round);
        approvals = _allowed(voter, approvals);
        bytes memory ballot = signedBallot(id, round, who % ACTORS, approvals, digest, _scores());
        uint16 cast = hub.round(id, round).ballots;
        try hub.voteSigned(id, round, digest, bytes.concat(ballot, ballot)) {
            if (hub.round(id, round).ballots > cast + 1) votedTwice = true;
            if (!had && _hasBallot(voter, round)) missedBallots[voter] = 0;
        } catch {}
    }

    function commit(uint256 who, uint16 approvals) external step {
        _commit(who % ACTORS, approvals);
    }

    /// @dev All voters commit at once; otherwise few rounds would reach revealing.
    function commitAll(uint256 choices) external step {
        for (uint256 i = 0; i < ACTORS; ++i) {
            _commit(i, uint16(choices >> (16 * i)));
        }
    }

    function reveal(uint256 who, uint256 luck) external step {
        _reveal(_actor(who), luck);
    }

    /// @dev All voters but one reveal.
    function revealMost(uint256 absent, uint256 luck) external step {
        for (uint256 i = 0; i < ACTORS; ++i) {
            if (i != absent % (2 * ACTORS)) _reveal(account(i), luck >> i);
        }
    }

    function advance(uint256 luck) external step {
        Q.RoundView memory r = hub.round(id, _round());
        if (luck % 3 == 0 && vm.getBlockTimestamp() < r.deadline) vm.warp(r.deadline);
        vm.prank(STRANGER);
        try hub.advance(id) {
            for (uint256 slot = 0; r.phase == Phase.Proposing && slot < r.slots.length; ++slot) {
                if (r.slots[slot].state == SlotState.Open) ++missedProposals[r.slots[slot].proposer];
            }
        } catch {}
    }

    /// @dev Calls that only a member or the creator may make.
    function intrude(uint16 approvals) external step {
        (uint32 round, bytes32 digest, bytes memory list) = (_round(), _digest(), _scores());
        bytes[] memory calls = new bytes[](8);
        calls[0] = abi.encodeCall(hub.vote, (id, round, digest, approvals, list));
        calls[1] = abi.encodeCall(hub.commit, (id, round, digest, bytes32(uint256(1))));
        calls[2] = abi.encodeCall(hub.propose, (id, round, content(7), HALF, HALF));
        calls[3] = abi.encodeCall(hub.decline, (id, round));
        calls[4] = abi.encodeCall(hub.cancel, (id));
        calls[5] = abi.encodeCall(hub.leave, (id));
        calls[6] = abi.encodeCall(hub.setEncryptionKey, (id, 0));
        calls[7] = abi.encodeCall(hub.announce, (id, "topic", content(7)));
        for (uint256 i = 0; i < calls.length; ++i) {
            vm.prank(STRANGER);
            // solhint-disable-next-line avoid-low-level-calls
            (bool accepted,) = address(hub).call(calls[i]);
            if (accepted) strangerActed = true;
        }
    }

    // ------------------------------------------------------------------ model

    /// @dev Called after each step: records a round that closed and counts its missed ballots one by one.
    function _follow(Q.ExperimentView memory before) private {
        Q.ExperimentView memory now_ = hub.experiment(id);
        if (now_.round < lastRound || now_.status < before.status) wentBack = true;
        lastRound = now_.round;
        if (before.status != Status.Running) return;
        Q.RoundView memory r = hub.round(id, before.round);
        if (r.phase != Phase.Closed) return;
        closedAs[before.round] = keccak256(abi.encode(r));
        if (!r.byDeadline || r.outcome == Outcome.NoProposal) return;
        for (uint256 i = 0; i < ACTORS; ++i) {
            if (_isAbsent(r, account(i))) ++missedBallots[account(i)];
        }
    }

    function _isAbsent(Q.RoundView memory r, address voter) private view returns (bool) {
        try hub.learner(id, voter) returns (Q.LearnerView memory l) {
            if (!l.active || l.fromRound > r.index) return false;
            if (hub.ballot(id, r.index, voter).state == BallotState.Cast) return false;
            return !_isOnlyProposer(r, voter);
        } catch {
            return false;
        }
    }

    function _isOnlyProposer(Q.RoundView memory r, address voter) private pure returns (bool) {
        uint256 proposals;
        bool own;
        for (uint256 slot = 0; slot < r.slots.length; ++slot) {
            if (r.slots[slot].state != SlotState.Proposed) continue;
            ++proposals;
            own = own || r.slots[slot].proposer == voter;
        }
        return proposals == 1 && own;
    }

    // ------------------------------------------------------------------ steps

    function _propose(uint256 slot, uint256 salt) private {
        Q.SlotView[] memory slots = _slots();
        uint32 round = _round();
        address proposer = slots[slot % slots.length].proposer;
        vm.prank(proposer);
        try hub.propose(id, round, content(salt), HALF, ABSENT) {
            missedProposals[proposer] = 0;
        } catch {}
    }

    function _vote(address voter, uint16 approvals, bool wrong) private {
        (uint32 round, bytes32 digest, bytes memory list) = (_round(), _digest(), _scores());
        bool had = _hasBallot(voter, round);
        approvals = _allowed(voter, approvals);
        vm.prank(voter);
        try hub.vote(id, round, wrong ? ~digest : digest, approvals, list) {
            if (wrong) votedOnOtherProposals = true;
            _counted(voter, had);
        } catch {}
    }

    function _commit(uint256 who, uint16 approvals) private {
        (uint32 round, bytes32 digest) = (_round(), _digest());
        approvals = _allowed(account(who), approvals);
        bytes32 pledge = commitment(id, round, who, approvals, bytes32("salt"));
        vm.prank(account(who));
        try hub.commit(id, round, digest, pledge) {
            _choice[account(who)] = approvals;
        } catch {}
    }

    /// @dev Mostly reveals the committed ballot.
    function _reveal(address voter, uint256 luck) private {
        uint16 approvals = luck % 8 == 0 ? _choice[voter] ^ 1 : _choice[voter];
        (uint32 round, bytes memory list) = (_round(), _scores());
        bool had = _hasBallot(voter, round);
        vm.prank(voter);
        try hub.reveal(id, round, approvals, list, bytes32("salt")) {
            if (approvals != _choice[voter]) votedOnOtherProposals = true;
            _counted(voter, had);
        } catch {}
    }

    function _counted(address voter, bool had) private {
        if (had) votedTwice = true;
        missedBallots[voter] = 0;
    }

    // ------------------------------------------------------------------ views

    function _actor(uint256 who) private pure returns (address) {
        return account(who % ACTORS);
    }

    function _round() private view returns (uint32) {
        return hub.experiment(id).round;
    }

    function _slots() private view returns (Q.SlotView[] memory) {
        return hub.round(id, _round()).slots;
    }

    function _digest() private view returns (bytes32) {
        return digestOf(id, _round());
    }

    function _scores() private view returns (bytes memory) {
        return scoresOf(id, _round());
    }

    function _hasBallot(address voter, uint32 round) private view returns (bool) {
        try hub.ballot(id, round, voter) returns (Q.BallotView memory b) {
            return b.state == BallotState.Cast;
        } catch {
            return false;
        }
    }

    /// @dev Mostly slots that the voter may approve; one approval in 16 stays as it is.
    function _allowed(address voter, uint16 approvals) private view returns (uint16 allowed) {
        if (approvals % 16 == 7) return approvals;
        Q.SlotView[] memory slots = _slots();
        for (uint256 slot = 0; slot < slots.length; ++slot) {
            bool judged = slots[slot].state == SlotState.Proposed && slots[slot].proposer != voter;
            if (judged) allowed |= approvals & uint16(1 << slot);
        }
    }
}
