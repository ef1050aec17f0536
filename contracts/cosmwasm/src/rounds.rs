//! Rounds: beginning, settling, closing and advancing.

use cosmwasm_std::{Event, StdResult, Storage};

use crate::error::ContractError;
use crate::events;
use crate::members::Member;
use crate::round::{Round, Stage};
use crate::selection::{first_seed, needed_approvals, next_position, next_seed, random_position};
use crate::state::{
    existing, Experiment, Progress, ACTIVE, EXPERIMENTS, MEMBERS, MISSES, PROGRESS, ROSTER, ROUNDS,
    SALTS,
};
use crate::transaction::Transaction;
use crate::types::{Params, Selection, Status};

type Events = Result<Vec<Event>, ContractError>;

/// Loads a round whose stage is the wanted one and whose deadline has not passed.
///
/// A round at an open stage is the current round of a running experiment, so the common case reads
/// one key only.
pub(crate) fn round_at(
    storage: &dyn Storage,
    (id, index): (u64, u32),
    wanted: Stage,
    now: u64,
) -> Result<Round, ContractError> {
    match ROUNDS.may_load(storage, (id, index))? {
        Some(round) if round.stage != wanted => Err(refusal(storage, id, index)?),
        None => Err(refusal(storage, id, index)?),
        Some(round) if round.is_past_deadline(now) => {
            Err(ContractError::DeadlinePassed(round.time))
        }
        Some(round) => Ok(round),
    }
}

/// Returns the error for a round that is not at the wanted stage.
fn refusal(storage: &dyn Storage, id: u64, index: u32) -> Result<ContractError, ContractError> {
    let (current, round) = running(storage, id).map(|(_, index, round)| (index, round))?;
    if current != index {
        return Ok(ContractError::WrongRound(current));
    }
    Ok(ContractError::WrongPhase(round.stage.phase()))
}

/// Loads a running experiment and its current round.
pub(crate) fn running(
    storage: &dyn Storage,
    id: u64,
) -> Result<(Progress, u32, Round), ContractError> {
    let progress = existing(storage, id)?;
    progress.must_be(&[Status::Running])?;
    let index = progress.round.unwrap_or_default();
    let round = ROUNDS.load(storage, (id, index))?;
    Ok((progress, index, round))
}

/// Begins round 0.
pub(crate) fn start(
    storage: &mut dyn Storage,
    tx: &Transaction,
    id: u64,
    progress: Progress,
    params: &Params,
) -> Events {
    let mut progress = progress;
    progress.status = Status::Running;
    progress.started_at = Some(tx.time);
    if params.selection == Selection::Random {
        progress.seed.0 = first_seed(&tx.domain.separator(), id, &tx.entropy);
    }
    let begun = begin(storage, tx, id, &mut progress, params)?;
    PROGRESS.save(storage, id, &progress)?;
    Ok(vec![events::experiment_started(id), begun])
}

/// Flat: selection reads one entry of the active list, whatever its length.
fn begin(
    storage: &mut dyn Storage,
    tx: &Transaction,
    id: u64,
    progress: &mut Progress,
    params: &Params,
) -> StdResult<Event> {
    let random = params.selection == Selection::Random;
    let position = if random {
        random_position(&progress.seed.0, progress.active)
    } else {
        next_position(progress.round.map(|_| progress.position), progress.active)
    };
    let eligible = progress.active - 1;
    let round = Round {
        stage: Stage::Proposing,
        proposer: ACTIVE.load(storage, (id, position))?,
        started_at: tx.time,
        time: tx.time + u64::from(params.propose_window),
        eligible,
        needed: needed_approvals(eligible, params.approval_bps),
        approvals: 0,
        rejections: 0,
        commitments: 0,
        reveal_started_at: None,
        misses: progress.misses,
        settle_early: params.settle_early,
        mixes_salts: random,
        by_deadline: false,
    };
    let index = progress.next_round();
    progress.round = Some(index);
    progress.position = position;
    ROUNDS.save(storage, (id, index), &round)?;
    let proposer = ROSTER.load(storage, (id, round.proposer))?.account;
    Ok(events::round_started(id, index, &proposer, &round))
}

/// Writes the round back, or closes it if its vote is settled.
pub(crate) fn settle(
    storage: &mut dyn Storage,
    tx: &Transaction,
    (id, index): (u64, u32),
    round: Round,
) -> Events {
    if round.is_settled() {
        let progress = PROGRESS.load(storage, id)?;
        return close_vote(storage, tx, id, progress, round, false);
    }
    ROUNDS.save(storage, (id, index), &round)?;
    Ok(vec![])
}

