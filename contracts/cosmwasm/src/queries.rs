//! Read-only queries, answered from state.

use std::cmp::min;
use std::ops::Range;

use cosmwasm_std::{Addr, Binary, Storage, Uint64};

use crate::error::ContractError;
use crate::members::{strikes, Member};
use crate::msg::{
    BallotResponse, BallotsResponse, CurrentWeightsResponse, DomainResponse, DutyResponse,
    ExperimentResponse, ExperimentsResponse, LearnerResponse, LearnersResponse, RoundResponse,
    RoundsResponse,
};
use crate::round::{Round, Stage};
use crate::signing::Domain;
use crate::state::{
    current_weights, existing, Progress, Recorded, BALLOTS, COUNT, EXPERIMENTS, MEMBERS, PROPOSALS,
    ROSTER, ROUNDS,
};
use crate::types::{BallotState, Duty, Phase, Status};

type Answer<T> = Result<T, ContractError>;

/// The most rows that a list returns.
const MAX_PAGE: u32 = 100;
/// Stands for the current round of an experiment that has not started.
const NOT_STARTED: u32 = u32::MAX;

/// The `start` and `limit` of a list query.
pub(crate) type Page = (Option<u64>, Option<u32>);

pub(crate) fn query_experiment(storage: &dyn Storage, id: u64) -> Answer<ExperimentResponse> {
    let progress = existing(storage, id)?;
    let experiment = EXPERIMENTS.load(storage, id)?;
    let current = current_weights(storage, id, progress.accepted, &experiment.params)?;
    Ok(ExperimentResponse {
        id: id.into(),
        creator: experiment.creator,
        params: experiment.params,
        status: progress.status,
        created_at: experiment.created_at,
        started_at: progress.started_at,
        ended_at: progress.ended_at,
        round: progress.round,
        active_learners: progress.active,
        joined_learners: progress.joined,
        current,
        current_round: progress.accepted,
        seed: Binary::from(progress.seed.0),
    })
}

pub(crate) fn query_experiments(storage: &dyn Storage, page: Page) -> Answer<ExperimentsResponse> {
    let count = COUNT.may_load(storage)?.unwrap_or_default();
    let experiments = rows(page, count)
        .map(|place| query_experiment(storage, place + 1))
        .collect::<Answer<_>>()?;
    Ok(ExperimentsResponse { experiments })
}

pub(crate) fn query_learner(
    storage: &dyn Storage,
    id: u64,
    account: &Addr,
) -> Answer<LearnerResponse> {
    let progress = existing(storage, id)?;
    let member = joined(storage, id, account)?;
    learner_row(storage, id, &progress, member.index)
}

pub(crate) fn query_learners(
    storage: &dyn Storage,
    id: u64,
    page: Page,
) -> Answer<LearnersResponse> {
    let progress = existing(storage, id)?;
    let learners = indexes(page, progress.joined)
        .map(|index| learner_row(storage, id, &progress, index))
        .collect::<Answer<_>>()?;
    Ok(LearnersResponse { learners })
}

pub(crate) fn query_round(storage: &dyn Storage, id: u64, index: u32) -> Answer<RoundResponse> {
    begun(storage, id, index)?;
    round_row(storage, id, index)
}

pub(crate) fn query_rounds(storage: &dyn Storage, id: u64, page: Page) -> Answer<RoundsResponse> {
    let progress = existing(storage, id)?;
    let rounds = indexes(page, progress.next_round())
        .map(|index| round_row(storage, id, index))
        .collect::<Answer<_>>()?;
    Ok(RoundsResponse { rounds })
}

pub(crate) fn query_ballot(
    storage: &dyn Storage,
    id: u64,
    index: u32,
    account: &Addr,
) -> Answer<BallotResponse> {
    let (_, round) = begun(storage, id, index)?;
    let member = joined(storage, id, account)?;
    ballot_row(storage, (id, index), &round, account.clone(), &member)
}

pub(crate) fn query_ballots(
    storage: &dyn Storage,
    id: u64,
    index: u32,
    page: Page,
) -> Answer<BallotsResponse> {
    let (progress, round) = begun(storage, id, index)?;
    let ballots = indexes(page, progress.joined)
        .map(|learner| {
            let account = ROSTER.load(storage, (id, learner))?.account;
            let member = MEMBERS.load(storage, (id, &account))?;
            ballot_row(storage, (id, index), &round, account, &member)
        })
        .collect::<Answer<_>>()?;
    Ok(BallotsResponse { ballots })
}

pub(crate) fn query_current_weights(
    storage: &dyn Storage,
    id: u64,
) -> Answer<CurrentWeightsResponse> {
    let progress = existing(storage, id)?;
    let params = EXPERIMENTS.load(storage, id)?.params;
    let content = current_weights(storage, id, progress.accepted, &params)?;
    Ok(CurrentWeightsResponse { content })
}

