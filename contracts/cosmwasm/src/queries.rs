//! Read-only queries, answered from state.

use std::cmp::min;
use std::ops::Range;

use cosmwasm_std::{Addr, Binary, Storage};

use crate::error::ContractError;
use crate::members::joined;
use crate::msg::{
    AgendaResponse, BallotResponse, BallotsResponse, CurrentWeightsResponse, DomainResponse,
    DutyResponse, ExperimentResponse, ExperimentsResponse, LearnerResponse, LearnersResponse,
    RoundResponse, RoundsResponse,
};
use crate::round::Round;
use crate::signing::Domain;
use crate::state::{current_weights, existing, Progress, COUNT, MEMBERS, ROSTER, ROUNDS};
use crate::views::{ballot_row, duty, experiment_row, learner_row, round_row};

type Answer<T> = Result<T, ContractError>;

/// The most rows that a list returns.
const MAX_PAGE: u32 = 100;
/// Stands for the current round of an experiment that has not started.
const NOT_STARTED: u32 = u32::MAX;

/// The `start` and `limit` of a list query.
pub(crate) type Page = (Option<u64>, Option<u32>);

pub(crate) fn query_experiment(storage: &dyn Storage, id: u64) -> Answer<ExperimentResponse> {
    let progress = existing(storage, id)?;
    experiment_row(storage, id, progress)
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
    let contents = current_weights(storage, id, progress.accepted)?;
    Ok(CurrentWeightsResponse { contents })
}

pub(crate) fn query_duty(
    storage: &dyn Storage,
    id: u64,
    account: &Addr,
    now: u64,
) -> Answer<DutyResponse> {
    let progress = existing(storage, id)?;
    let member = MEMBERS.may_load(storage, (id, account))?;
    let duty = duty(storage, id, &progress, member.as_ref(), now)?;
    Ok(DutyResponse { duty })
}

pub(crate) fn query_agenda(
    storage: &dyn Storage,
    id: u64,
    account: &Addr,
    now: u64,
) -> Answer<AgendaResponse> {
    let progress = existing(storage, id)?;
    let member = MEMBERS.may_load(storage, (id, account))?;
    let round = progress.round.map(|index| round_row(storage, id, index));
    let learner = member
        .as_ref()
        .map(|member| learner_row(storage, id, &progress, member.index));
    Ok(AgendaResponse {
        duty: duty(storage, id, &progress, member.as_ref(), now)?,
        round: round.transpose()?,
        learner: learner.transpose()?,
        experiment: experiment_row(storage, id, progress)?,
    })
}

pub(crate) fn query_domain(domain: Domain) -> DomainResponse {
    DomainResponse {
        separator: Binary::from(domain.separator()),
        chain_id: domain.chain_id,
        contract: domain.contract,
    }
}

// ---------------------------------------------------------------------------------- bounds

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
