// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ContentRef} from "./types/ContentRef.sol";
import {BallotState, Duty, Outcome, Phase, SkipReason, Status} from "./types/Enums.sol";
import {ExperimentId} from "./types/ExperimentId.sol";
import {Params} from "./types/Params.sol";

/// @title Collective learning among parties who do not trust each other
/// @notice Records experiments, selects proposers and counts signed votes. The rules are in docs/protocol.md.
/// There is no admin and no upgrade; one deployment serves any number of experiments.
/// @dev Scores are IEEE-754 binary64 bits; absent is 0x7ff8000000000000. Times are block times in seconds.
interface ICollectiveLearning {
    // ------------------------------------------------------------------ values

    /// @notice An experiment as it stands. `started` tells whether `round` means anything; `currentRound`
    /// is the round that accepted the current weights plus one, 0 for the initial ones.
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

    /// @notice A learner; it belongs to the electorates of `fromRound <= round < untilRound`.
    struct LearnerView {
        address account;
        uint32 index;
        bool active;
        uint32 fromRound;
        uint32 untilRound;
        uint32 strikes;
        bytes32 encryptionKey;
    }

    /// @notice A round as it stands; a time that has not come is 0.
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

    // ------------------------------------------------------------------ events

    event ExperimentCreated(ExperimentId indexed experiment, address indexed creator, Params params);
    event LearnerAdmitted(ExperimentId indexed experiment, address indexed learner);
    event LearnerJoined(
        ExperimentId indexed experiment, address indexed learner, uint32 index, bytes32 encryptionKey
    );
    event LearnerLeft(ExperimentId indexed experiment, address indexed learner);
    event LearnerRemoved(ExperimentId indexed experiment, address indexed learner);
    event ExperimentStarted(ExperimentId indexed experiment);
    event RoundStarted(
        ExperimentId indexed experiment,
        uint32 indexed round,
        address indexed proposer,
        uint16 eligible,
        uint16 needed,
        uint40 deadline
    );
    event WeightsProposed(
        ExperimentId indexed experiment,
        uint32 indexed round,
        address indexed proposer,
        ContentRef content,
        uint64 voteScore,
        uint64 testScore,
        uint40 deadline
    );
    event ProposalDeclined(ExperimentId indexed experiment, uint32 indexed round, address indexed proposer);
    event VoteCommitted(
        ExperimentId indexed experiment, uint32 indexed round, address indexed learner, bytes32 commitment
    );
    event RevealStarted(ExperimentId indexed experiment, uint32 indexed round, uint40 deadline);
    /// @dev The learner is not indexed: as data it costs a third of a topic, and each ballot pays.
    event VoteCast(
        ExperimentId indexed experiment,
        uint32 indexed round,
        address learner,
        bool approve,
        uint64 voteScore,
        uint64 testScore
    );
    event BallotSkipped(
        ExperimentId indexed experiment, uint32 indexed round, address indexed learner, SkipReason reason
    );
    event RoundClosed(
        ExperimentId indexed experiment,
        uint32 indexed round,
        Outcome outcome,
        uint16 approvals,
        uint16 rejections,
        uint16 eligible
    );
    event ExperimentCompleted(ExperimentId indexed experiment);
    event ExperimentCancelled(ExperimentId indexed experiment);

    // ------------------------------------------------------------------ errors

    error UnknownExperiment(ExperimentId experiment);
    error InvalidParameter(string name);
    error NotCreator(address caller);
    error NotAdmitted(address caller);
    error AlreadyJoined(address caller);
    error ExperimentFull(uint16 maxLearners);
    error NotALearner(address account);
    error WrongStatus(Status status);
    error WrongPhase(Phase phase);
    error WrongRound(uint32 current);
    error NotProposer(address caller);
    error NotEligible(address account);
    error AlreadyVoted(address account);
    error BadReveal(address account);
    error Unchanged();
    error NotRemovable(uint32 strikes);
    error DeadlinePassed(uint40 deadline);
    error DeadlineNotPassed(uint40 deadline);

