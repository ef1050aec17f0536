// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ContentRef} from "./types/ContentRef.sol";
import {BallotState, Duty, Outcome, Phase, SkipReason, SlotState, Status} from "./types/Enums.sol";
import {ExperimentId} from "./types/ExperimentId.sol";
import {Params} from "./types/Params.sol";

/// @notice The transactions of the contract, with its events and errors.
interface ICollectiveLearningCalls {
    // ------------------------------------------------------------------ events

    /// @notice An experiment was created; its parameters are immutable from now on.
    event ExperimentCreated(ExperimentId indexed experiment, address indexed creator, Params params);
    /// @notice The creator put an account on the allowlist.
    event LearnerAdmitted(ExperimentId indexed experiment, address indexed learner);
    /// @notice An account became a learner. `index` counts learners in order of joining, from 0.
    event LearnerJoined(
        ExperimentId indexed experiment, address indexed learner, uint32 index, bytes32 encryptionKey
    );
    /// @notice A learner left.
    event LearnerLeft(ExperimentId indexed experiment, address indexed learner);
    /// @notice A learner was removed because its strikes reached the limit.
    event LearnerRemoved(ExperimentId indexed experiment, address indexed learner);
    /// @notice The experiment started; round 0 begins in the same transaction.
    event ExperimentStarted(ExperimentId indexed experiment);
    /// @notice A round began. `proposers` are in order of selection, and their proposals are due before `deadline`.
    /// Each proposal needs `needed` approvals of `eligible` learners, all but its own proposer.
    event RoundStarted(
        ExperimentId indexed experiment,
        uint32 indexed round,
        address[] proposers,
        uint16 eligible,
        uint16 needed,
        uint40 deadline
    );
    /// @notice A proposer proposed weights.
    event WeightsProposed(
        ExperimentId indexed experiment,
        uint32 indexed round,
        address indexed proposer,
        uint8 slot,
        ContentRef content,
        uint64 voteScore,
        uint64 testScore
    );
    /// @notice A proposer declined to propose.
    event ProposalDeclined(
        ExperimentId indexed experiment, uint32 indexed round, address indexed proposer, uint8 slot
    );
    /// @notice Proposing ended; ballots or commitments on the proposals with this digest are due before `deadline`.
    event VotingStarted(
        ExperimentId indexed experiment, uint32 indexed round, bytes32 proposals, uint40 deadline
    );
    /// @notice A voter committed to a secret ballot.
    event VoteCommitted(
        ExperimentId indexed experiment, uint32 indexed round, address indexed learner, bytes32 commitment
    );
    /// @notice Committing ended; reveals are due before `deadline`.
    event RevealStarted(ExperimentId indexed experiment, uint32 indexed round, uint40 deadline);
    /// @notice A ballot was counted. `approvals` is a bitmap of slots. `scores` are big-endian uint64: a vote score and
    /// a test score for the current weights, then for each proposal in slot order.
    event VoteCast(
        ExperimentId indexed experiment,
        uint32 indexed round,
        address indexed learner,
        uint16 approvals,
        bytes scores
    );
    /// @notice A signed ballot of a batch was not counted.
    event BallotSkipped(
        ExperimentId indexed experiment, uint32 indexed round, address indexed learner, SkipReason reason
    );
    /// @notice A round closed. `accepted` is a bitmap of slots, `approvals` has a count for each slot.
    event RoundClosed(
        ExperimentId indexed experiment,
        uint32 indexed round,
        Outcome outcome,
        uint16 accepted,
        uint16[] approvals,
        uint16 eligible
    );
    /// @notice A learner points at a file that may help others and decides nothing.
    event Announced(
        ExperimentId indexed experiment, address indexed learner, string topic, ContentRef content
    );
    /// @notice The creator cancelled the experiment while the current round had a proposal; it ends with this round.
    event CancelRequested(ExperimentId indexed experiment);
    /// @notice The last round closed, or as many in a row as `patience` without an accepted proposal.
    event ExperimentCompleted(ExperimentId indexed experiment);
    /// @notice The creator cancelled the experiment, or fewer than two learners were left.
    event ExperimentCancelled(ExperimentId indexed experiment);

    // ------------------------------------------------------------------ errors