/// Closes a vote with its outcome.
pub(crate) fn close_vote(
    storage: &mut dyn Storage,
    tx: &Transaction,
    id: u64,
    mut progress: Progress,
    mut round: Round,
    by_deadline: bool,
) -> Events {
    let stage = if round.is_accepted() {
        progress.accepted = progress.round;
        Stage::Accepted
    } else {
        Stage::Rejected
    };
    if by_deadline {
        let index = progress.round.unwrap_or_default();
        MISSES.save(storage, (id, progress.misses), &index)?;
        progress.misses += 1;
    }
    round.close(stage, tx.time, by_deadline);
    close(storage, tx, id, progress, round)
}

/// Closes a round without a proposal. If the deadline passed, the proposer gets a strike.
pub(crate) fn close_unproposed(
    storage: &mut dyn Storage,
    tx: &Transaction,
    id: u64,
    progress: Progress,
    mut round: Round,
    by_deadline: bool,
) -> Events {
    if by_deadline {
        let proposer = ROSTER.load(storage, (id, round.proposer))?.account;
        MEMBERS.update(storage, (id, &proposer), |member| -> StdResult<Member> {
            let mut member = member.ok_or_else(|| cosmwasm_std::StdError::not_found("member"))?;
            member.missed += 1;
            Ok(member)
        })?;
    }
    round.close(Stage::NoProposal, tx.time, by_deadline);
    close(storage, tx, id, progress, round)
}

fn close(
    storage: &mut dyn Storage,
    tx: &Transaction,
    id: u64,
    mut progress: Progress,
    round: Round,
) -> Events {
    let index = progress.round.unwrap_or_default();
    ROUNDS.save(storage, (id, index), &round)?;
    let closed = events::round_closed(id, index, &round);
    let next = go_on(storage, tx, id, &mut progress, index)?;
    PROGRESS.save(storage, id, &progress)?;
    Ok(vec![closed, next])
}

/// Begins the next round, or ends the experiment.
fn go_on(
    storage: &mut dyn Storage,
    tx: &Transaction,
    id: u64,
    progress: &mut Progress,
    index: u32,
) -> StdResult<Event> {
    let Experiment { params, .. } = EXPERIMENTS.load(storage, id)?;
    if index + 1 == params.rounds {
        end(progress, Status::Completed, tx.time);
        return Ok(events::experiment_completed(id));
    }
    if params.selection == Selection::Random {
        let salts = SALTS.may_load(storage, (id, index))?.unwrap_or_default();
        progress.seed.0 = next_seed(&progress.seed.0, &tx.entropy, &salts);
    }
    if progress.active < 2 {
        end(progress, Status::Cancelled, tx.time);
        return Ok(events::experiment_cancelled(id));
    }
    begin(storage, tx, id, progress, &params)
}

/// Ends the experiment with a status.
pub(crate) fn end(progress: &mut Progress, status: Status, now: u64) {
    progress.status = status;
    progress.ended_at = Some(now);
}

/// Ends committing and begins revealing.
pub(crate) fn start_revealing(
    storage: &mut dyn Storage,
    tx: &Transaction,
    (id, index): (u64, u32),
    mut round: Round,
) -> StdResult<Event> {
    let window = EXPERIMENTS.load(storage, id)?.params.reveal_window;
    round.open_reveal(tx.time, tx.time + u64::from(window));
    ROUNDS.save(storage, (id, index), &round)?;
    Ok(events::reveal_started(id, index, round.time))
}

/// Ends a phase whose deadline has passed. Anyone may call it.
///
/// Flat: writes no learner's strikes (see `members`).
pub(crate) fn advance(storage: &mut dyn Storage, tx: &Transaction, id: u64) -> Events {
    let (progress, index, round) = running(storage, id)?;
    if !round.is_past_deadline(tx.time) {
        return Err(ContractError::DeadlineNotPassed(round.time));
    }
    match round.stage {
        Stage::Proposing => close_unproposed(storage, tx, id, progress, round, true),
        Stage::Committing if !round.is_decided_unrevealed() => {
            Ok(vec![start_revealing(storage, tx, (id, index), round)?])
        }
        _ => close_vote(storage, tx, id, progress, round, true),
    }
}
