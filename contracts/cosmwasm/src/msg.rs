//! Messages and responses: the wire format of the contract. `MESSAGES.md` has an example of each.

use cosmwasm_schema::{cw_serde, QueryResponses};
use cosmwasm_std::{Addr, Binary, Uint64};

use crate::types::{BallotState, ContentRef, Duty, Outcome, Params, Phase, SlotState, Status};

/// Takes no options: one instance serves any number of experiments and has no owner.
#[cw_serde]
#[serde(deny_unknown_fields)]
pub struct InstantiateMsg {}

/// The calls of the protocol. Scores are IEEE-754 binary64 bits. No call takes funds.
#[cw_serde]
#[serde(deny_unknown_fields)]
pub enum ExecuteMsg {
    /// Creates an experiment; its id is in `experiment_created`.
    Create { params: Params },
    /// Puts accounts on the allowlist. Only the creator may call it.
    Admit {
        experiment: Uint64,
        accounts: Vec<String>,
    },
    /// Makes the sender a learner. Taking the last place starts the experiment.
    Join {
        experiment: Uint64,
        /// The experiment's hash, 32 bytes; any other is refused.
        hash: Binary,
        /// A 32-byte X25519 public key, or 32 zero bytes.
        encryption_key: Binary,
    },
    /// Replaces the sender's encryption key.
    SetEncryptionKey {
        experiment: Uint64,
        /// A 32-byte X25519 public key, or 32 zero bytes.
        encryption_key: Binary,
    },
    /// Removes the sender from the experiment; its proposals and ballots stay.
    Leave { experiment: Uint64 },
    /// Removes a learner whose strikes reached the limit. Anyone may call it.
    Remove { experiment: Uint64, learner: String },
    /// Starts the experiment. Only the creator may call it, once enough learners have joined.
    Start { experiment: Uint64 },
    /// Cancels the experiment, or, from the vote on, requests that it is cancelled once the round has
    /// closed. Only the creator may call it.
    Cancel { experiment: Uint64 },
    /// Proposes weights. Only a proposer of the round with an open slot may call it.
    Propose {
        experiment: Uint64,
        round: u32,
        content: ContentRef,
        vote_score: Uint64,
        test_score: Uint64,
    },
    /// Declines to propose. Only a proposer of the round with an open slot may call it.
    Decline { experiment: Uint64, round: u32 },
    /// Casts an open ballot.
    Vote {
        experiment: Uint64,
        round: u32,
        /// The digest of the proposals that the ballot judges, 32 bytes; any other is refused.
        proposals: Binary,
        /// A bitmap of the slots that the ballot approves.
        approvals: u16,
        /// Two scores for the current weights and each proposal, in slot order, 8 bytes each.
        scores: Binary,
    },
    /// Commits to a secret ballot.
    Commit {
        experiment: Uint64,
        round: u32,
        /// The digest of the proposals that the ballot judges, 32 bytes; any other is refused.
        proposals: Binary,
        /// The 32-byte commitment of docs/protocol.md.
        commitment: Binary,
    },
    /// Reveals a committed ballot.
    Reveal {
        experiment: Uint64,
        round: u32,
        approvals: u16,
        scores: Binary,
        /// 32 bytes.
        salt: Binary,
    },
    /// Counts ballots that learners signed (ADR-036); a bad one is skipped and reported.
    VoteSigned {
        experiment: Uint64,
        round: u32,
        /// The digest of the proposals that all of the ballots judge, 32 bytes; any other is refused.
        proposals: Binary,
        ballots: Vec<SignedBallot>,
    },
    /// Ends a phase whose deadline has passed. Anyone may call it.
    Advance { experiment: Uint64 },
    /// Points the other learners at a file that decides nothing; only an event records it.
    Announce {
        experiment: Uint64,
        /// 1 to 32 bytes without control characters.
        topic: String,
        content: ContentRef,
    },
}

/// A ballot signed off-chain.
#[cw_serde]
#[serde(deny_unknown_fields)]
pub struct SignedBallot {
    pub learner: String,
    pub approvals: u16,
    pub scores: Binary,
    /// The secp256k1 public key, compressed, 33 bytes; the learner's address follows from it.
    pub public_key: Binary,
    /// The signature: r and s, 64 bytes, with s in the lower half of the order.
    pub signature: Binary,
}

