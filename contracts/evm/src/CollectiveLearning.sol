// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ICollectiveLearningCalls} from "./ICollectiveLearning.sol";
import {Queries} from "./Queries.sol";
import {Voting} from "./Voting.sol";
import {Members} from "./libraries/Members.sol";
import {Parameters} from "./libraries/Parameters.sol";
import {Proposals} from "./libraries/Proposals.sol";
import {Rounds} from "./libraries/Rounds.sol";
import {Utf8} from "./libraries/Utf8.sol";
import {ContentRef} from "./types/ContentRef.sol";
import {Admission, Status} from "./types/Enums.sol";
import {ExperimentId} from "./types/ExperimentId.sol";
import {Member} from "./types/Member.sol";
import {Params} from "./types/Params.sol";
import {Entry, ExperimentState, RoundState} from "./types/State.sol";
import {Stage, Tally} from "./types/Tally.sol";

/// @title Collective learning: one deployment, any number of experiments, no admin
/// @notice Checks the caller and emits events. `Voting` counts ballots, and `Lifecycle` begins and closes rounds.
/// `Queries`, which this contract deploys, answers the queries. The whole interface is `ICollectiveLearning`.
contract CollectiveLearning is Voting {
    using Members for ExperimentState;
    using Proposals for RoundState;
    using Rounds for RoundState;

    uint256 private constant MAX_TOPIC = 32;

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
        e.hash = Parameters.hash(msg.sender, params);
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
        if (e.cancelRequested) revert WrongStatus(e.status);
        _onlyCreator(e);
        if (e.status == Status.Running) {
            uint32 index = e.round;
            if (!e.roundAt[index].tally.isAt(Stage.Proposing)) {
                e.cancelRequested = true;
                emit CancelRequested(id);
                return;
            }
            _abandon(id, e, index);
        }
        _cancel(id, e);
    }

    // ------------------------------------------------------------------ learners

    /// @inheritdoc ICollectiveLearningCalls
    /// @dev Flat: the roster and the active list are written at their ends.
    function join(ExperimentId id, bytes32 hash, bytes32 encryptionKey) external override {
        ExperimentState storage e = _unfinished(id);
        bool running = e.status == Status.Running;
        if (running && !e.params.lateJoin) revert WrongStatus(e.status);
        if (hash != e.hash) revert WrongExperiment(e.hash);
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
    function setEncryptionKey(ExperimentId id, bytes32 encryptionKey) external override {
        ExperimentState storage e = _unfinished(id);
        _onlyActive(e, msg.sender);
        e.encryptionKeys[msg.sender] = encryptionKey;
    }

    /// @inheritdoc ICollectiveLearningCalls
    /// @dev Flat: one or two members of the active list move.
    function leave(ExperimentId id) external override {
        ExperimentState storage e = _unfinished(id);
        Member member = _onlyActive(e, msg.sender);
        _removeFromActive(e, msg.sender);
        emit LearnerLeft(id, msg.sender);
        _declineOpenSlot(id, e, member);
    }

    /// @inheritdoc ICollectiveLearningCalls
    function remove(ExperimentId id, address account) external override {
        ExperimentState storage e = _running(id);
        Member member = _onlyActive(e, account);
        uint32 strikes = e.strikes(member);
        if (e.params.maxStrikes == 0 || strikes < e.params.maxStrikes) revert NotRemovable(strikes);
        _removeFromActive(e, account);
        emit LearnerRemoved(id, account);
        _declineOpenSlot(id, e, member);
    }

    /// @inheritdoc ICollectiveLearningCalls
    function announce(ExperimentId id, string calldata topic, ContentRef calldata content) external override {
        _onlyActive(_existing(id), msg.sender);
        uint256 length = bytes(topic).length;
        if (length == 0 || length > MAX_TOPIC || !Utf8.isText(bytes(topic))) {
            revert InvalidParameter("topic");
        }
        if (!content.isWellFormed()) revert InvalidParameter("content");
        emit Announced(id, msg.sender, topic, content);
    }

    // ------------------------------------------------------------------ proposing

    /// @inheritdoc ICollectiveLearningCalls
    /// @dev Flat in the number of learners; the call that begins voting is linear in the number of proposals.
    function propose(
        ExperimentId id,
        uint32 index,
        ContentRef calldata content,
        uint64 voteScore,
        uint64 testScore
    ) external override {
        (ExperimentState storage e, RoundState storage state, Tally tally) =
            _roundAt(id, index, Stage.Proposing);
        (Member member, uint256 slot) = _proposer(e, state, tally);
        if (!content.isWellFormed()) revert InvalidParameter("content");
        if (_isCurrent(e, content.sha256Hash)) revert Unchanged();

        // Without a vote in this round, the proposer may miss only later ones.
        member = member.withMissedBallots(e.missedBallots(member), tally.misses());
        e.members[msg.sender] = member.withProposal(index, slot);
        Entry storage entry = e.roster[member.index()];
        if (entry.missedProposals != 0) entry.missedProposals = 0;
        state.setContent(slot, content);
        emit WeightsProposed(id, index, msg.sender, uint8(slot), content, voteScore, testScore);
        if (!tally.isPlural()) {
            _beginVoting(id, e, index, state, tally, 1);
            return;
        }
        tally = tally.withProposal(slot);
        if (tally.open() == 0) _beginVoting(id, e, index, state, tally, tally.proposed());
        else state.tally = tally;
    }

    /// @inheritdoc ICollectiveLearningCalls
    function decline(ExperimentId id, uint32 index) external override {
        (ExperimentState storage e, RoundState storage state, Tally tally) =
            _roundAt(id, index, Stage.Proposing);
        (, uint256 slot) = _proposer(e, state, tally);
        emit ProposalDeclined(id, index, msg.sender, uint8(slot));
        _declineSlot(id, e, index, state, tally, slot);
    }

    /// @inheritdoc ICollectiveLearningCalls
    /// @dev Flat: writes no missed ballot to a learner (see Members).
    function advance(ExperimentId id) external override {
        ExperimentState storage e = _running(id);
        uint32 index = e.round;
        RoundState storage state = e.roundAt[index];
        Tally tally = state.tally;
        if (block.timestamp < tally.time()) revert DeadlineNotPassed(tally.time());

        if (tally.isAt(Stage.Proposing)) {
            _endProposingByDeadline(id, e, index, state, tally);
        } else if (tally.isAt(Stage.Committing)) {
            _endCommitting(id, e, index, state, tally);
        } else {
            _closeVoteByDeadline(id, e, index, state, tally);
        }
    }

    // ------------------------------------------------------------------ internal functions

    function _onlyCreator(ExperimentState storage e) private view {
        if (e.creator != msg.sender) revert NotCreator(msg.sender);
    }

    function _onlyActive(ExperimentState storage e, address account) private view returns (Member member) {
        member = e.members[account];
        if (!member.isActive()) revert NotALearner(account);
    }

    function _removeFromActive(ExperimentState storage e, address account) private {
        e.removeFromActive(account, e.status == Status.Enrolling ? 0 : e.round + 1);
    }

    /// @dev Declines for a learner that left while its slot was open.
    function _declineOpenSlot(ExperimentId id, ExperimentState storage e, Member member) private {
        if (e.status != Status.Running) return;
        uint32 index = e.round;
        RoundState storage state = e.roundAt[index];
        Tally tally = state.tally;
        if (!tally.isAt(Stage.Proposing)) return;
        uint256 slot = state.openSlotOf(tally, member.index());
        if (slot != Proposals.NO_SLOT) _declineSlot(id, e, index, state, tally, slot);
    }

    /// @dev Returns the caller's member word and its open slot. Reverts if it has none.
    function _proposer(ExperimentState storage e, RoundState storage state, Tally tally)
        private
        view
        returns (Member member, uint256 slot)
    {
        member = e.members[msg.sender];
        slot = member.hasJoined() ? state.openSlotOf(tally, member.index()) : Proposals.NO_SLOT;
        if (slot == Proposals.NO_SLOT) revert NotProposer(msg.sender);
    }

    /// @dev Returns whether the current weights are this file.
    function _isCurrent(ExperimentState storage e, bytes32 sha256Hash) private view returns (bool) {
        uint32 accepted = e.currentRound;
        if (accepted == 0) return e.params.initial.sha256Hash == sha256Hash;
        uint256 slots = e.currentSlots;
        return Rounds.isSingle(slots) && e.roundAt[accepted - 1].computeDigest(slots) == sha256Hash;
    }
}
