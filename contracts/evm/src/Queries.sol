// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ExperimentStorage} from "./ExperimentStorage.sol";
import {ICollectiveLearningCalls, ICollectiveLearningQueries} from "./ICollectiveLearning.sol";
import {Members} from "./libraries/Members.sol";
import {Rounds} from "./libraries/Rounds.sol";
import {ContentRef} from "./types/ContentRef.sol";
import {BallotState, Duty, Phase, Status} from "./types/Enums.sol";
import {ExperimentId} from "./types/ExperimentId.sol";
import {Member} from "./types/Member.sol";
import {ExperimentState, RoundState} from "./types/State.sol";
import {Stage, Tally} from "./types/Tally.sol";

/// @title The queries of `CollectiveLearning`
/// @notice Every past round stays answerable from state alone.
/// @dev `CollectiveLearning` delegates to this code, which then reads the storage of `CollectiveLearning`. All
/// functions are views. Nothing here may depend on an immutable: its value would belong to this contract's address.
contract Queries is ICollectiveLearningQueries, ExperimentStorage {
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
        v.status = e.status;
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
        return _learnerView(_requireJoined(id, account), account);
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
            list[i] = _learnerView(e, e.roster[start + i]);
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
        _requireJoined(id, account);
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
            list[i] = _ballotView(e, index, e.roster[start + i]);
        }
    }

    /// @inheritdoc ICollectiveLearningQueries
    function currentWeights(ExperimentId id) external view override returns (ContentRef memory) {
        return _currentWeights(_existing(id));
    }

    /// @inheritdoc ICollectiveLearningQueries
    function duty(ExperimentId id, address account) external view override returns (Duty) {
        ExperimentState storage e = _existing(id);
        if (e.status > Status.Running) return Duty.Done;
        Member member = e.members[account];
        if (e.status == Status.Enrolling || !member.hasJoined()) return Duty.Wait;
        if (member.hasLeft()) return Duty.Done;
        RoundState storage state = e.roundAt[e.round];
        Tally tally = state.tally;
        if (block.timestamp >= tally.time()) return Duty.Advance;
        if (tally.stage() == Stage.Proposing) {
            return state.proposer == account ? Duty.Propose : Duty.Wait;
        }
        if (!member.hasVote(e.round)) return Duty.Wait;
        BallotState cast = state.ballotState(member.index(), account);
        if (tally.stage() == Stage.Revealing) return cast == BallotState.Committed ? Duty.Reveal : Duty.Wait;
        if (cast != BallotState.None) return Duty.Wait;
        return tally.stage() == Stage.Voting ? Duty.Vote : Duty.Commit;
    }

    // ------------------------------------------------------------------ rows

    function _learnerView(ExperimentState storage e, address account)
        private
        view
        returns (LearnerView memory)
    {
        Member m = e.members[account];
        bytes32 key = e.encryptionKeys[account];
        return
            LearnerView(
                account, m.index(), !m.hasLeft(), m.fromRound(), m.untilRound(), e.strikes(account), key
            );
    }

    function _roundView(ExperimentState storage e, uint32 index) private view returns (RoundView memory v) {
        RoundState storage state = e.roundAt[index];
        Tally tally = state.tally;
        v.index = index;
        v.phase = Rounds.phase(tally.stage());
        v.outcome = Rounds.outcome(tally.stage());
        v.proposer = state.proposer;
        v.eligible = state.eligible;
        v.needed = tally.needed();
        v.approvals = tally.approvals();
        v.rejections = state.rejections(tally, e.params.revealWindow != 0);
        v.commitments =
            tally.stage() == Stage.Committing ? state.eligible - tally.outstanding() : state.commitments;
        v.content = state.content();
        v.startedAt = state.startedAt;
        v.proposedAt = state.proposedAt;
        v.revealStartedAt = state.revealStartedAt;
        if (v.phase == Phase.Closed) v.closedAt = tally.time();
        else v.deadline = tally.time();
        v.byDeadline = tally.isByDeadline();
    }

    function _ballotView(ExperimentState storage e, uint32 index, address account)
        private
        view
        returns (BallotView memory)
    {
        Member member = e.members[account];
        RoundState storage state = e.roundAt[index];
        bool eligible = member.isEligible(state, account, index);
        return BallotView(account, eligible, state.ballotState(member.index(), account));
    }

    // ------------------------------------------------------------------ bounds

    function _requireJoined(ExperimentId id, address account)
        private
        view
        returns (ExperimentState storage e)
    {
        e = _existing(id);
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