    // ------------------------------------------------------------------ transactions

    /// @notice Creates an experiment.
    /// @param params Its parameters, immutable from now on.
    /// @return experiment Its id.
    function create(Params calldata params) external returns (ExperimentId experiment);

    /// @notice Puts accounts on the allowlist; only the creator.
    function admit(ExperimentId experiment, address[] calldata accounts) external;

    /// @notice Makes the caller a learner. The last place taken while enrolling starts the experiment.
    /// @param encryptionKey A 32-byte X25519 public key, or zero.
    function join(ExperimentId experiment, bytes32 encryptionKey) external;

    /// @notice Takes the caller out; what it proposed and voted stays.
    function leave(ExperimentId experiment) external;

    /// @notice Takes out a learner whose strikes reached the limit; anyone may.
    function remove(ExperimentId experiment, address learner) external;

    /// @notice Starts the experiment; only the creator, once enough learners have joined.
    function start(ExperimentId experiment) external;

    /// @notice Cancels the experiment; only the creator.
    function cancel(ExperimentId experiment) external;

    /// @notice Proposes weights; only the round's proposer, before the deadline.
    /// @param voteScore The proposer's own vote score, for the record.
    /// @param testScore The proposer's own test score, for the record.
    function propose(
        ExperimentId experiment,
        uint32 round,
        ContentRef calldata content,
        uint64 voteScore,
        uint64 testScore
    ) external;

    /// @notice Closes the round for want of a proposal, without a strike; only the round's proposer.
    function decline(ExperimentId experiment, uint32 round) external;

    /// @notice Casts an open ballot.
    function vote(ExperimentId experiment, uint32 round, bool approve, uint64 voteScore, uint64 testScore)
        external;

    /// @notice Counts ballots that learners signed (EIP-712); a bad one is skipped and reported.
    /// @param ballots One after another, 101 bytes each, big-endian:
    /// | learner 20 | approve 1 | voteScore 8 | testScore 8 | signature 64 |, the signature compact (EIP-2098).
    function voteSigned(ExperimentId experiment, uint32 round, bytes calldata ballots) external;

    /// @notice Commits to a secret ballot.
    /// @param commitment sha256 as docs/protocol.md defines it.
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

    /// @notice Closes or moves on a phase whose deadline has passed; anyone may.
    function advance(ExperimentId experiment) external;

    // ------------------------------------------------------------------ queries

    /// @notice An experiment.
    function experiment(ExperimentId id) external view returns (ExperimentView memory);

    /// @notice Experiments in order of id from the `start`-th (0 is the first), at most 100.
    function experiments(uint256 start, uint256 limit) external view returns (ExperimentView[] memory);

    /// @notice A learner.
    function learner(ExperimentId id, address account) external view returns (LearnerView memory);

    /// @notice Learners in order of index, those who left included, at most 100.
    function learners(ExperimentId id, uint256 start, uint256 limit)
        external
        view
        returns (LearnerView[] memory);

    /// @notice A round.
    function round(ExperimentId id, uint32 index) external view returns (RoundView memory);

    /// @notice Rounds in order, at most 100.
    function rounds(ExperimentId id, uint256 start, uint256 limit) external view returns (RoundView[] memory);

    /// @notice What is recorded of a learner in a round.
    function ballot(ExperimentId id, uint32 index, address account) external view returns (BallotView memory);

    /// @notice A row for each learner in order of index, at most 100.
    function ballots(ExperimentId id, uint32 index, uint256 start, uint256 limit)
        external
        view
        returns (BallotView[] memory);

    /// @notice The current weights; empty while there are none.
    function currentWeights(ExperimentId id) external view returns (ContentRef memory);

    /// @notice What an account should do now.
    function duty(ExperimentId id, address account) external view returns (Duty);

    /// @notice The EIP-712 domain separator that ballots and commitments are bound to.
    function domainSeparator() external view returns (bytes32);
}