    /// @notice No experiment has this id.
    error UnknownExperiment(ExperimentId experiment);
    /// @notice The parameter `name` is out of its bounds.
    error InvalidParameter(string name);
    /// @notice Only the creator of the experiment may do this.
    error NotCreator(address caller);
    /// @notice The creator has not admitted this account.
    error NotAdmitted(address caller);
    /// @notice An account joins an experiment once.
    error AlreadyJoined(address caller);
    /// @notice As many learners are active as the experiment allows.
    error ExperimentFull(uint16 maxLearners);
    /// @notice The experiment with this id has another hash, which is given: it is not the one the caller read about.
    error WrongExperiment(bytes32 hash);
    /// @notice This account is not a learner of the experiment, or it has left.
    error NotALearner(address account);
    /// @notice The status of the experiment does not allow this call.
    error WrongStatus(Status status);
    /// @notice The phase of the round does not allow this call.
    error WrongPhase(Phase phase);
    /// @notice The call names another round than the current one.
    error WrongRound(uint32 current);
    /// @notice This account has no open slot in the round.
    error NotProposer(address caller);
    /// @notice This learner has no vote in this round.
    error NotEligible(address account);
    /// @notice The ballot or commitment of this learner was counted before.
    error AlreadyVoted(address account);
    /// @notice The call names other proposals than those of the round, whose digest is given.
    error WrongProposals(bytes32 proposals);
    /// @notice The ballot does not match the commitment of this account.
    error BadReveal(address account);
    /// @notice The proposed weights are the current weights.
    error Unchanged();
    /// @notice The learner has missed too few duties to be removed.
    error NotRemovable(uint32 strikes);
    /// @notice The deadline of the phase has passed; anyone may call `advance`.
    error DeadlinePassed(uint40 deadline);
    /// @notice The deadline of the phase has not passed yet.
    error DeadlineNotPassed(uint40 deadline);

    // ------------------------------------------------------------------ transactions

    /// @notice Creates an experiment.
    /// @param params The parameters, immutable from now on.
    /// @return experiment The id of the new experiment.
    function create(Params calldata params) external returns (ExperimentId experiment);

    /// @notice Puts accounts on the allowlist. Only the creator may call it.
    function admit(ExperimentId experiment, address[] calldata accounts) external;

    /// @notice Makes the caller a learner. While enrolling, taking the last place starts the experiment.
    /// @param hash The experiment's hash, which `experiment` returns; it covers the creator and all parameters.
    /// @param encryptionKey A 32-byte X25519 public key, or zero.
    function join(ExperimentId experiment, bytes32 hash, bytes32 encryptionKey) external;

    /// @notice Replaces the caller's encryption key.
    function setEncryptionKey(ExperimentId experiment, bytes32 encryptionKey) external;

    /// @notice Removes the caller from the experiment; its proposals and ballots stay.
    function leave(ExperimentId experiment) external;

    /// @notice Removes a learner whose strikes reached the limit. Anyone may call it.
    function remove(ExperimentId experiment, address learner) external;

    /// @notice Starts the experiment. Only the creator may call it, once enough learners have joined.
    function start(ExperimentId experiment) external;

    /// @notice Cancels the experiment: at once, or after the current round if that has proposals to vote on. Only the
    /// creator may call it.
    function cancel(ExperimentId experiment) external;

    /// @notice Proposes weights. Only learners with an open slot in the round may call it, before the deadline.
    /// @param voteScore The proposer's own vote score, for the record.
    /// @param testScore The proposer's own test score, for the record.
    function propose(
        ExperimentId experiment,
        uint32 round,
        ContentRef calldata content,
        uint64 voteScore,
        uint64 testScore
    ) external;

    /// @notice Declines to propose, without a strike. Only learners with an open slot in the round may call it.
    function decline(ExperimentId experiment, uint32 round) external;

    /// @notice Casts an open ballot on all proposals of the round.
    /// @param proposals The digest of the proposals that the ballot judges.
    /// @param approvals A bitmap of slots: bit i approves the proposal in slot i.
    /// @param scores Big-endian uint64: a vote score and a test score for the current weights, then for each proposal
    /// in slot order.
    function vote(
        ExperimentId experiment,
        uint32 round,
        bytes32 proposals,
        uint16 approvals,
        bytes calldata scores
    ) external;

    /// @notice Counts ballots that learners signed (EIP-712); a bad one is skipped and reported.
    /// @param proposals The digest of the proposals that all ballots judge.
    /// @param ballots The ballots one after another, big-endian:
    /// | learner 20 | approvals 2 | scores 16 * (1 + number of proposals) | signature 64 |, the signature compact
    /// (EIP-2098).
    function voteSigned(ExperimentId experiment, uint32 round, bytes32 proposals, bytes calldata ballots)
        external;

    /// @notice Commits to a secret ballot.
    /// @param proposals The digest of the proposals that the ballot judges.
    /// @param commitment The sha256 defined in docs/protocol.md.
    function commit(ExperimentId experiment, uint32 round, bytes32 proposals, bytes32 commitment) external;

    /// @notice Reveals a committed ballot.
    function reveal(
        ExperimentId experiment,
        uint32 round,
        uint16 approvals,
        bytes calldata scores,
        bytes32 salt
    ) external;

    /// @notice Points the other learners at a file that may help them and decides nothing.
    /// @param topic What the file is for: 1 to 32 bytes of UTF-8 without control characters.
    function announce(ExperimentId experiment, string calldata topic, ContentRef calldata content) external;

    /// @notice Ends a phase whose deadline has passed. Anyone may call it.
    function advance(ExperimentId experiment) external;

    // ------------------------------------------------------------------ the deployment

