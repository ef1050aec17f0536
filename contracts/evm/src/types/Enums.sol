// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @notice The status of an experiment.
enum Status {
    Enrolling,
    Running,
    Completed,
    Cancelled
}

/// @notice The phase of a round.
enum Phase {
    Proposing,
    Voting,
    Revealing,
    Closed
}

/// @notice How a closed round ended; `None` while it is open.
enum Outcome {
    None,
    Accepted,
    Rejected,
    NoProposal,
    Abandoned
}

/// @notice How the proposers of a round are selected.
enum Selection {
    RoundRobin,
    Random
}

/// @notice What the accepted proposals of a round become: their mean, or the best one.
enum Merge {
    Mean,
    Best
}

/// @notice Who may join.
enum Admission {
    Open,
    Allowlist
}

/// @notice What became of a proposer's slot in a round.
enum SlotState {
    Open,
    Proposed,
    Declined,
    Missed
}

/// @notice What is recorded of one learner in one round.
enum BallotState {
    None,
    Committed,
    Cast
}

/// @notice What an account should do now.
enum Duty {
    Wait,
    Propose,
    Vote,
    Commit,
    Reveal,
    Advance,
    Done
}

/// @notice Why a signed ballot of a batch was not counted.
enum SkipReason {
    BadSignature,
    NotALearner,
    NotEligible,
    AlreadyVoted,
    InvalidBallot
}
