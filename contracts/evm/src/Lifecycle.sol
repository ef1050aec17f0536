// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ExperimentStorage} from "./ExperimentStorage.sol";
import {ICollectiveLearningCalls} from "./ICollectiveLearning.sol";
import {SigningDomain} from "./SigningDomain.sol";
import {Proposals} from "./libraries/Proposals.sol";
import {Rounds} from "./libraries/Rounds.sol";
import {Selections} from "./libraries/Selections.sol";
import {Counts} from "./types/Counts.sol";
import {Merge, Selection, Status} from "./types/Enums.sol";
import {ExperimentId} from "./types/ExperimentId.sol";
import {ExperimentState, RoundState} from "./types/State.sol";
import {Stage, Tallies, Tally} from "./types/Tally.sol";

/// @notice Begins and closes rounds. Outcomes are written here and nowhere else.
abstract contract Lifecycle is ICollectiveLearningCalls, ExperimentStorage, SigningDomain {
    using Proposals for RoundState;
    using Rounds for RoundState;
    using Selections for ExperimentState;

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
        if (!tally.isAt(wanted)) _refuseRound(id, index);
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

    /// @dev Linear in the number of proposers, whatever the number of learners.
    function _beginRound(ExperimentId id, ExperimentState storage e, uint32 index) private {
        uint16 members = e.activeLearners;
        uint16 eligible = members - 1;
        uint256 share = (uint256(eligible) * e.params.approvalBps + 9_999) / 10_000;
        uint16 needed = share == 0 ? 1 : uint16(share);
        uint40 deadline = uint40(block.timestamp) + e.params.proposeWindow;

        e.round = index;
        uint256 slots = e.params.proposers < members ? e.params.proposers : members;
        Tally tally = Tallies.begin(slots, eligible, needed, e.misses, deadline);
        tally = tally.withRules(e.params.settleEarly, e.params.merge == Merge.Best);
        (address[] memory proposers, uint256 first, uint256 second) = e.select(slots);
        e.roundAt[index].begin(tally, first, second, eligible);
        emit RoundStarted(id, index, proposers, eligible, needed, deadline);
    }

    // ------------------------------------------------------------------ proposing

    /// @dev Ends a slot without a proposal, and with the last open slot the proposing.
    function _declineSlot(
        ExperimentId id,
        ExperimentState storage e,
        uint32 index,
        RoundState storage state,
        Tally tally,
        uint256 slot
    ) internal {
        if (tally.isPlural()) {
            tally = tally.withDecline(slot);
            if (tally.open() != 0) {
                state.tally = tally;
                return;
            }
        }
        _endProposing(id, e, index, state, tally);
    }

    /// @dev Ends proposing at its deadline. Linear in the number of proposers.
    function _endProposingByDeadline(
        ExperimentId id,
        ExperimentState storage e,
        uint32 index,
        RoundState storage state,
        Tally tally
    ) internal {
        uint256 open = tally.open();
        for (uint256 slot = 0; open >> slot != 0; ++slot) {
            if ((open >> slot) & 1 == 0) continue;
            ++e.roster[state.proposerAt(slot)].missedProposals;
        }
        _endProposing(id, e, index, state, tally.proposed() == 0 ? tally.byDeadline() : tally);
    }

    function _endProposing(
        ExperimentId id,
        ExperimentState storage e,
        uint32 index,
        RoundState storage state,
        Tally tally
    ) private {
        uint256 proposed = tally.proposed();
        if (proposed != 0) {
            _beginVoting(id, e, index, state, tally, proposed);
        } else {
            _close(id, index, state, tally, Stage.NoProposal, 0, Counts.wrap(0));
            _continueOrEnd(id, e, index);
        }
    }

    /// @dev Linear in the number of proposals.
    function _beginVoting(
        ExperimentId id,
        ExperimentState storage e,
        uint32 index,
        RoundState storage state,
        Tally tally,
        uint256 proposed
    ) internal {
        bytes32 digest = state.computeDigest(proposed);
        if (tally.isPlural()) {
            state.proposals = digest;
            tally = tally.withVotingStarted(uint40(block.timestamp));
            tally = tally.withOutstanding(state.voters(tally, proposed));
        }
        Stage next = e.params.revealWindow == 0 ? Stage.Voting : Stage.Committing;
        uint40 deadline = uint40(block.timestamp) + e.params.voteWindow;
        state.tally = tally.at(next, deadline);
        emit VotingStarted(id, index, digest, deadline);
    }

    // ------------------------------------------------------------------ settling

    /// @dev Writes what was counted, and closes the round if nothing can change its outcome.
    function _settle(
        ExperimentId id,
        ExperimentState storage e,
        uint32 index,
        RoundState storage state,
        Rounds.Count memory counting
    ) internal {
        state.endCount(counting);
        Tally tally = counting.tally;
        Counts counts = Rounds.countsIn(counting);
        if (state.isSettled(tally, counts)) {
            _closeVote(id, e, index, state, tally, counts);
        } else {
            state.tally = tally;
        }
    }

    /// @dev Closes a vote whose deadline has passed.
    function _closeVoteByDeadline(
        ExperimentId id,
        ExperimentState storage e,
        uint32 index,
        RoundState storage state,
        Tally tally
    ) internal {
        ++e.misses;
        _closeVote(id, e, index, state, tally.byDeadline(), state.countsOf(tally));
    }

    function _closeVote(
        ExperimentId id,
        ExperimentState storage e,
        uint32 index,
        RoundState storage state,
        Tally tally,
        Counts counts
    ) private {
        uint256 accepted = Rounds.acceptedSlots(tally, counts);
        if (accepted != 0) {
            e.currentRound = index + 1;
            e.currentSlots = uint16(accepted);
        }
        Stage stage = accepted == 0 ? Stage.Rejected : Stage.Accepted;
        _close(id, index, state, tally, stage, accepted, counts);
        _continueOrEnd(id, e, index);
    }

    function _abandon(ExperimentId id, ExperimentState storage e, uint32 index) internal {
        RoundState storage state = e.roundAt[index];
        _close(id, index, state, state.tally, Stage.Abandoned, 0, Counts.wrap(0));
    }

    function _close(
        ExperimentId id,
        uint32 index,
        RoundState storage state,
        Tally tally,
        Stage stage,
        uint256 accepted,
        Counts counts
    ) private {
        tally = tally.at(stage, uint40(block.timestamp));
        state.tally = tally;
        uint16[] memory approvals = new uint16[](tally.slots());
        if (Counts.unwrap(counts) != 0) {
            for (uint256 slot = 0; slot < approvals.length; ++slot) {
                approvals[slot] = counts.at(slot);
            }
        }
        uint16 eligible = state.eligible(tally);
        emit RoundClosed(id, index, Rounds.outcome(stage), uint16(accepted), approvals, eligible);
    }

    /// @dev Begins the next round, or ends the experiment.
    function _continueOrEnd(ExperimentId id, ExperimentState storage e, uint32 index) private {
        if (index + 1 == e.params.rounds) {
            _complete(id, e);
        } else if (e.cancelRequested) {
            _cancel(id, e);
        } else if (_isPatienceOver(e, index)) {
            _complete(id, e);
        } else if (e.activeLearners < 2) {
            _cancel(id, e);
        } else {
            if (e.params.selection == Selection.Random) {
                bytes32 salts = e.params.revealWindow == 0 ? bytes32(0) : e.roundAt[index].salts;
                e.seed = sha256(abi.encodePacked(e.seed, block.prevrandao, salts));
            }
            _beginRound(id, e, index + 1);
        }
    }

    /// @dev Returns whether as many rounds in a row as `patience` have closed without an accepted proposal.
    function _isPatienceOver(ExperimentState storage e, uint32 index) private view returns (bool) {
        uint32 fruitless = index + 1 - e.currentRound;
        if (fruitless == 0) return false;
        uint32 patience = e.params.patience;
        return patience != 0 && fruitless >= patience;
    }

    function _complete(ExperimentId id, ExperimentState storage e) private {
        _end(e, Status.Completed);
        emit ExperimentCompleted(id);
    }

    function _cancel(ExperimentId id, ExperimentState storage e) internal {
        _end(e, Status.Cancelled);
        emit ExperimentCancelled(id);
    }

    function _end(ExperimentState storage e, Status status) private {
        e.status = status;
        e.endedAt = uint40(block.timestamp);
    }
}