/// Read-only queries. Every past round stays answerable from state alone.
/// Lists begin at `start` (default 0) and have at most `limit` rows, and never more than 100.
#[cw_serde]
#[serde(deny_unknown_fields)]
#[derive(QueryResponses)]
pub enum QueryMsg {
    #[returns(ExperimentResponse)]
    Experiment { experiment: Uint64 },
    /// Returns experiments in order of id; 0 is the first.
    #[returns(ExperimentsResponse)]
    Experiments {
        start: Option<u64>,
        limit: Option<u32>,
    },
    #[returns(LearnerResponse)]
    Learner { experiment: Uint64, account: String },
    /// Returns learners in order of index, including those that left.
    #[returns(LearnersResponse)]
    Learners {
        experiment: Uint64,
        start: Option<u64>,
        limit: Option<u32>,
    },
    #[returns(RoundResponse)]
    Round { experiment: Uint64, round: u32 },
    #[returns(RoundsResponse)]
    Rounds {
        experiment: Uint64,
        start: Option<u64>,
        limit: Option<u32>,
    },
    #[returns(BallotResponse)]
    Ballot {
        experiment: Uint64,
        round: u32,
        account: String,
    },
    /// Returns a row for each learner in order of index.
    #[returns(BallotsResponse)]
    Ballots {
        experiment: Uint64,
        round: u32,
        start: Option<u64>,
        limit: Option<u32>,
    },
    /// Returns the current weights.
    #[returns(CurrentWeightsResponse)]
    CurrentWeights { experiment: Uint64 },
    /// Returns what an account should do now.
    #[returns(DutyResponse)]
    Duty { experiment: Uint64, account: String },
    /// Returns all that an account needs to know for its next step.
    #[returns(AgendaResponse)]
    Agenda { experiment: Uint64, account: String },
    /// Returns the signing domain of commitments, seeds and signed ballots.
    #[returns(DomainResponse)]
    Domain {},
}

/// The present state of an experiment. Times are seconds since the epoch.
#[cw_serde]
pub struct ExperimentResponse {
    pub id: Uint64,
    pub creator: Addr,
    pub params: Params,
    /// The hash over creator and parameters, 32 bytes.
    pub hash: Binary,
    pub status: Status,
    /// Whether the experiment is cancelled once the current round has closed.
    pub cancel_requested: bool,
    pub created_at: u64,
    pub started_at: Option<u64>,
    pub ended_at: Option<u64>,
    /// The current round, or the last one once the experiment has ended; null before the start.
    pub round: Option<u32>,
    pub active_learners: u32,
    pub joined_learners: u32,
    /// The current weights: several files stand for their mean.
    pub current: Vec<ContentRef>,
    /// The round that accepted the current weights; null for the initial ones.
    pub current_round: Option<u32>,
    /// The 32-byte seed; zero unless proposers are selected at random and the experiment has started.
    pub seed: Binary,
}

#[cw_serde]
pub struct ExperimentsResponse {
    pub experiments: Vec<ExperimentResponse>,
}

/// A learner. It belongs to the electorates of the rounds `from_round <= round < until_round`.
#[cw_serde]
pub struct LearnerResponse {
    pub experiment: Uint64,
    pub account: Addr,
    pub index: u32,
    pub active: bool,
    pub from_round: u32,
    pub until_round: Option<u32>,
    pub missed_proposals: u32,
    pub missed_ballots: u32,
    pub encryption_key: Binary,
}

#[cw_serde]
pub struct LearnersResponse {
    pub learners: Vec<LearnerResponse>,
}

/// The place of a proposer in a round.
#[cw_serde]
pub struct SlotResponse {
    pub proposer: Addr,
    pub state: SlotState,
    pub content: Option<ContentRef>,
    pub proposed_at: Option<u64>,
    pub approvals: u32,
    pub accepted: bool,
}

/// The present state of a round. Times are seconds since the epoch.
#[cw_serde]
pub struct RoundResponse {
    pub experiment: Uint64,
    pub index: u32,
    pub phase: Phase,
    pub outcome: Outcome,
    pub slots: Vec<SlotResponse>,
    pub eligible: u32,
    pub needed: u32,
    /// How many are counted so far.
    pub ballots: u32,
    pub commitments: u32,
    /// The digest of the proposals, 32 bytes; null before the vote.
    pub proposals: Option<Binary>,
    pub started_at: u64,
    pub voting_started_at: Option<u64>,
    pub reveal_started_at: Option<u64>,
    pub closed_at: Option<u64>,
    /// The deadline of the open phase; null once the round is closed.
    pub deadline: Option<u64>,
    pub by_deadline: bool,
}

#[cw_serde]
pub struct RoundsResponse {
    pub rounds: Vec<RoundResponse>,
}

/// What is recorded of one learner in one round.
#[cw_serde]
pub struct BallotResponse {
    pub experiment: Uint64,
    pub round: u32,
    pub learner: Addr,
    pub eligible: bool,
    pub state: BallotState,
    /// A bitmap of the approved slots; 0 unless the ballot is cast.
    pub approvals: u16,
}

#[cw_serde]
pub struct BallotsResponse {
    pub ballots: Vec<BallotResponse>,
}

#[cw_serde]
pub struct CurrentWeightsResponse {
    /// Empty while there are none; several files stand for their mean.
    pub contents: Vec<ContentRef>,
}

#[cw_serde]
pub struct DutyResponse {
    pub duty: Duty,
}

/// All that an account needs to know for its next step.
#[cw_serde]
pub struct AgendaResponse {
    pub experiment: ExperimentResponse,
    /// The current round; null before the start.
    pub round: Option<RoundResponse>,
    /// Null if the account never joined.
    pub learner: Option<LearnerResponse>,
    pub duty: Duty,
}

#[cw_serde]
pub struct DomainResponse {
    /// 32 bytes.
    pub separator: Binary,
    pub chain_id: String,
    pub contract: Addr,
}