pub(crate) fn query_duty(
    storage: &dyn Storage,
    id: u64,
    account: &Addr,
    now: u64,
) -> Answer<DutyResponse> {
    let duty = duty(storage, id, account, now)?;
    Ok(DutyResponse { duty })
}

pub(crate) fn query_domain(domain: Domain) -> DomainResponse {
    DomainResponse {
        separator: Binary::from(domain.separator()),
        chain_id: domain.chain_id,
        contract: domain.contract,
    }
}

// ---------------------------------------------------------------------------------- duty

fn duty(storage: &dyn Storage, id: u64, account: &Addr, now: u64) -> Answer<Duty> {
    let progress = existing(storage, id)?;
    let member = MEMBERS.may_load(storage, (id, account))?;
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
    if round.stage == Stage::Proposing {
        let proposes = round.proposer == member.index;
        return Ok(if proposes { Duty::Propose } else { Duty::Wait });
    }
    if !member.has_vote(index, round.proposer) {
        return Ok(Duty::Wait);
    }
    let recorded = ballot_state(storage, (id, index), &member)?;
    Ok(match (round.stage, recorded) {
        (Stage::Voting, BallotState::None) => Duty::Vote,
        (Stage::Committing, BallotState::None) => Duty::Commit,
        (Stage::Revealing, BallotState::Committed) => Duty::Reveal,
        _ => Duty::Wait,
    })
}

// ---------------------------------------------------------------------------------- rows

fn learner_row(
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
        strikes: strikes(storage, id, progress.misses, &member)?,
        encryption_key: entry.encryption_key,
    })
}

fn round_row(storage: &dyn Storage, id: u64, index: u32) -> Answer<RoundResponse> {
    let round = ROUNDS.load(storage, (id, index))?;
    let proposal = PROPOSALS.may_load(storage, (id, index))?;
    let (content, proposed_at) = proposal.map(|p| (p.content, p.proposed_at)).unzip();
    let phase = round.stage.phase();
    let closed = phase == Phase::Closed;
    Ok(RoundResponse {
        experiment: id.into(),
        index,
        phase,
        outcome: round.stage.outcome(),
        proposer: ROSTER.load(storage, (id, round.proposer))?.account,
        eligible: round.eligible,
        needed: round.needed,
        approvals: round.approvals,
        rejections: round.rejections,
        commitments: round.commitments,
        content,
        started_at: round.started_at,
        proposed_at,
        reveal_started_at: round.reveal_started_at,
        closed_at: closed.then_some(round.time),
        deadline: (!closed).then_some(round.time),
        by_deadline: round.by_deadline,
    })
}

fn ballot_row(
    storage: &dyn Storage,
    (id, index): (u64, u32),
    round: &Round,
    learner: Addr,
    member: &Member,
) -> Answer<BallotResponse> {
    Ok(BallotResponse {
        experiment: Uint64::new(id),
        round: index,
        learner,
        eligible: member.has_vote(index, round.proposer),
        state: ballot_state(storage, (id, index), member)?,
    })
}

fn ballot_state(
    storage: &dyn Storage,
    (id, index): (u64, u32),
    member: &Member,
) -> Answer<BallotState> {
    let recorded = BALLOTS.may_load(storage, (id, index, member.index))?;
    Ok(match recorded {
        None => BallotState::None,
        Some(Recorded::Committed(_)) => BallotState::Committed,
        Some(Recorded::Approved) => BallotState::Approved,
        Some(Recorded::Rejected) => BallotState::Rejected,
    })
}

// ---------------------------------------------------------------------------------- bounds

fn joined(storage: &dyn Storage, id: u64, account: &Addr) -> Answer<Member> {
    let member = MEMBERS.may_load(storage, (id, account))?;
    member.ok_or_else(|| ContractError::NotALearner(account.clone()))
}

fn begun(storage: &dyn Storage, id: u64, index: u32) -> Answer<(Progress, Round)> {
    let progress = existing(storage, id)?;
    let current = progress.round.unwrap_or(NOT_STARTED);
    if index >= progress.next_round() {
        return Err(ContractError::WrongRound(current));
    }
    let round = ROUNDS.load(storage, (id, index))?;
    Ok((progress, round))
}

fn rows((start, limit): Page, total: u64) -> Range<u64> {
    let first = min(start.unwrap_or_default(), total);
    let most = limit.unwrap_or(MAX_PAGE).min(MAX_PAGE);
    first..min(first + u64::from(most), total)
}

fn indexes(page: Page, total: u32) -> Range<u32> {
    let rows = rows(page, total.into());
    rows.start as u32..rows.end as u32
}
