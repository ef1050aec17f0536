// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ExperimentStorage} from "./ExperimentStorage.sol";
import {ICollectiveLearningCalls} from "./ICollectiveLearning.sol";
import {SigningDomain} from "./SigningDomain.sol";
import {Members} from "./libraries/Members.sol";
import {Rounds} from "./libraries/Rounds.sol";
import {Selection, Status} from "./types/Enums.sol";
import {ExperimentId} from "./types/ExperimentId.sol";
import {Member} from "./types/Member.sol";
import {ExperimentState, RoundState} from "./types/State.sol";
import {Stage, Tallies, Tally} from "./types/Tally.sol";

/// @notice Begins and closes rounds. Outcomes are written here and nowhere else.
abstract contract Lifecycle is ICollectiveLearningCalls, ExperimentStorage, SigningDomain {
    using Rounds for RoundState;
    using Members for ExperimentState;

    // ------------------------------------------------------------------ access

    function _running(ExperimentId id) internal view returns (ExperimentState storage e) {
        e = _existing(id);
        if (e.status != Status.Running) revert WrongStatus(e.status);
    }

    function _unfinished(ExperimentId id) internal view returns (ExperimentState storage e) {
        e = _existing(id);
        if (e.status > Status.Running) revert WrongStatus(e.status);
    }

    /// @dev Returns a round whose stage is `wanted` and whose deadline has not passed; reverts otherwise. A round
    /// at an open stage is the current round of a running experiment, so the common case reads one slot.
    function _roundAt(ExperimentId id, uint32 index, Stage wanted)
        internal
        view
        returns (ExperimentState storage e, RoundState storage state, Tally tally)
    {
        e = _stateOf(id);
        state = e.roundAt[index];
        tally = state.tally;
        if (tally.stage() != wanted) _refuseRound(id, index);
        if (block.timestamp >= tally.time()) revert DeadlinePassed(tally.time());
    }

    function _refuseRound(ExperimentId id, uint32 index) private view {
        ExperimentState storage e = _running(id);
        if (e.round != index) revert WrongRound(e.round);
        revert WrongPhase(Rounds.phase(e.roundAt[index].tally.stage()));
    }

    // ------------------------------------------------------------------ beginning

    function _start(ExperimentId id, ExperimentState storage e) internal {
        e.status = Status.Running;
        e.startedAt = uint40(block.timestamp);
        emit ExperimentStarted(id);
        if (e.params.selection == Selection.Random) {
            e.seed = sha256(abi.encodePacked(_separator(), id, block.prevrandao));
        }
        _beginRound(id, e, 0);
    }

    /// @dev Flat: selection reads one entry of the active list, whatever its length.
    function _beginRound(ExperimentId id, ExperimentState storage e, uint32 index) private {
        uint16 members = e.activeLearners;
        uint16 position = _select(e, index, members);
        address proposer = e.active[position];
        uint16 eligible = members - 1;
        uint256 share = (uint256(eligible) * e.params.approvalBps + 9_999) / 10_000;
        uint16 needed = share == 0 ? 1 : uint16(share);
        uint40 deadline = uint40(block.timestamp) + e.params.proposeWindow;

        e.round = index;
        e.position = position;
        RoundState storage state = e.roundAt[index];
        state.tally = Tallies.begin(deadline, e.misses, eligible, needed, e.params.settleEarly);
        state.proposer = proposer;
        state.eligible = eligible;
        state.startedAt = uint40(block.timestamp);
        emit RoundStarted(id, index, proposer, eligible, needed, deadline);
    }

    function _select(ExperimentState storage e, uint32 index, uint16 members) private view returns (uint16) {
        if (e.params.selection == Selection.Random) return uint16(uint256(e.seed) % members);
        return index == 0 ? 0 : (e.position + 1) % members;
    }

    // ------------------------------------------------------------------ settling

    /// @dev Closes the round if nothing can change its outcome; writes the tally back otherwise.
    function _settle(
        ExperimentId id,
        ExperimentState storage e,
        uint32 index,
        RoundState storage state,
        Tally tally
    ) internal {
        if (state.isSettled(tally)) {
            _closeVote(id, e, index, tally, false);
        } else {
            state.tally = tally;
        }
    }

    function _closeVote(
        ExperimentId id,
        ExperimentState storage e,
        uint32 index,
        Tally tally,
        bool byDeadline
    ) internal {
        bool accepted = tally.approvals() >= tally.needed();
        if (accepted) e.currentRound = index + 1;
        if (byDeadline) {
            e.votesMissed[e.misses] = index;
            ++e.misses;
            tally = tally.byDeadline();
        }
        _close(id, e, index, tally, accepted ? Stage.Accepted : Stage.Rejected);
        _continueOrEnd(id, e, index);
    }

    /// @dev Closes a round that got no proposal.
    function _closeUnproposed(ExperimentId id, ExperimentState storage e, uint32 index, bool byDeadline)
        internal
    {
        Tally tally = e.roundAt[index].tally;
        if (byDeadline) {
            _strikeProposer(e, e.roundAt[index].proposer);
            tally = tally.byDeadline();
        }
        _close(id, e, index, tally, Stage.NoProposal);
        _continueOrEnd(id, e, index);
    }

    function _strikeProposer(ExperimentState storage e, address proposer) private {
        Member member = e.members[proposer];
        e.members[proposer] = member.withMissed(member.missed() + 1);
    }

    function _abandon(ExperimentId id, ExperimentState storage e, uint32 index) internal {
        Tally tally = e.roundAt[index].tally;
        if (tally.stage() == Stage.Committing) tally = e.roundAt[index].endCommitting(tally);
        _close(id, e, index, tally, Stage.Abandoned);
    }

    function _close(ExperimentId id, ExperimentState storage e, uint32 index, Tally tally, Stage stage)
        private
    {
        RoundState storage state = e.roundAt[index];
        tally = tally.at(stage, uint40(block.timestamp));
        state.tally = tally;
        uint16 rejections = state.rejections(tally, e.params.revealWindow != 0);
        emit RoundClosed(id, index, Rounds.outcome(stage), tally.approvals(), rejections, state.eligible);
    }

    /// @dev Begins the next round, or ends the experiment.
    function _continueOrEnd(ExperimentId id, ExperimentState storage e, uint32 index) private {
        if (index + 1 == e.params.rounds) {
            _end(e, Status.Completed);
            emit ExperimentCompleted(id);
            return;
        }
        if (e.params.selection == Selection.Random) {
            e.seed = sha256(abi.encodePacked(e.seed, block.prevrandao, e.roundAt[index].salts));
        }
        if (e.activeLearners < 2) {
            _end(e, Status.Cancelled);
            emit ExperimentCancelled(id);
            return;
        }
        _beginRound(id, e, index + 1);
    }

    function _end(ExperimentState storage e, Status status) internal {
        e.status = status;
        e.endedAt = uint40(block.timestamp);
    }
}
