// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ICollectiveLearningCalls} from "./ICollectiveLearning.sol";
import {Lifecycle} from "./Lifecycle.sol";
import {Members} from "./libraries/Members.sol";
import {Proposals} from "./libraries/Proposals.sol";
import {Rounds} from "./libraries/Rounds.sol";
import {BallotPage, SignedBallots} from "./libraries/SignedBallots.sol";
import {Selection, SkipReason} from "./types/Enums.sol";
import {ExperimentId} from "./types/ExperimentId.sol";
import {Member} from "./types/Member.sol";
import {ExperimentState, RoundState} from "./types/State.sol";
import {Stage, Tally} from "./types/Tally.sol";

/// @notice Counts ballots: open, signed and secret ones.
abstract contract Voting is Lifecycle {
    using Members for ExperimentState;
    using Proposals for RoundState;
    using Rounds for RoundState;

    // ------------------------------------------------------------------ calls

    /// @inheritdoc ICollectiveLearningCalls
    /// @dev Flat: writes the round's tally and, in a plural round, its counts, and reads the learner's slot. Only in a
    /// classic round, the ballots of the first 64 learners do not write a ballot word.
    function vote(ExperimentId id, uint32 index, bytes32 proposals, uint16 approvals, bytes calldata scores)
        external
        override
    {
        (ExperimentState storage e, RoundState storage state, Tally tally) = _roundAt(id, index, Stage.Voting);
        _countBallot(id, e, index, state, tally, proposals, approvals, scores);
    }

    /// @inheritdoc ICollectiveLearningCalls
    /// @dev Linear in the length of the batch, which the caller chooses; the tally is written once.
    function voteSigned(ExperimentId id, uint32 index, bytes32 proposals, bytes calldata signed)
        external
        override
    {
        (ExperimentState storage e, RoundState storage state, Tally tally) = _roundAt(id, index, Stage.Voting);
        _requireDigest(state, tally, proposals);
        uint256 proposed = tally.judged();
        uint256 scoresLength = Proposals.scoresLength(proposed);
        uint256 length = SignedBallots.LENGTH + scoresLength;
        if (signed.length == 0 || signed.length % length != 0) revert InvalidParameter("ballots");

        Rounds.Count memory counting = state.beginCount(tally);
        BallotPage page = SignedBallots.page(_separator(), id, index, proposals, scoresLength);
        uint32 misses = tally.misses();
        (uint256 at, uint256 end) = SignedBallots.span(signed);
        for (; at < end; at = SignedBallots.next(at, length)) {
            (address account, uint256 approvals, bool isSigned) = page.read(at);
            Member member = e.members[account];
            uint256 judged = member.judgedSlots(index, proposed);
            bool isNew = false;
            // Not joined by `&&`, which would cost every ballot 60 gas.
            if (isSigned) {
                if (judged != 0) {
                    if (approvals & ~judged == 0) isNew = state.count(counting, member.index(), approvals);
                }
            }
            if (isNew) {
                if (!member.isClear(misses)) e.members[account] = member.withMissedBallots(0, misses);
                page.emitVoteCast(id, index, account);
            } else {
                SkipReason reason = SkipReason.BadSignature;
                if (isSigned) reason = _reasonToSkip(state, counting, member, judged);
                emit BallotSkipped(id, index, account, reason);
            }
        }
        _settle(id, e, index, state, counting);
    }

    /// @inheritdoc ICollectiveLearningCalls
    function commit(ExperimentId id, uint32 index, bytes32 proposals, bytes32 commitment) external override {
        (ExperimentState storage e, RoundState storage state, Tally tally) =
            _roundAt(id, index, Stage.Committing);
        _requireVote(e, index, tally.judged());
        if (state.pledges[msg.sender] != 0) revert AlreadyVoted(msg.sender);
        _requireDigest(state, tally, proposals);
        if (commitment == 0) revert InvalidParameter("commitment");

        state.pledges[msg.sender] = commitment;
        tally = tally.withOneLess();
        emit VoteCommitted(id, index, msg.sender, commitment);
        if (tally.outstanding() == 0) {
            _startRevealing(id, e, index, state, state.endCommitting(tally));
        } else {
            state.tally = tally;
        }
    }

    /// @inheritdoc ICollectiveLearningCalls
    function reveal(ExperimentId id, uint32 index, uint16 approvals, bytes calldata scores, bytes32 salt)
        external
        override
    {
        (ExperimentState storage e, RoundState storage state, Tally tally) =
            _roundAt(id, index, Stage.Revealing);
        (Member member,) = _requireVote(e, index, tally.judged());
        if (state.hasBallot(member.index())) revert AlreadyVoted(msg.sender);
        bytes32 digest = state.digestOf(tally);
        bytes32 commitment =
            sha256(abi.encodePacked(_separator(), id, index, msg.sender, digest, approvals, scores, salt));
        if (state.pledges[msg.sender] != commitment) revert BadReveal(msg.sender);

        delete state.pledges[msg.sender];
        if (e.params.selection == Selection.Random) state.salts ^= salt;
        _countBallot(id, e, index, state, tally, digest, approvals, scores);
    }

    // ------------------------------------------------------------------ revealing

    function _startRevealing(
        ExperimentId id,
        ExperimentState storage e,
        uint32 index,
        RoundState storage state,
        Tally tally
    ) private {
        uint40 deadline = uint40(block.timestamp) + e.params.revealWindow;
        tally = state.beginRevealing(tally, uint40(block.timestamp));
        state.tally = tally.at(Stage.Revealing, deadline);
        emit RevealStarted(id, index, deadline);
    }

    function _endCommitting(
        ExperimentId id,
        ExperimentState storage e,
        uint32 index,
        RoundState storage state,
        Tally tally
    ) internal {
        tally = state.endCommitting(tally);
        if (tally.settlesEarly() && Rounds.isFixed(tally, state.countsOf(tally))) {
            _closeVoteByDeadline(id, e, index, state, tally);
        } else {
            _startRevealing(id, e, index, state, tally);
        }
    }

    // ------------------------------------------------------------------ one ballot

    /// @dev Counts the caller's ballot. It is counted before all is checked, in the order of the protocol's errors: a
    /// refusal undoes it.
    function _countBallot(
        ExperimentId id,
        ExperimentState storage e,
        uint32 index,
        RoundState storage state,
        Tally tally,
        bytes32 proposals,
        uint16 approvals,
        bytes calldata scores
    ) private {
        uint256 proposed = tally.judged();
        (Member member, uint256 judged) = _requireVote(e, index, proposed);
        Rounds.Count memory counting = state.beginCount(tally);
        if (!state.count(counting, member.index(), approvals)) revert AlreadyVoted(msg.sender);
        _requireDigest(state, tally, proposals);
        if (approvals & ~judged != 0) revert InvalidParameter("approvals");
        if (scores.length != Proposals.scoresLength(proposed)) revert InvalidParameter("scores");
        uint32 misses = tally.misses();
        if (!member.isClear(misses)) e.members[msg.sender] = member.withMissedBallots(0, misses);
        emit VoteCast(id, index, msg.sender, approvals, scores);
        _settle(id, e, index, state, counting);
    }

    function _requireDigest(RoundState storage state, Tally tally, bytes32 proposals) private view {
        bytes32 digest = state.digestOf(tally);
        if (proposals != digest) revert WrongProposals(digest);
    }

    /// @dev Returns the caller's member word and the slots that it judges. Reverts if it has no vote in the round.
    function _requireVote(ExperimentState storage e, uint32 index, uint256 proposed)
        private
        view
        returns (Member member, uint256 judged)
    {
        member = e.members[msg.sender];
        judged = member.judgedSlots(index, proposed);
        if (judged != 0) return (member, judged);
        if (!member.hasJoined()) revert NotALearner(msg.sender);
        revert NotEligible(msg.sender);
    }

    /// @dev Returns why a ballot with a good signature is not counted.
    function _reasonToSkip(
        RoundState storage state,
        Rounds.Count memory counting,
        Member member,
        uint256 judged
    ) private returns (SkipReason) {
        if (!member.hasJoined()) return SkipReason.NotALearner;
        if (judged == 0) return SkipReason.NotEligible;
        if (state.isCounted(counting, member.index())) return SkipReason.AlreadyVoted;
        return SkipReason.InvalidBallot;
    }
}
