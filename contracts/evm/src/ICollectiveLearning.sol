// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ContentRef} from "./types/ContentRef.sol";
import {BallotState, Duty, Outcome, Phase, SkipReason, Status} from "./types/Enums.sol";
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
    /// @notice A round began: `needed` of `eligible` votes accept the proposal, which is due before `deadline`.
    event RoundStarted(
        ExperimentId indexed experiment,
        uint32 indexed round,
        address indexed proposer,
        uint16 eligible,
        uint16 needed,
        uint40 deadline
    );
    /// @notice The proposer proposed weights; ballots or commitments are due before `deadline`.
    event WeightsProposed(
        ExperimentId indexed experiment,
        uint32 indexed round,
        address indexed proposer,
        ContentRef content,
        uint64 voteScore,
        uint64 testScore,
        uint40 deadline
    );
    /// @notice The proposer declined to propose.
    event ProposalDeclined(ExperimentId indexed experiment, uint32 indexed round, address indexed proposer);
    /// @notice A voter committed to a secret ballot.
    event VoteCommitted(
        ExperimentId indexed experiment, uint32 indexed round, address indexed learner, bytes32 commitment
    );
    /// @notice Committing ended; reveals are due before `deadline`.
    event RevealStarted(ExperimentId indexed experiment, uint32 indexed round, uint40 deadline);
    /// @notice A ballot was counted.
    /// @dev The learner is not indexed: every ballot pays for it, and data costs a third of a topic.
    event VoteCast(
        ExperimentId indexed experiment,
        uint32 indexed round,
        address learner,
        bool approve,
        uint64 voteScore,
        uint64 testScore
    );
    /// @notice A signed ballot of a batch was not counted.
    event BallotSkipped(
        ExperimentId indexed experiment, uint32 indexed round, address indexed learner, SkipReason reason
    );
    /// @notice A round closed. `eligible` minus approvals and rejections is the number of missing ballots.
    event RoundClosed(
        ExperimentId indexed experiment,
        uint32 indexed round,
        Outcome outcome,
        uint16 approvals,
        uint16 rejections,
        uint16 eligible
    );
    /// @notice The last round closed.
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
    /// @notice This account is not a learner of the experiment, or it has left.
    error NotALearner(address account);
    /// @notice The status of the experiment does not allow this call.
    error WrongStatus(Status status);
    /// @notice The phase of the round does not allow this call.
    error WrongPhase(Phase phase);
    /// @notice The call names another round than the current one.
    error WrongRound(uint32 current);
    /// @notice Only the proposer of the round may do this.
    error NotProposer(address caller);
    /// @notice This learner has no vote in this round.
    error NotEligible(address account);
    /// @notice The ballot or commitment of this learner was counted before.
    error AlreadyVoted(address account);
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
    /// @param encryptionKey A 32-byte X25519 public key, or zero.
    function join(ExperimentId experiment, bytes32 encryptionKey) external;

    /// @notice Removes the caller from the experiment; its proposals and ballots stay.
    function leave(ExperimentId experiment) external;

    /// @notice Removes a learner whose strikes reached the limit. Anyone may call it.
    function remove(ExperimentId experiment, address learner) external;

    /// @notice Starts the experiment. Only the creator may call it, once enough learners have joined.
    function start(ExperimentId experiment) external;

    /// @notice Cancels the experiment. Only the creator may call it.
    function cancel(ExperimentId experiment) external;

    /// @notice Proposes weights. Only the round's proposer may call it, before the deadline.
    /// @param voteScore The proposer's own vote score, for the record.
    /// @param testScore The proposer's own test score, for the record.
    function propose(
        ExperimentId experiment,
        uint32 round,
        ContentRef calldata content,
        uint64 voteScore,
        uint64 testScore
    ) external;

    /// @notice Declines to propose: the round closes without a strike. Only the round's proposer may call it.
    function decline(ExperimentId experiment, uint32 round) external;

    /// @notice Casts an open ballot.
    function vote(ExperimentId experiment, uint32 round, bool approve, uint64 voteScore, uint64 testScore)
        external;

    /// @notice Counts ballots that learners signed (EIP-712); a bad one is skipped and reported.
    /// @param ballots The ballots one after another, 101 bytes each, big-endian:
    /// | learner 20 | approve 1 | voteScore 8 | testScore 8 | signature 64 |, the signature compact (EIP-2098).
    function voteSigned(ExperimentId experiment, uint32 round, bytes calldata ballots) external;

    /// @notice Commits to a secret ballot.
    /// @param commitment The sha256 defined in docs/protocol.md.
    function commit(ExperimentId experiment, uint32 round, bytes32 commitment) external;

    /// @notice Reveals a committed ballot.
    function reveal(
        ExperimentId experiment,
        uint32 round,
        bool approve,
        uint64 voteScore,
        uint64 testScore,
        bytes32 salt
    ) external;

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
    /// round that accepted the current weights, plus one; 0 stands for the initial weights.
    struct ExperimentView {
        ExperimentId id;
        address creator;
        Params params;
        Status status;
        uint40 createdAt;
        uint40 startedAt;
        uint40 endedAt;
        bool started;
        uint32 round;
        uint32 activeLearners;
        uint32 joinedLearners;
        ContentRef current;
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
        uint32 strikes;
        bytes32 encryptionKey;
    }

    /// @notice The present state of a round. Times that have not come yet are 0.
    struct RoundView {
        uint32 index;
        Phase phase;
        Outcome outcome;
        address proposer;
        uint16 eligible;
        uint16 needed;
        uint16 approvals;
        uint16 rejections;
        uint16 commitments;
        ContentRef content;
        uint40 startedAt;
        uint40 proposedAt;
        uint40 revealStartedAt;
        uint40 closedAt;
        uint40 deadline;
        bool byDeadline;
    }

    /// @notice What is recorded of one learner in one round.
    struct BallotView {
        address learner;
        bool eligible;
        BallotState state;
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

    /// @notice Returns the current weights; empty while there are none.
    function currentWeights(ExperimentId id) external view returns (ContentRef memory);

    /// @notice Returns what an account should do now.
    function duty(ExperimentId id, address account) external view returns (Duty);
}

/// @title Collective learning among parties who do not trust each other
/// @notice Records experiments, selects proposers and counts signed votes. The rules are in docs/protocol.md.
/// There is no admin and no upgrade; one deployment serves any number of experiments.
/// @dev Scores are IEEE-754 binary64 bits; absent is 0x7ff8000000000000. Times are block times in seconds.
/// It has two parts because the code of one contract is limited (EIP-170): `CollectiveLearning` makes the calls and
/// passes every other message on to `Queries`. Callers use this interface at the address of `CollectiveLearning`.
// solhint-disable-next-line no-empty-blocks
interface ICollectiveLearning is ICollectiveLearningCalls, ICollectiveLearningQueries {}