    /// @notice Returns the EIP-712 domain separator that ballots and commitments are bound to.
    function domainSeparator() external view returns (bytes32);

    /// @notice Returns the contract whose code answers the queries. They are asked at the address of this contract.
    function queries() external view returns (address);
}

/// @notice The queries of the contract. Lists are paged, so that every answer stays small.
interface ICollectiveLearningQueries {
    /// @notice The present state of an experiment. `round` is meaningful only if `started`. `currentRound` is the
    /// round that accepted the current weights, plus one; 0 stands for the initial weights. `current` are the files
    /// whose mean the current weights are, in slot order.
    struct ExperimentView {
        ExperimentId id;
        address creator;
        Params params;
        bytes32 hash;
        Status status;
        bool cancelRequested;
        uint40 createdAt;
        uint40 startedAt;
        uint40 endedAt;
        bool started;
        uint32 round;
        uint32 activeLearners;
        uint32 joinedLearners;
        ContentRef[] current;
        uint32 currentRound;
        bytes32 seed;
    }

    /// @notice A learner. It belongs to the electorates of the rounds `fromRound <= round < untilRound`.
    struct LearnerView {
        address account;
        uint32 index;
        bool active;
        uint32 fromRound;
        uint32 untilRound;
        uint32 missedProposals;
        uint32 missedBallots;
        bytes32 encryptionKey;
    }

    /// @notice A proposer's place in a round.
    struct SlotView {
        address proposer;
        SlotState state;
        ContentRef content;
        uint40 proposedAt;
        uint16 approvals;
        bool accepted;
    }

    /// @notice The present state of a round. Times that have not come yet are 0, and so is `proposals` before voting.
    /// `ballots` are those counted so far.
    struct RoundView {
        uint32 index;
        Phase phase;
        Outcome outcome;
        SlotView[] slots;
        uint16 eligible;
        uint16 needed;
        uint16 ballots;
        uint16 commitments;
        bytes32 proposals;
        uint40 startedAt;
        uint40 votingStartedAt;
        uint40 revealStartedAt;
        uint40 closedAt;
        uint40 deadline;
        bool byDeadline;
    }

    /// @notice What is recorded of one learner in one round. `approvals` is a bitmap of slots.
    struct BallotView {
        address learner;
        bool eligible;
        BallotState state;
        uint16 approvals;
    }

    /// @notice What an account needs to know for its next step. `round` is empty before the start, and `learner` if
    /// the account never joined.
    struct AgendaView {
        ExperimentView experiment;
        RoundView round;
        LearnerView learner;
        Duty duty;
    }

    // ------------------------------------------------------------------ queries

    /// @notice Returns an experiment.
    function experiment(ExperimentId id) external view returns (ExperimentView memory);

    /// @notice Returns experiments in order of id, from the `start`-th on (0 is the first), at most 100.
    function experiments(uint256 start, uint256 limit) external view returns (ExperimentView[] memory);

    /// @notice Returns a learner.
    function learner(ExperimentId id, address account) external view returns (LearnerView memory);

    /// @notice Returns learners in order of index, including those that left, at most 100.
    function learners(ExperimentId id, uint256 start, uint256 limit)
        external
        view
        returns (LearnerView[] memory);

    /// @notice Returns a round.
    function round(ExperimentId id, uint32 index) external view returns (RoundView memory);

    /// @notice Returns rounds in order, at most 100.
    function rounds(ExperimentId id, uint256 start, uint256 limit) external view returns (RoundView[] memory);

    /// @notice Returns what is recorded of a learner in a round.
    function ballot(ExperimentId id, uint32 index, address account) external view returns (BallotView memory);

    /// @notice Returns a row for each learner in order of index, at most 100.
    function ballots(ExperimentId id, uint32 index, uint256 start, uint256 limit)
        external
        view
        returns (BallotView[] memory);

    /// @notice Returns the files whose mean the current weights are, in slot order; none before there are any.
    function currentWeights(ExperimentId id) external view returns (ContentRef[] memory);

    /// @notice Returns what an account should do now.
    function duty(ExperimentId id, address account) external view returns (Duty);

    /// @notice Returns the experiment, its current round, the account's learner and its duty.
    function agenda(ExperimentId id, address account) external view returns (AgendaView memory);
}

/// @title Collective learning among parties who do not trust each other
/// @notice Records experiments, selects proposers and counts signed votes. The rules are in docs/protocol.md.
/// There is no admin and no upgrade; one deployment serves any number of experiments.
/// @dev Scores are IEEE-754 binary64 bits; absent is 0x7ff8000000000000. Times are block times in seconds.
/// It has two parts because the code of one contract is limited (EIP-170): `CollectiveLearning` makes the calls and
/// passes every other message on to `Queries`. Callers use this interface at the address of `CollectiveLearning`.
// solhint-disable-next-line no-empty-blocks
interface ICollectiveLearning is ICollectiveLearningCalls, ICollectiveLearningQueries {}
