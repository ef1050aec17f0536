// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {LibBit} from "solady/utils/LibBit.sol";

import {ExperimentStorage} from "./ExperimentStorage.sol";
import {ICollectiveLearningCalls, ICollectiveLearningQueries} from "./ICollectiveLearning.sol";
import {Members} from "./libraries/Members.sol";
import {Proposals} from "./libraries/Proposals.sol";
import {Rounds} from "./libraries/Rounds.sol";
import {ContentRef} from "./types/ContentRef.sol";
import {Counts} from "./types/Counts.sol";
import {BallotState, Duty, Phase, SlotState, Status} from "./types/Enums.sol";
import {ExperimentId} from "./types/ExperimentId.sol";
import {Member} from "./types/Member.sol";
import {ExperimentState, RoundState} from "./types/State.sol";
import {Stage, Tally} from "./types/Tally.sol";

/// @title The queries of `CollectiveLearning`
/// @notice Every past round stays answerable from state alone.
/// @dev `CollectiveLearning` delegates to this code, which then reads the storage of `CollectiveLearning`. All
/// functions are views. Nothing here may depend on an immutable: its value would belong to this contract's address.
contract Queries is ICollectiveLearningQueries, ExperimentStorage {
    using Proposals for RoundState;
    using Rounds for RoundState;
    using Members for ExperimentState;
    using Members for Member;

    uint256 private constant MAX_PAGE = 100;
    uint32 private constant NOT_STARTED = type(uint32).max;

    // Lists are paged: at most MAX_PAGE rows, whatever limit the caller passes.

    /// @inheritdoc ICollectiveLearningQueries
    function experiment(ExperimentId id) public view override returns (ExperimentView memory v) {
        ExperimentState storage e = _existing(id);
        v.id = id;
        v.creator = e.creator;
        v.params = e.params;
        v.hash = e.hash;
        v.status = e.status;
        v.cancelRequested = e.cancelRequested;
        v.createdAt = e.createdAt;
        v.startedAt = e.startedAt;
        v.endedAt = e.endedAt;
        v.started = e.startedAt != 0;
        v.round = e.round;
        v.activeLearners = e.activeLearners;
        v.joinedLearners = e.joinedLearners;
        v.current = _currentWeights(e);
        v.currentRound = e.currentRound;
        v.seed = e.seed;
    }

    /// @inheritdoc ICollectiveLearningQueries
    function experiments(uint256 start, uint256 limit)
        external
        view
        override
        returns (ExperimentView[] memory list)
    {
        list = new ExperimentView[](_page(start, limit, _count));
        for (uint256 i = 0; i < list.length; ++i) {
            list[i] = experiment(ExperimentId.wrap(uint64(start + i + 1)));
        }
    }

    /// @inheritdoc ICollectiveLearningQueries
    function learner(ExperimentId id, address account) external view override returns (LearnerView memory) {
        ExperimentState storage e = _existing(id);
        _requireJoined(e, account);
        return _learnerView(e, account);
    }

    /// @inheritdoc ICollectiveLearningQueries
    function learners(ExperimentId id, uint256 start, uint256 limit)
        external
        view
        override
        returns (LearnerView[] memory list)
    {
        ExperimentState storage e = _existing(id);
        list = new LearnerView[](_page(start, limit, e.joinedLearners));
        for (uint256 i = 0; i < list.length; ++i) {
            list[i] = _learnerView(e, e.roster[start + i].account);
        }
    }

    /// @inheritdoc ICollectiveLearningQueries
    function round(ExperimentId id, uint32 index) external view override returns (RoundView memory) {
        ExperimentState storage e = _existing(id);
        _requireBegun(e, index);
        return _roundView(e, index);
    }

    /// @inheritdoc ICollectiveLearningQueries
    function rounds(ExperimentId id, uint256 start, uint256 limit)
        external
        view
        override
        returns (RoundView[] memory list)
    {
        ExperimentState storage e = _existing(id);
        uint256 begun = e.startedAt == 0 ? 0 : uint256(e.round) + 1;
        list = new RoundView[](_page(start, limit, begun));
        for (uint256 i = 0; i < list.length; ++i) {
            list[i] = _roundView(e, uint32(start + i));
        }
    }

    /// @inheritdoc ICollectiveLearningQueries
    function ballot(ExperimentId id, uint32 index, address account)
        external
        view
        override
        returns (BallotView memory)
    {
        ExperimentState storage e = _existing(id);
        _requireBegun(e, index);
        _requireJoined(e, account);
        return _ballotView(e, index, account);
    }

    /// @inheritdoc ICollectiveLearningQueries
    function ballots(ExperimentId id, uint32 index, uint256 start, uint256 limit)
        external
        view
        override
        returns (BallotView[] memory list)
    {
        ExperimentState storage e = _existing(id);
        _requireBegun(e, index);
        list = new BallotView[](_page(start, limit, e.joinedLearners));
        for (uint256 i = 0; i < list.length; ++i) {
            list[i] = _ballotView(e, index, e.roster[start + i].account);
        }
    }

    /// @inheritdoc ICollectiveLearningQueries
    function currentWeights(ExperimentId id) external view override returns (ContentRef[] memory) {
        return _currentWeights(_existing(id));
    }

    /// @inheritdoc ICollectiveLearningQueries
    function duty(ExperimentId id, address account) public view override returns (Duty) {
        ExperimentState storage e = _existing(id);
        if (e.status > Status.Running) return Duty.Done;
        Member member = e.members[account];
        if (e.status == Status.Enrolling || !member.hasJoined()) return Duty.Wait;
        if (member.hasLeft()) return Duty.Done;
        RoundState storage state = e.roundAt[e.round];
        Tally tally = state.tally;
        if (block.timestamp >= tally.time()) return Duty.Advance;
        if (tally.isAt(Stage.Proposing)) {
            return state.openSlotOf(tally, member.index()) == Proposals.NO_SLOT ? Duty.Wait : Duty.Propose;
        }
        if (!member.isEligible(state, e.round)) return Duty.Wait;
        (BallotState cast,) = state.ballotOf(member.index(), account);
        if (tally.isAt(Stage.Revealing)) return cast == BallotState.Committed ? Duty.Reveal : Duty.Wait;
        if (cast != BallotState.None) return Duty.Wait;
        return tally.isAt(Stage.Voting) ? Duty.Vote : Duty.Commit;
    }

    /// @inheritdoc ICollectiveLearningQueries
    function agenda(ExperimentId id, address account) external view override returns (AgendaView memory v) {
        ExperimentState storage e = _existing(id);
        v.experiment = experiment(id);
        if (v.experiment.started) v.round = _roundView(e, v.experiment.round);
        if (e.members[account].hasJoined()) v.learner = _learnerView(e, account);
        v.duty = duty(id, account);
    }

    // ------------------------------------------------------------------ rows

    function _learnerView(ExperimentState storage e, address account)
        private
        view
        returns (LearnerView memory)
    {
        Member m = e.members[account];
        return LearnerView({
            account: account,
            index: m.index(),
            active: m.isActive(),
            fromRound: m.fromRound(),
            untilRound: m.untilRound(),
            missedProposals: e.roster[m.index()].missedProposals,
            missedBallots: e.missedBallots(m),
            encryptionKey: e.encryptionKeys[account]
        });
    }

    function _roundView(ExperimentState storage e, uint32 index) private view returns (RoundView memory v) {
        RoundState storage state = e.roundAt[index];
        Tally tally = state.tally;
        v.index = index;
        v.phase = Rounds.phase(tally.stage());
        v.outcome = Rounds.outcome(tally.stage());
        v.slots = _slotViews(e, state, tally);
        v.eligible = state.eligible(tally);
        v.needed = tally.needed();
        // A round begins in the transaction that closes the one before.
        v.startedAt = index == 0 ? e.startedAt : e.roundAt[index - 1].tally.time();
        v.revealStartedAt = state.revealStartedAt(tally);
        if (v.phase == Phase.Closed) v.closedAt = tally.time();
        else v.deadline = tally.time();
        v.byDeadline = tally.isByDeadline();
        _addVote(e, state, tally, v);
    }

    /// @dev Adds what a round has from voting on.
    function _addVote(ExperimentState storage e, RoundState storage state, Tally tally, RoundView memory v)
        private
        view
    {
        uint256 proposed = tally.proposed();
        if (proposed == 0 || tally.isAt(Stage.Proposing) || tally.isAt(Stage.Abandoned)) return;
        v.proposals = state.digestOf(tally);
        v.votingStartedAt = tally.isPlural() ? tally.votingStartedAt() : state.contents[0].proposedAt;
        uint16 acted = state.voters(tally, proposed) - tally.outstanding();
        if (e.params.revealWindow == 0) {
            v.ballots = acted;
        } else if (tally.isAt(Stage.Committing)) {
            v.commitments = acted;
        } else {
            v.commitments = state.commitments(tally);
            v.ballots = v.commitments - tally.outstanding();
        }
    }

    function _slotViews(ExperimentState storage e, RoundState storage state, Tally tally)
        private
        view
        returns (SlotView[] memory list)
    {
        list = new SlotView[](tally.slots());
        uint256 proposed = tally.proposed();
        Counts counts = state.countsOf(tally);
        uint256 accepted = tally.isAt(Stage.Accepted) ? Rounds.acceptedSlots(tally, counts) : 0;
        for (uint256 slot = 0; slot < list.length; ++slot) {
            SlotView memory v = list[slot];
            v.proposer = e.roster[state.proposerAt(slot)].account;
            v.state = _slotState(tally, slot);
            v.content = state.contentAt(slot);
            v.proposedAt = state.contents[slot].proposedAt;
            if (proposed != 0) v.approvals = counts.at(slot);
            v.accepted = (accepted >> slot) & 1 == 1;
        }
    }

    function _slotState(Tally tally, uint256 slot) private pure returns (SlotState) {
        if ((tally.proposed() >> slot) & 1 == 1) return SlotState.Proposed;
        if ((tally.open() >> slot) & 1 == 0) return SlotState.Declined;
        bool canPropose = tally.isAt(Stage.Proposing) || tally.isAt(Stage.Abandoned);
        return canPropose ? SlotState.Open : SlotState.Missed;
    }

    function _ballotView(ExperimentState storage e, uint32 index, address account)
        private
        view
        returns (BallotView memory)
    {
        Member member = e.members[account];
        RoundState storage state = e.roundAt[index];
        (BallotState cast, uint16 approvals) = state.ballotOf(member.index(), account);
        return BallotView(account, member.isEligible(state, index), cast, approvals);
    }

    function _currentWeights(ExperimentState storage e) private view returns (ContentRef[] memory list) {
        if (e.currentRound == 0) {
            list = new ContentRef[](e.params.initial.isEmpty() ? 0 : 1);
            if (list.length == 1) list[0] = e.params.initial;
            return list;
        }
        uint256 slots = e.currentSlots;
        RoundState storage state = e.roundAt[e.currentRound - 1];
        list = new ContentRef[](LibBit.popCount(slots));
        uint256 slot = 0;
        for (uint256 i = 0; i < list.length; ++slot) {
            if ((slots >> slot) & 1 == 0) continue;
            list[i] = state.contentAt(slot);
            ++i;
        }
    }

    // ------------------------------------------------------------------ bounds

    function _requireJoined(ExperimentState storage e, address account) private view {
        if (!e.members[account].hasJoined()) revert ICollectiveLearningCalls.NotALearner(account);
    }

    function _requireBegun(ExperimentState storage e, uint32 index) private view {
        uint32 current = e.startedAt == 0 ? NOT_STARTED : e.round;
        if (e.startedAt == 0 || index > current) revert ICollectiveLearningCalls.WrongRound(current);
    }

    function _page(uint256 start, uint256 limit, uint256 total) private pure returns (uint256) {
        if (start >= total) return 0;
        uint256 left = total - start;
        uint256 most = limit < MAX_PAGE ? limit : MAX_PAGE;
        return most < left ? most : left;
    }
}
