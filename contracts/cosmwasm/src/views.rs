//! The rows that queries answer with, and the duty of an account.

use cosmwasm_std::{Addr, Binary, Storage, Uint64};

use crate::error::ContractError;
use crate::members::{missed_ballots, Member};
use crate::msg::{
    BallotResponse, ExperimentResponse, LearnerResponse, RoundResponse, SlotResponse,
};
use crate::round::{Round, Stage};
use crate::slots::bit;
use crate::state::{
    current_weights, Progress, BALLOTS, COMMITMENTS, EXPERIMENTS, MEMBERS, PROPOSALS, ROSTER,
    ROUNDS,
};
use crate::tally::Tally;
use crate::types::{BallotState, Duty, Phase, Status};

type Answer<T> = Result<T, ContractError>;

pub(crate) fn experiment_row(
    storage: &dyn Storage,
    id: u64,
    progress: Progress,
) -> Answer<ExperimentResponse> {
    let experiment = EXPERIMENTS.load(storage, id)?;
    Ok(ExperimentResponse {
        id: id.into(),
        creator: experiment.creator,
        params: experiment.params,
        hash: experiment.hash,
        status: progress.status,
        cancel_requested: progress.cancel_requested,
        created_at: experiment.created_at,
        started_at: progress.started_at,
        ended_at: progress.ended_at,
        round: progress.round,
        active_learners: progress.active,
        joined_learners: progress.joined,
        current: current_weights(storage, id, progress.accepted)?,
        current_round: progress.accepted.map(|(round, _)| round),
        seed: Binary::from(progress.seed.0),
    })
}

pub(crate) fn learner_row(
    storage: &dyn Storage,
    id: u64,
    progress: &Progress,
    index: u32,
) -> Answer<LearnerResponse> {
    let entry = ROSTER.load(storage, (id, index))?;
    let member = MEMBERS.load(storage, (id, &entry.account))?;
    Ok(LearnerResponse {
        experiment: id.into(),
        account: entry.account,
        index,
        active: member.is_active(),
        from_round: member.from_round,
        until_round: member.until_round,
        missed_proposals: member.missed_proposals,
        missed_ballots: missed_ballots(storage, id, progress.misses, &member)?,
        encryption_key: entry.encryption_key,
    })
}

pub(crate) fn round_row(storage: &dyn Storage, id: u64, index: u32) -> Answer<RoundResponse> {
    let round = ROUNDS.load(storage, (id, index))?;
    let tally = Tally::load(storage, (id, index), &round)?;
    let phase = round.stage.phase();
    let closed = phase == Phase::Closed;
    Ok(RoundResponse {
        experiment: id.into(),
        index,
        phase,
        outcome: round.stage.outcome(),
        slots: slot_rows(storage, (id, index), &round, &tally)?,
        eligible: round.eligible,
        needed: round.needed,
        ballots: tally.ballots,
        commitments: tally.commitments,
        proposals: round.digest.is_set().then(|| round.digest.0.into()),
        started_at: round.started_at,
        voting_started_at: round.voting_started_at,
        reveal_started_at: round.reveal_started_at,
        closed_at: closed.then_some(round.time),
        deadline: (!closed).then_some(round.time),
        by_deadline: round.by_deadline,
    })
}

fn slot_rows(
    storage: &dyn Storage,
    (id, index): (u64, u32),
    round: &Round,
    tally: &Tally,
) -> Answer<Vec<SlotResponse>> {
    let slots = (0..).zip(round.slots.proposers.iter().zip(&tally.approvals));
    slots
        .map(|(slot, (proposer, approvals))| {
            let proposal = PROPOSALS.may_load(storage, (id, index, slot))?;
            let (content, proposed_at) = proposal.map(|p| (p.content, p.proposed_at)).unzip();
            Ok(SlotResponse {
                proposer: ROSTER.load(storage, (id, *proposer))?.account,
                state: round.slots.state(slot),
                content,
                proposed_at,
                approvals: *approvals,
                accepted: round.slots.accepted & bit(slot) != 0,
            })
        })
        .collect()
}

pub(crate) fn ballot_row(
    storage: &dyn Storage,
    (id, index): (u64, u32),
    round: &Round,
    learner: Addr,
    member: &Member,
) -> Answer<BallotResponse> {
    let cast = BALLOTS.may_load(storage, (id, index, member.index))?;
    let state = match cast {
        Some(_) => BallotState::Cast,
        None if COMMITMENTS.has(storage, (id, index, member.index)) => BallotState::Committed,
        None => BallotState::None,
    };
    Ok(BallotResponse {
        experiment: Uint64::new(id),
        round: index,
        learner,
        eligible: round.has_voter(index, member),
        state,
        approvals: cast.unwrap_or_default(),
    })
}

/// Returns what an account should do now; `member` is its record as a learner.
pub(crate) fn duty(
    storage: &dyn Storage,
    id: u64,
    progress: &Progress,
    member: Option<&Member>,
    now: u64,
) -> Answer<Duty> {
    let (index, member) = match (progress.status, progress.round, member) {
        (Status::Completed | Status::Cancelled, ..) => return Ok(Duty::Done),
        (Status::Running, Some(index), Some(member)) => (index, member),
        _ => return Ok(Duty::Wait),
    };
    if !member.is_active() {
        return Ok(Duty::Done);
    }
    let round = ROUNDS.load(storage, (id, index))?;
    if round.is_past_deadline(now) {
        return Ok(Duty::Advance);
    }
    let own = (id, index, member.index);
    let committed = || COMMITMENTS.has(storage, own);
    let voted = || BALLOTS.has(storage, own);
    let votes = round.has_voter(index, member);
    Ok(match round.stage {
        Stage::Proposing if round.slots.open_slot_of(member.index).is_some() => Duty::Propose,
        Stage::Voting if votes && !voted() => Duty::Vote,
        Stage::Committing if votes && !committed() => Duty::Commit,
        Stage::Revealing if committed() && !voted() => Duty::Reveal,
        _ => Duty::Wait,
    })
}
