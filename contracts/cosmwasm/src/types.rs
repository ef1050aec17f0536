//! The values of the protocol, spelled on the wire as on every other ledger.

use std::fmt;

use cosmwasm_schema::cw_serde;
use cosmwasm_std::{Binary, Uint64};

/// The most learners an experiment can have.
pub const MAX_LEARNERS: u32 = 10_000;
/// The most learners that propose in a round.
pub const MAX_PROPOSERS: u32 = 16;
/// All of the eligible votes, in 1/10,000.
pub const ALL_BPS: u32 = 10_000;
/// The codec of a CID whose digest is the file's own sha256.
pub const CODEC_RAW: u32 = 0x55;
/// The codec of a CID of a tree of blocks.
pub const CODEC_DAG_PB: u32 = 0x70;

/// Implements `Display` for an enum of names, with the same text as its JSON.
macro_rules! named {
    ($type:ident { $($variant:ident => $name:literal),+ $(,)? }) => {
        impl $type {
            /// Returns the name on the wire.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.name())
            }
        }
    };
}

/// The status of an experiment.
#[cw_serde]
#[derive(Copy, Eq)]
pub enum Status {
    Enrolling,
    Running,
    Completed,
    Cancelled,
}

named!(Status {
    Enrolling => "enrolling",
    Running => "running",
    Completed => "completed",
    Cancelled => "cancelled",
});

/// The phase of a round.
#[cw_serde]
#[derive(Copy, Eq)]
pub enum Phase {
    Proposing,
    Voting,
    Revealing,
    Closed,
}

named!(Phase {
    Proposing => "proposing",
    Voting => "voting",
    Revealing => "revealing",
    Closed => "closed",
});

/// How a closed round ended; `None` while it is open.
#[cw_serde]
#[derive(Copy, Eq)]
pub enum Outcome {
    None,
    Accepted,
    Rejected,
    NoProposal,
    Abandoned,
}

named!(Outcome {
    None => "none",
    Accepted => "accepted",
    Rejected => "rejected",
    NoProposal => "no_proposal",
    Abandoned => "abandoned",
});

/// How the proposers of a round are selected.
#[cw_serde]
#[derive(Copy, Eq)]
pub enum Selection {
    RoundRobin,
    Random,
}

/// What the accepted proposals of a round become.
#[cw_serde]
#[derive(Copy, Eq)]
pub enum Merge {
    Mean,
    Best,
}

/// Who may join.
#[cw_serde]
#[derive(Copy, Eq)]
pub enum Admission {
    Open,
    Allowlist,
}

/// What became of a proposer's slot.
#[cw_serde]
#[derive(Copy, Eq)]
pub enum SlotState {
    Open,
    Proposed,
    Declined,
    Missed,
}

/// What is recorded of one learner in one round.
#[cw_serde]
#[derive(Copy, Eq)]
pub enum BallotState {
    None,
    Committed,
    Cast,
}

/// What an account should do now.
#[cw_serde]
#[derive(Copy, Eq)]
pub enum Duty {
    Wait,
    Propose,
    Vote,
    Commit,
    Reveal,
    Advance,
    Done,
}

/// Why a signed ballot of a batch was not counted.
#[cw_serde]
#[derive(Copy, Eq)]
pub enum SkipReason {
    BadSignature,
    NotALearner,
    NotEligible,
    AlreadyVoted,
    InvalidBallot,
}

named!(SkipReason {
    BadSignature => "bad_signature",
    NotALearner => "not_a_learner",
    NotEligible => "not_eligible",
    AlreadyVoted => "already_voted",
    InvalidBallot => "invalid_ballot",
});

/// A content reference: a CIDv1 with sha2-256, and the file's own hash and size.
#[cw_serde]
#[serde(deny_unknown_fields)]
#[derive(Eq)]
pub struct ContentRef {
    /// The CID's codec: 85 (raw) or 112 (dag-pb).
    pub codec: u32,
    /// The CID's digest, 32 bytes.
    pub digest: Binary,
    /// The sha256 of the file's bytes, 32 bytes.
    pub sha256: Binary,
    /// The file's size in bytes.
    pub size: Uint64,
}

/// The parameters of an experiment, immutable from creation. Windows are in seconds of block time.
#[cw_serde]
#[serde(deny_unknown_fields)]
#[derive(Eq)]
pub struct Params {
    /// Shown to people, 1 to 64 bytes without control characters.
    pub name: String,
    /// The JSON document that describes model, schema and score.
    pub spec: ContentRef,
    /// The starting weights; absent or null for none. Required for the mean of several proposals.
    pub initial: Option<ContentRef>,
    pub rounds: u32,
    pub min_learners: u32,
    pub max_learners: u32,
    /// The share of eligible votes that accepts a proposal, in 1/10,000.
    pub approval_bps: u32,
    pub propose_window: u32,
    pub vote_window: u32,
    /// 0 means open ballots.
    pub reveal_window: u32,
    pub selection: Selection,
    /// How many learners propose in each round, 1 to 16.
    pub proposers: u32,
    pub merge: Merge,
    pub admission: Admission,
    pub late_join: bool,
    pub settle_early: bool,
    /// Missed duties after which a learner may be removed; 0 means never.
    pub max_strikes: u32,
    /// Consecutive rounds without an accepted proposal after which the experiment completes; 0 means
    /// never.
    pub patience: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_what_json_has() {
        fn check<T: serde::Serialize + fmt::Display>(values: &[T]) {
            for value in values {
                let json = cosmwasm_std::to_json_string(value).unwrap();
                assert_eq!(json, format!("\"{value}\""));
            }
        }
        use {Outcome as O, Phase as P, SkipReason as R, Status as S};
        check(&[S::Enrolling, S::Running, S::Completed, S::Cancelled]);
        check(&[P::Proposing, P::Voting, P::Revealing, P::Closed]);
        check(&[
            O::None,
            O::Accepted,
            O::Rejected,
            O::NoProposal,
            O::Abandoned,
        ]);
        check(&[
            R::BadSignature,
            R::NotALearner,
            R::NotEligible,
            R::AlreadyVoted,
            R::InvalidBallot,
        ]);
    }
}
