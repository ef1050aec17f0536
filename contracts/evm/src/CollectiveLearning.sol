// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ICollectiveLearningCalls} from "./ICollectiveLearning.sol";
import {Lifecycle} from "./Lifecycle.sol";
import {Queries} from "./Queries.sol";
import {Members} from "./libraries/Members.sol";
import {Parameters} from "./libraries/Parameters.sol";
import {Rounds} from "./libraries/Rounds.sol";
import {BallotPage, SignedBallots} from "./libraries/SignedBallots.sol";
import {ContentRef} from "./types/ContentRef.sol";
import {Admission, Selection, SkipReason, Status} from "./types/Enums.sol";
import {ExperimentId} from "./types/ExperimentId.sol";
import {Member} from "./types/Member.sol";
import {Params} from "./types/Params.sol";
import {ExperimentState, RoundState} from "./types/State.sol";
import {Stage, Tally} from "./types/Tally.sol";

/// @title Collective learning: one deployment, any number of experiments, no admin
/// @notice Checks the caller, counts ballots and emits events. `Lifecycle` begins and closes rounds. `Queries`, which
/// this contract deploys, answers the queries. The whole interface is `ICollectiveLearning`.
contract CollectiveLearning is Lifecycle {
    using Rounds for RoundState;
    using Members for ExperimentState;

    address private immutable _queries = address(new Queries());

    // ------------------------------------------------------------------ queries

    /// @notice Answers queries. Anything else that is not a call of this contract is refused.
    /// @dev The code at `_queries` is that of `Queries`, which only has views, so delegating to it changes nothing.
    // solhint-disable-next-line no-complex-fallback
    fallback() external {
        address target = _queries;
        // solhint-disable-next-line no-inline-assembly
        assembly ("memory-safe") {
            let message := mload(0x40)
            calldatacopy(message, 0, calldatasize())
            let succeeded := delegatecall(gas(), target, message, calldatasize(), 0, 0)
            returndatacopy(message, 0, returndatasize())
            if iszero(succeeded) { revert(message, returndatasize()) }
            return(message, returndatasize())
        }
    }

    /// @inheritdoc ICollectiveLearningCalls
    function queries() external view override returns (address) {
        return _queries;
    }

    /// @inheritdoc ICollectiveLearningCalls
    function domainSeparator() external view override returns (bytes32) {
        return _separator();
    }

    // ------------------------------------------------------------------ experiments

    /// @inheritdoc ICollectiveLearningCalls
    function create(Params calldata params) external override returns (ExperimentId id) {
        Parameters.check(params);
        id = ExperimentId.wrap(++_count);
        ExperimentState storage e = _stateOf(id);
        e.creator = msg.sender;
        e.createdAt = uint40(block.timestamp);
        e.params = params;
        emit ExperimentCreated(id, msg.sender, params);
    }

    /// @inheritdoc ICollectiveLearningCalls
    function admit(ExperimentId id, address[] calldata accounts) external override {
        ExperimentState storage e = _unfinished(id);
        _onlyCreator(e);
        if (e.params.admission == Admission.Open) revert InvalidParameter("admission");
        for (uint256 i = 0; i < accounts.length; ++i) {
            if (e.admitted[accounts[i]]) continue;
            e.admitted[accounts[i]] = true;
            emit LearnerAdmitted(id, accounts[i]);
        }
    }

    /// @inheritdoc ICollectiveLearningCalls
    function start(ExperimentId id) external override {
        ExperimentState storage e = _existing(id);
        if (e.status != Status.Enrolling) revert WrongStatus(e.status);
        _onlyCreator(e);
        if (e.activeLearners < e.params.minLearners) revert InvalidParameter("min_learners");
        _start(id, e);
    }

    /// @inheritdoc ICollectiveLearningCalls
    function cancel(ExperimentId id) external override {
        ExperimentState storage e = _unfinished(id);
        _onlyCreator(e);
        if (e.status == Status.Running) _abandon(id, e, e.round);
        _end(e, Status.Cancelled);
        emit ExperimentCancelled(id);
    }

    // ------------------------------------------------------------------ learners

    /// @inheritdoc ICollectiveLearningCalls
    /// @dev Flat: the roster and the active list are written at their ends.
    function join(ExperimentId id, bytes32 encryptionKey) external override {
        ExperimentState storage e = _unfinished(id);
        bool running = e.status == Status.Running;
        if (running && !e.params.lateJoin) revert WrongStatus(e.status);
        if (e.members[msg.sender].hasJoined()) revert AlreadyJoined(msg.sender);
        if (e.params.admission == Admission.Allowlist && !e.admitted[msg.sender]) {
            revert NotAdmitted(msg.sender);
        }
        if (e.activeLearners == e.params.maxLearners) revert ExperimentFull(e.params.maxLearners);

        uint32 index = e.add(msg.sender, running ? e.round + 1 : 0);
        if (encryptionKey != 0) e.encryptionKeys[msg.sender] = encryptionKey;
        emit LearnerJoined(id, msg.sender, index, encryptionKey);
        if (!running && e.activeLearners == e.params.maxLearners) _start(id, e);
    }

    /// @inheritdoc ICollectiveLearningCalls
    /// @dev Flat: the active list's last member takes the freed place.
    function leave(ExperimentId id) external override {
        ExperimentState storage e = _unfinished(id);
        _onlyActive(e, msg.sender);
        _removeFromActive(e, msg.sender);
        emit LearnerLeft(id, msg.sender);
        _closeIfProposerLeft(id, e, msg.sender);
    }

    /// @inheritdoc ICollectiveLearningCalls
    function remove(ExperimentId id, address account) external override {
        ExperimentState storage e = _running(id);
        _onlyActive(e, account);
        uint32 strikes = e.strikes(account);
        if (e.params.maxStrikes == 0 || strikes < e.params.maxStrikes) revert NotRemovable(strikes);
        _removeFromActive(e, account);
        emit LearnerRemoved(id, account);
        _closeIfProposerLeft(id, e, account);
    }

    // ------------------------------------------------------------------ proposing

    /// @inheritdoc ICollectiveLearningCalls
    function propose(
        ExperimentId id,
        uint32 index,
        ContentRef calldata content,
        uint64 voteScore,
        uint64 testScore
    ) external override {
        (ExperimentState storage e, RoundState storage state, Tally tally) =
            _roundAt(id, index, Stage.Proposing);
        if (state.proposer != msg.sender) revert NotProposer(msg.sender);
        if (!content.isWellFormed()) revert InvalidParameter("content");
        if (_currentWeights(e).sha256Hash == content.sha256Hash) revert Unchanged();

        e.members[msg.sender] = e.members[msg.sender].cleared(tally.misses()).withProposal(index);
        state.setContent(content);
        Stage next = e.params.revealWindow == 0 ? Stage.Voting : Stage.Committing;
        uint40 deadline = uint40(block.timestamp) + e.params.voteWindow;
        state.tally = tally.at(next, deadline);
        emit WeightsProposed(id, index, msg.sender, content, voteScore, testScore, deadline);
    }

    /// @inheritdoc ICollectiveLearningCalls
    function decline(ExperimentId id, uint32 index) external override {
        (ExperimentState storage e, RoundState storage state,) = _roundAt(id, index, Stage.Proposing);
        if (state.proposer != msg.sender) revert NotProposer(msg.sender);
        emit ProposalDeclined(id, index, msg.sender);
        _closeUnproposed(id, e, index, false);
    }

    // ------------------------------------------------------------------ voting

    /// @inheritdoc ICollectiveLearningCalls
    /// @dev Flat: writes the round's first slot and reads the learner's. An index >= 64 also writes a ballot word.
    function vote(ExperimentId id, uint32 index, bool approve, uint64 voteScore, uint64 testScore)
        external
        override
    {
        (ExperimentState storage e, RoundState storage state, Tally tally) = _roundAt(id, index, Stage.Voting);
        Member member = _voter(e, index);
        Rounds.Count memory counting = Rounds.Count(tally, 0, 0);
        if (!state.count(counting, member.index(), approve)) revert AlreadyVoted(msg.sender);
        _clearStrikes(e, msg.sender, member, tally);
        emit VoteCast(id, index, msg.sender, approve, voteScore, testScore);
        state.writeWord(counting);
        _settle(id, e, index, state, counting.tally);
    }

    /// @inheritdoc ICollectiveLearningCalls
    /// @dev Linear in the length of the batch, which the caller chooses; the tally is written once.
    function voteSigned(ExperimentId id, uint32 index, bytes calldata signed) external override {
        (ExperimentState storage e, RoundState storage state, Tally tally) = _roundAt(id, index, Stage.Voting);
        if (signed.length == 0 || signed.length % SignedBallots.LENGTH != 0) {
            revert InvalidParameter("ballots");
        }
        Rounds.Count memory counting = Rounds.Count(tally, 0, 0);
        BallotPage page = SignedBallots.page(_separator(), id, index);
        uint32 misses = tally.misses();
        (uint256 at, uint256 end) = SignedBallots.span(signed);
        for (; at < end; at = SignedBallots.next(at)) {
            (address account, bool isSigned) = page.read(at);
            Member member = e.members[account];
            if (!isSigned) {
                emit BallotSkipped(id, index, account, SkipReason.BadSignature);
            } else if (!member.hasVote(index)) {
                SkipReason reason = member.hasJoined() ? SkipReason.NotEligible : SkipReason.NotALearner;
                emit BallotSkipped(id, index, account, reason);
            } else if (!state.count(counting, member.index(), page.approves())) {
                emit BallotSkipped(id, index, account, SkipReason.AlreadyVoted);
            } else {
                if (!member.isClear(misses)) e.members[account] = member.cleared(misses);
                page.emitVoteCast(id, index);
            }
        }
        state.writeWord(counting);
        _settle(id, e, index, state, counting.tally);
    }

    /// @inheritdoc ICollectiveLearningCalls
    function commit(ExperimentId id, uint32 index, bytes32 commitment) external override {
        (ExperimentState storage e, RoundState storage state, Tally tally) =
            _roundAt(id, index, Stage.Committing);
        _voter(e, index);
        if (state.pledges[msg.sender] != 0) revert AlreadyVoted(msg.sender);
        if (commitment == 0) revert InvalidParameter("commitment");

        state.pledges[msg.sender] = commitment;
        tally = tally.withCount(false);
        emit VoteCommitted(id, index, msg.sender, commitment);
        if (tally.outstanding() == 0) {
            _startRevealing(id, e, index, state, state.endCommitting(tally));
        } else {
            state.tally = tally;
        }
    }

    /// @inheritdoc ICollectiveLearningCalls
    function reveal(
        ExperimentId id,
        uint32 index,
        bool approve,
        uint64 voteScore,
        uint64 testScore,
        bytes32 salt
    ) external override {
        (ExperimentState storage e, RoundState storage state, Tally tally) =
            _roundAt(id, index, Stage.Revealing);
        Member member = _voter(e, index);
        Rounds.Count memory counting = Rounds.Count(tally, 0, 0);
        if (!state.count(counting, member.index(), approve)) revert AlreadyVoted(msg.sender);
        bytes32 commitment = sha256(
            abi.encodePacked(_separator(), id, index, msg.sender, approve, voteScore, testScore, salt)
        );
        if (state.pledges[msg.sender] != commitment) revert BadReveal(msg.sender);

        delete state.pledges[msg.sender];
        if (e.params.selection == Selection.Random) state.salts ^= salt;
        _clearStrikes(e, msg.sender, member, tally);
        emit VoteCast(id, index, msg.sender, approve, voteScore, testScore);
        state.writeWord(counting);
        _settle(id, e, index, state, counting.tally);
    }

    /// @inheritdoc ICollectiveLearningCalls
    /// @dev Flat: writes no learner's strikes (see Members).
    function advance(ExperimentId id) external override {
        ExperimentState storage e = _running(id);
        uint32 index = e.round;
        RoundState storage state = e.roundAt[index];
        Tally tally = state.tally;
        if (block.timestamp < tally.time()) revert DeadlineNotPassed(tally.time());

        if (tally.stage() == Stage.Proposing) {
            _closeUnproposed(id, e, index, true);
        } else if (tally.stage() == Stage.Committing) {
            _endCommitting(id, e, index, state, tally);
        } else {
            _closeVote(id, e, index, tally, true);
        }
    }

    // ------------------------------------------------------------------ internal functions

    function _onlyCreator(ExperimentState storage e) private view {
        if (e.creator != msg.sender) revert NotCreator(msg.sender);
    }

    function _onlyActive(ExperimentState storage e, address account) private view {
        Member member = e.members[account];
        if (!member.hasJoined() || member.hasLeft()) revert NotALearner(account);
    }

    function _removeFromActive(ExperimentState storage e, address account) private {
        e.removeFromActive(account, e.status == Status.Enrolling ? 0 : e.round + 1);
    }

    function _closeIfProposerLeft(ExperimentId id, ExperimentState storage e, address account) private {
        if (e.status != Status.Running) return;
        RoundState storage state = e.roundAt[e.round];
        if (state.tally.stage() == Stage.Proposing && state.proposer == account) {
            _closeUnproposed(id, e, e.round, false);
        }
    }

    /// @dev Returns the caller's member word. Reverts if the caller has no vote in the round.
    function _voter(ExperimentState storage e, uint32 index) private view returns (Member member) {
        member = e.members[msg.sender];
        if (!member.hasJoined()) revert NotALearner(msg.sender);
        if (!member.hasVote(index)) revert NotEligible(msg.sender);
    }

    /// @dev Clears the strikes of a learner that cast a ballot, if it has any.
    function _clearStrikes(ExperimentState storage e, address account, Member member, Tally tally) private {
        if (!member.isClear(tally.misses())) e.members[account] = member.cleared(tally.misses());
    }

    function _startRevealing(
        ExperimentId id,
        ExperimentState storage e,
        uint32 index,
        RoundState storage state,
        Tally tally
    ) private {
        uint40 deadline = uint40(block.timestamp) + e.params.revealWindow;
        state.tally = tally.at(Stage.Revealing, deadline);
        state.revealStartedAt = uint40(block.timestamp);
        emit RevealStarted(id, index, deadline);
    }

    function _endCommitting(
        ExperimentId id,
        ExperimentState storage e,
        uint32 index,
        RoundState storage state,
        Tally tally
    ) private {
        tally = state.endCommitting(tally);
        if (tally.settlesEarly() && state.isSettled(tally)) {
            _closeVote(id, e, index, tally, true);
        } else {
            _startRevealing(id, e, index, state, tally);
        }
    }
}
