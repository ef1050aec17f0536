// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ICollectiveLearning, ICollectiveLearningQueries as Q} from "../../src/ICollectiveLearning.sol";
import {BallotState, Outcome, Phase, Status} from "../../src/types/Enums.sol";
import {ExperimentId} from "../../src/types/ExperimentId.sol";
import {Base} from "../Base.sol";

/// @notice Makes random calls by five learners and a stranger, and keeps a naive model of the strikes:
/// after each step it visits every learner that missed a duty.
contract Handler is Base {
    uint256 public constant ACTORS = 5;
    address public constant STRANGER = address(0xBAD);

    ExperimentId[] public ids;
    mapping(ExperimentId id => mapping(address learner => uint32)) public strikes;
    mapping(ExperimentId id => mapping(uint32 round => bytes32)) public closedAs;
    mapping(ExperimentId id => uint32) public lastRound;

    bool public strangerActed;
    bool public votedTwice;
    bool public wentBack;
    mapping(address learner => bool) private _choice;

    constructor(ICollectiveLearning hub_, ExperimentId[] memory ids_) {
        hub = hub_;
        ids = ids_;
    }

    modifier step(uint256 which) {
        ExperimentId id = _id(which);
        Q.ExperimentView memory before = hub.experiment(id);
        _;
        _follow(id, before);
    }

    function count() external view returns (uint256) {
        return ids.length;
    }

    // ------------------------------------------------------------------ calls

    function join(uint256 which, uint256 who) external step(which) {
        vm.prank(_actor(who));
        try hub.join(_id(which), 0) {} catch {}
    }

    function leave(uint256 which, uint256 who) external step(which) {
        // Rarely, so that enough learners are left.
        if (who % 16 != 0) return;
        vm.prank(_actor(who / 16));
        try hub.leave(_id(which)) {} catch {}
    }

    function remove(uint256 which, uint256 who) external step(which) {
        vm.prank(STRANGER);
        try hub.remove(_id(which), _actor(who)) {} catch {}
    }

    function propose(uint256 which, uint256 salt) external step(which) {
        (ExperimentId id, uint32 round, address proposer) = _now(which);
        vm.prank(proposer);
        try hub.propose(id, round, content(salt), HALF, ABSENT) {
            strikes[id][proposer] = 0;
        } catch {}
    }

    function decline(uint256 which, uint256 luck) external step(which) {
        if (luck % 4 != 0) return;
        (ExperimentId id, uint32 round, address proposer) = _now(which);
        vm.prank(proposer);
        try hub.decline(id, round) {} catch {}
    }

    function vote(uint256 which, uint256 who, bool approve) external step(which) {
        (ExperimentId id, uint32 round,) = _now(which);
        address voter = _actor(who);
        bool had = _hasBallot(id, round, voter);
        vm.prank(voter);
        try hub.vote(id, round, approve, HALF, HALF) {
            _counted(id, voter, had);
        } catch {}
    }

    function voteSigned(uint256 which, uint256 who, bool approve) external step(which) {
        (ExperimentId id, uint32 round,) = _now(which);
        address voter = _actor(who);
        bytes memory ballot = signedBallot(id, round, who % ACTORS, approve);
        bool had = _hasBallot(id, round, voter);
        uint16 cast = hub.experiment(id).started ? _cast(id, round) : 0;
        try hub.voteSigned(id, round, bytes.concat(ballot, ballot)) {
            if (_cast(id, round) > cast + 1) votedTwice = true;
            if (!had && _hasBallot(id, round, voter)) _counted(id, voter, had);
        } catch {}
    }

    function commit(uint256 which, uint256 who, bool approve) external step(which) {
        _commit(_id(which), who % ACTORS, approve);
    }

    /// @dev All voters commit at once; otherwise few rounds would reach revealing.
    function commitAll(uint256 which, uint256 choices) external step(which) {
        for (uint256 i = 0; i < ACTORS; ++i) {
            _commit(_id(which), i, (choices >> i) & 1 == 1);
        }
    }

    function reveal(uint256 which, uint256 who, uint256 luck) external step(which) {
        _reveal(_id(which), _actor(who), luck);
    }

    /// @dev All voters but one reveal.
    function revealMost(uint256 which, uint256 absent, uint256 luck) external step(which) {
        for (uint256 i = 0; i < ACTORS; ++i) {
            if (i != absent % ACTORS) _reveal(_id(which), account(i), luck >> i);
        }
    }

    function advance(uint256 which, uint256 luck) external step(which) {
        (ExperimentId id, uint32 round,) = _now(which);
        if (luck % 3 == 0 && hub.experiment(id).started) {
            uint40 deadline = hub.round(id, round).deadline;
            if (vm.getBlockTimestamp() < deadline) vm.warp(deadline);
        }
        vm.prank(STRANGER);
        try hub.advance(id) {} catch {}
    }

    /// @dev Calls that only a member or the creator may make.
    function intrude(uint256 which, bool approve) external step(which) {
        (ExperimentId id, uint32 round,) = _now(which);
        vm.startPrank(STRANGER);
        try hub.vote(id, round, approve, HALF, HALF) {
            strangerActed = true;
        } catch {}
        try hub.commit(id, round, bytes32(uint256(1))) {
            strangerActed = true;
        } catch {}
        try hub.propose(id, round, content(7), HALF, HALF) {
            strangerActed = true;
        } catch {}
        try hub.decline(id, round) {
            strangerActed = true;
        } catch {}
        try hub.start(id) {
            strangerActed = true;
        } catch {}
        try hub.cancel(id) {
            strangerActed = true;
        } catch {}
        try hub.leave(id) {
            strangerActed = true;
        } catch {}
        vm.stopPrank();
    }

    // ------------------------------------------------------------------ model

    /// @dev Called after each step: records the rounds that closed and counts their missed duties one by one.
    function _follow(ExperimentId id, Q.ExperimentView memory before) private {
        Q.ExperimentView memory now_ = hub.experiment(id);
        if (now_.round < lastRound[id] || now_.status < before.status) wentBack = true;
        lastRound[id] = now_.round;
        if (before.status != Status.Running) return;
        Q.RoundView memory r = hub.round(id, before.round);
        if (r.phase != Phase.Closed) return;
        closedAs[id][before.round] = keccak256(abi.encode(r));
        if (!r.byDeadline) return;
        if (r.outcome == Outcome.NoProposal) {
            ++strikes[id][r.proposer];
            return;
        }
        for (uint256 i = 0; i < ACTORS; ++i) {
            if (_isAbsent(id, before.round, account(i))) ++strikes[id][account(i)];
        }
    }

    function _isAbsent(ExperimentId id, uint32 round, address voter) private view returns (bool) {
        try hub.learner(id, voter) returns (Q.LearnerView memory l) {
            return l.active && hub.ballot(id, round, voter).eligible && !_hasBallot(id, round, voter);
        } catch {
            return false;
        }
    }

    // ------------------------------------------------------------------ helpers

    function _id(uint256 which) private view returns (ExperimentId) {
        return ids[which % ids.length];
    }

    function _actor(uint256 who) private pure returns (address) {
        return account(who % ACTORS);
    }

    function _now(uint256 which) private view returns (ExperimentId id, uint32 round, address proposer) {
        id = _id(which);
        round = hub.experiment(id).round;
        if (hub.experiment(id).started) proposer = hub.round(id, round).proposer;
    }

    function _hasBallot(ExperimentId id, uint32 round, address voter) private view returns (bool) {
        try hub.ballot(id, round, voter) returns (Q.BallotView memory b) {
            return b.state == BallotState.Approved || b.state == BallotState.Rejected;
        } catch {
            return false;
        }
    }

    function _cast(ExperimentId id, uint32 round) private view returns (uint16) {
        Q.RoundView memory r = hub.round(id, round);
        return r.approvals + r.rejections;
    }

    function _commit(ExperimentId id, uint256 who, bool approve) private {
        uint32 round = hub.experiment(id).round;
        bytes32 pledge = commitment(id, round, who, approve, bytes32("salt"));
        vm.prank(account(who));
        try hub.commit(id, round, pledge) {
            _choice[account(who)] = approve;
        } catch {}
    }

    /// @dev Mostly reveals the committed ballot.
    function _reveal(ExperimentId id, address voter, uint256 luck) private {
        uint32 round = hub.experiment(id).round;
        bool approve = luck % 8 == 0 ? !_choice[voter] : _choice[voter];
        bool had = _hasBallot(id, round, voter);
        vm.prank(voter);
        try hub.reveal(id, round, approve, HALF, HALF, bytes32("salt")) {
            _counted(id, voter, had);
        } catch {}
    }

    function _counted(ExperimentId id, address voter, bool had) private {
        if (had) votedTwice = true;
        strikes[id][voter] = 0;
    }
}
