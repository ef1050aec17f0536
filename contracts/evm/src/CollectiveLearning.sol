// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";

import {ICollectiveLearning} from "./ICollectiveLearning.sol";
import {Queries} from "./Queries.sol";
import {Members} from "./libraries/Members.sol";
import {Parameters} from "./libraries/Parameters.sol";
import {Rounds} from "./libraries/Rounds.sol";
import {ContentRef} from "./types/ContentRef.sol";
import {Admission, Selection, SkipReason, Status} from "./types/Enums.sol";
import {ExperimentId} from "./types/ExperimentId.sol";
import {Member} from "./types/Member.sol";
import {Params} from "./types/Params.sol";
import {ExperimentState, RoundState} from "./types/State.sol";
import {Stage, Tally} from "./types/Tally.sol";

/// @title Collective learning: one deployment, any number of experiments, no admin
/// @notice Authorises, counts, emits; `Lifecycle` opens and closes rounds, `Queries` answers.
contract CollectiveLearning is Queries {
    using Rounds for RoundState;
    using Members for ExperimentState;
    using Members for Member;

    bytes32 private constant BALLOT_TYPEHASH = keccak256(
        "Ballot(uint64 experiment,uint32 round,address learner,bool approve,uint64 voteScore,uint64 testScore)"
    );

    // ------------------------------------------------------------------ experiments

    /// @inheritdoc ICollectiveLearning
    function create(Params calldata params) external override returns (ExperimentId id) {
        Parameters.check(params);
        id = ExperimentId.wrap(++_count);
        ExperimentState storage e = _slot(id);
        e.creator = msg.sender;
        e.createdAt = uint40(block.timestamp);
        e.params = params;
        emit ExperimentCreated(id, msg.sender, params);
    }

    /// @inheritdoc ICollectiveLearning
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

    /// @inheritdoc ICollectiveLearning
    function start(ExperimentId id) external override {
        ExperimentState storage e = _existing(id);
        if (e.status != Status.Enrolling) revert WrongStatus(e.status);
        _onlyCreator(e);
        if (e.activeLearners < e.params.minLearners) revert InvalidParameter("min_learners");
        _start(id, e);
    }

    /// @inheritdoc ICollectiveLearning
    function cancel(ExperimentId id) external override {
        ExperimentState storage e = _unfinished(id);
        _onlyCreator(e);
        if (e.status == Status.Running) _abandon(id, e, e.round);
        _end(e, Status.Cancelled);
        emit ExperimentCancelled(id);
    }

    // ------------------------------------------------------------------ learners

    /// @inheritdoc ICollectiveLearning
    /// @dev Flat: the roster and the active list are written at their ends.
    function join(ExperimentId id, bytes32 encryptionKey) external override {
        ExperimentState storage e = _unfinished(id);
        bool running = e.status == Status.Running;
        if (running && !e.params.lateJoin) revert WrongStatus(e.status);
        if (e.members[msg.sender].unpack().joined) revert AlreadyJoined(msg.sender);
        if (e.params.admission == Admission.Allowlist && !e.admitted[msg.sender]) {
            revert NotAdmitted(msg.sender);
        }
        if (e.activeLearners == e.params.maxLearners) revert ExperimentFull(e.params.maxLearners);

        uint32 index = e.add(msg.sender, running ? e.round + 1 : 0);
        if (encryptionKey != 0) e.encryptionKeys[msg.sender] = encryptionKey;
        emit LearnerJoined(id, msg.sender, index, encryptionKey);
        if (!running && e.activeLearners == e.params.maxLearners) _start(id, e);
    }

    /// @inheritdoc ICollectiveLearning
    /// @dev Flat: the active list's last member takes the freed place.
    function leave(ExperimentId id) external override {
        ExperimentState storage e = _unfinished(id);
        _onlyActive(e, msg.sender);
        _take(e, msg.sender);
        emit LearnerLeft(id, msg.sender);
        _closeIfProposerLeft(id, e, msg.sender);
    }

    /// @inheritdoc ICollectiveLearning
    function remove(ExperimentId id, address account) external override {
        ExperimentState storage e = _running(id);
        _onlyActive(e, account);
        uint32 strikes = e.strikes(account);
        if (e.params.maxStrikes == 0 || strikes < e.params.maxStrikes) revert NotRemovable(strikes);
        _take(e, account);
        emit LearnerRemoved(id, account);
        _closeIfProposerLeft(id, e, account);
    }

    // ------------------------------------------------------------------ proposing

    /// @inheritdoc ICollectiveLearning
    function propose(
        ExperimentId id,
        uint32 index,
        ContentRef calldata content,
        uint64 voteScore,
        uint64 testScore
    ) external override {
        (RoundState storage state, Tally memory tally) = _roundAt(id, index, Stage.Proposing);
        if (state.proposer != msg.sender) revert NotProposer(msg.sender);
        if (!content.isWellFormed()) revert InvalidParameter("content");
        ExperimentState storage e = _slot(id);
        if (_currentWeights(e).sha256Hash == content.sha256Hash) revert Unchanged();

        Member memory member = e.members[msg.sender].unpack();
        member.clear(tally.misses);
        member.proposed = index + 1;
        e.members[msg.sender] = member.pack();
        state.setContent(content);
        tally.stage = e.params.revealWindow == 0 ? Stage.Voting : Stage.Committing;
        tally.time = uint40(block.timestamp) + e.params.voteWindow;
        state.tally = tally.pack();
        emit WeightsProposed(id, index, msg.sender, content, voteScore, testScore, tally.time);
    }

    /// @inheritdoc ICollectiveLearning
    function decline(ExperimentId id, uint32 index) external override {
        (RoundState storage state,) = _roundAt(id, index, Stage.Proposing);
        if (state.proposer != msg.sender) revert NotProposer(msg.sender);
        emit ProposalDeclined(id, index, msg.sender);
        _closeUnproposed(id, _slot(id), index, false);
    }

    // ------------------------------------------------------------------ voting

    /// @inheritdoc ICollectiveLearning
    /// @dev Flat: writes the round's first slot, reads the learner's; a word of its own for an index >= 64.
    function vote(ExperimentId id, uint32 index, bool approve, uint64 voteScore, uint64 testScore)
        external
        override
    {
        (RoundState storage state, Tally memory tally) = _roundAt(id, index, Stage.Voting);
        ExperimentState storage e = _slot(id);
        Member memory member = _voter(e, state, tally, index);
        _record(e, state, tally, msg.sender, member, approve);
        emit VoteCast(id, index, msg.sender, approve, voteScore, testScore);
        _settle(id, index, state, tally);
    }

    /// @inheritdoc ICollectiveLearning
    /// @dev Linear in the batch, which the caller bounds; the tally is written once.
    function voteSigned(ExperimentId id, uint32 index, SignedBallot[] calldata signed) external override {
        (RoundState storage state, Tally memory tally) = _roundAt(id, index, Stage.Voting);
        if (signed.length == 0) revert InvalidParameter("ballots");
        for (uint256 i = 0; i < signed.length; ++i) {
            _countSigned(id, index, state, tally, signed[i]);
        }
        _settle(id, index, state, tally);
    }

    /// @inheritdoc ICollectiveLearning
    function commit(ExperimentId id, uint32 index, bytes32 commitment) external override {
        (RoundState storage state, Tally memory tally) = _roundAt(id, index, Stage.Committing);
        _voter(_slot(id), state, tally, index);
        if (state.pledges[msg.sender] != 0) revert AlreadyVoted(msg.sender);
        if (commitment == 0) revert InvalidParameter("commitment");

        state.pledges[msg.sender] = commitment;
        --tally.outstanding;
        emit VoteCommitted(id, index, msg.sender, commitment);
        if (tally.outstanding == 0) {
            state.endCommitting(tally);
            _startRevealing(id, index, state, tally);
        }
        state.tally = tally.pack();
    }

    /// @inheritdoc ICollectiveLearning
    function reveal(
        ExperimentId id,
        uint32 index,
        bool approve,
        uint64 voteScore,
        uint64 testScore,
        bytes32 salt
    ) external override {
        (RoundState storage state, Tally memory tally) = _roundAt(id, index, Stage.Revealing);
        ExperimentState storage e = _slot(id);
        Member memory member = _voter(e, state, tally, index);
        bytes32 commitment = sha256(
            abi.encodePacked(_separator(), id, index, msg.sender, approve, voteScore, testScore, salt)
        );
        if (state.pledges[msg.sender] != commitment) revert BadReveal(msg.sender);

        delete state.pledges[msg.sender];
        if (e.params.selection == Selection.Random) state.salts ^= salt;
        _record(e, state, tally, msg.sender, member, approve);
        emit VoteCast(id, index, msg.sender, approve, voteScore, testScore);
        _settle(id, index, state, tally);
    }

    /// @inheritdoc ICollectiveLearning
    /// @dev Flat: strikes are counted for nobody here (see Members).
    function advance(ExperimentId id) external override {
        ExperimentState storage e = _running(id);
        uint32 index = e.round;
        RoundState storage state = e.roundAt[index];
        Tally memory tally = state.tally.unpack();
        if (block.timestamp < tally.time) revert DeadlineNotPassed(tally.time);

        if (tally.stage == Stage.Proposing) {
            _closeUnproposed(id, e, index, true);
        } else if (tally.stage == Stage.Committing) {
            _endCommitting(id, e, index, state, tally);
        } else {
            _closeVote(id, e, index, tally, true);
        }
    }

    // ------------------------------------------------------------------ parts

    function _onlyCreator(ExperimentState storage e) private view {
        if (e.creator != msg.sender) revert NotCreator(msg.sender);
    }

    function _onlyActive(ExperimentState storage e, address account) private view {
        Member memory member = e.members[account].unpack();
        if (!member.joined || member.hasLeft()) revert NotALearner(account);
    }

    function _take(ExperimentState storage e, address account) private {
        e.take(account, e.status == Status.Enrolling ? 0 : e.round + 1);
    }

    function _closeIfProposerLeft(ExperimentId id, ExperimentState storage e, address account) private {
        if (e.status != Status.Running) return;
        RoundState storage state = e.roundAt[e.round];
        if (state.tally.unpack().stage == Stage.Proposing && state.proposer == account) {
            _closeUnproposed(id, e, e.round, false);
        }
    }

    /// @dev The caller, if it has a vote in the round and its ballot is not counted yet.
    function _voter(ExperimentState storage e, RoundState storage state, Tally memory tally, uint32 index)
        private
        view
        returns (Member memory member)
    {
        member = e.members[msg.sender].unpack();
        if (!member.joined) revert NotALearner(msg.sender);
        if (!member.hasVote(index)) revert NotEligible(msg.sender);
        if (state.hasBallot(tally, member.index)) revert AlreadyVoted(msg.sender);
    }

    function _record(
        ExperimentState storage e,
        RoundState storage state,
        Tally memory tally,
        address account,
        Member memory member,
        bool approve
    ) private {
        state.record(tally, member.index, approve);
        if (member.clear(tally.misses)) e.members[account] = member.pack();
    }

    function _countSigned(
        ExperimentId id,
        uint32 index,
        RoundState storage state,
        Tally memory tally,
        SignedBallot calldata signed
    ) private {
        address account = signed.learner;
        ExperimentState storage e = _slot(id);
        Member memory member = e.members[account].unpack();
        if (!_isSignedBy(account, id, index, signed)) {
            emit BallotSkipped(id, index, account, SkipReason.BadSignature);
        } else if (!member.joined) {
            emit BallotSkipped(id, index, account, SkipReason.NotALearner);
        } else if (!member.hasVote(index)) {
            emit BallotSkipped(id, index, account, SkipReason.NotEligible);
        } else if (state.hasBallot(tally, member.index)) {
            emit BallotSkipped(id, index, account, SkipReason.AlreadyVoted);
        } else {
            _record(e, state, tally, account, member, signed.approve);
            emit VoteCast(id, index, account, signed.approve, signed.voteScore, signed.testScore);
        }
    }

    function _isSignedBy(address account, ExperimentId id, uint32 index, SignedBallot calldata b)
        private
        view
        returns (bool)
    {
        bytes32 hash = keccak256(
            abi.encode(BALLOT_TYPEHASH, id, index, account, b.approve, b.voteScore, b.testScore)
        );
        (address signer, ECDSA.RecoverError failure,) = ECDSA.tryRecover(_typedDataHash(hash), b.r, b.vs);
        return failure == ECDSA.RecoverError.NoError && signer == account;
    }

    function _startRevealing(ExperimentId id, uint32 index, RoundState storage state, Tally memory tally)
        private
    {
        tally.stage = Stage.Revealing;
        tally.time = uint40(block.timestamp) + _slot(id).params.revealWindow;
        state.revealStartedAt = uint40(block.timestamp);
        emit RevealStarted(id, index, tally.time);
    }

    function _endCommitting(
        ExperimentId id,
        ExperimentState storage e,
        uint32 index,
        RoundState storage state,
        Tally memory tally
    ) private {
        state.endCommitting(tally);
        if (tally.settleEarly && state.isSettled(tally)) {
            _closeVote(id, e, index, tally, true);
            return;
        }
        _startRevealing(id, index, state, tally);
        state.tally = tally.pack();
    }
}
