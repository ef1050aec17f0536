//! Rounds: beginning, settling, closing and advancing.

use cosmwasm_std::{Addr, Event, StdResult, Storage};

use crate::active::select;
use crate::bytes::Word;
use crate::error::ContractError;
use crate::events;
use crate::proposals::end_at_deadline;
use crate::round::{Round, Stage};
use crate::selection::{first_seed, needed_approvals, next_seed};
use crate::slots::Slots;
use crate::state::{
    existing, Progress, EXPERIMENTS, MISSES, PROGRESS, ROSTER, ROUNDS, SALTS, TALLIES,
};
use crate::tally::Tally;
use crate::transaction::Transaction;
use crate::types::{Merge, Params, Selection, Status};

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
    let (current, round) = running(storage, id)?;
    if current != index {
        return Ok(ContractError::WrongRound(current));
    }
    Ok(ContractError::WrongPhase(round.stage.phase()))
}

/// Loads a running experiment's current round.
fn running(storage: &dyn Storage, id: u64) -> Result<(u32, Round), ContractError> {
    let progress = existing(storage, id)?;
    progress.must_be(&[Status::Running])?;
    let index = progress.round.unwrap_or_default();
    let round = ROUNDS.load(storage, (id, index))?;
    Ok((index, round))
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

/// Begins the next round. The cost grows with its slots only.
fn begin(
    storage: &mut dyn Storage,
    tx: &Transaction,
    id: u64,
    progress: &mut Progress,
    params: &Params,
) -> StdResult<Event> {
    let index = progress.next_round();
    let slots = Slots::new(select(storage, id, progress, params)?);
    let proposers = accounts(storage, id, &slots.proposers)?;
    let eligible = progress.active - 1;
    let round = Round {
        stage: Stage::Proposing,
        slots,
        started_at: tx.time,
        voting_started_at: None,
        reveal_started_at: None,
        time: tx.time + u64::from(params.propose_window),
        eligible,
        needed: needed_approvals(eligible, params.approval_bps),
        digest: Word::default(),
        misses: progress.misses,
        settle_early: params.settle_early,
        best_only: params.merge == Merge::Best,
        mixes_salts: params.selection == Selection::Random,
        by_deadline: false,
    };
    progress.round = Some(index);
    ROUNDS.save(storage, (id, index), &round)?;
    Ok(events::round_started(id, index, &proposers, &round))
}

/// Returns the accounts of learners.
pub(crate) fn accounts(storage: &dyn Storage, id: u64, indexes: &[u32]) -> StdResult<Vec<Addr>> {
    let entries = indexes
        .iter()
        .map(|index| ROSTER.load(storage, (id, *index)));
    entries.map(|entry| Ok(entry?.account)).collect()
}

/// Writes the tally back, and closes the round if its vote is settled.
pub(crate) fn settle(
    storage: &mut dyn Storage,
    tx: &Transaction,
    key: (u64, u32),
    round: Round,
    tally: &Tally,
) -> Events {
    TALLIES.save(storage, key, tally)?;
    if tally.is_settled(&round) {
        return close_vote(storage, tx, key, round, tally);
    }
    Ok(vec![])
}

/// Closes a vote with its outcome.
fn close_vote(
    storage: &mut dyn Storage,
    tx: &Transaction,
    key: (u64, u32),
    mut round: Round,
    tally: &Tally,
) -> Events {
    round.slots.accepted = tally.accepted(&round);
    let stage = match round.slots.accepted {
        0 => Stage::Rejected,
        _ => Stage::Accepted,
    };
    round.close(stage, tx.time, round.is_past_deadline(tx.time));
    close(storage, tx, key, &round, tally)
}

/// Writes a closed round back, and begins the next one or ends the experiment.
pub(crate) fn close(
    storage: &mut dyn Storage,
    tx: &Transaction,
    (id, index): (u64, u32),
    round: &Round,
    tally: &Tally,
) -> Events {
    let mut progress = PROGRESS.load(storage, id)?;
    if round.stage == Stage::Accepted {
        progress.accepted = Some((index, round.slots.accepted));
    }
    if round.by_deadline && round.stage != Stage::NoProposal {
        MISSES.save(storage, (id, progress.misses), &index)?;
        progress.misses += 1;
    }
    ROUNDS.save(storage, (id, index), round)?;
    let closed = events::round_closed(id, index, round, tally);
    let next = go_on(storage, tx, id, &mut progress)?;
    PROGRESS.save(storage, id, &progress)?;
    Ok(vec![closed, next])
}

/// Begins the next round, or ends the experiment.
fn go_on(
    storage: &mut dyn Storage,
    tx: &Transaction,
    id: u64,
    progress: &mut Progress,
) -> StdResult<Event> {
    let params = EXPERIMENTS.load(storage, id)?.params;
    if let Some(status) = end_status(progress, &params) {
        end(progress, status, tx.time);
        return Ok(match status {
            Status::Completed => events::experiment_completed(id),
            _ => events::experiment_cancelled(id),
        });
    }
    if params.selection == Selection::Random {
        let key = (id, progress.round.unwrap_or_default());
        let salts = SALTS.may_load(storage, key)?.unwrap_or_default();
        progress.seed.0 = next_seed(&progress.seed.0, &tx.entropy, &salts.0);
    }
    begin(storage, tx, id, progress, &params)
}

/// Returns the status in which an experiment ends after its current round; `None` if it goes on.
fn end_status(progress: &Progress, params: &Params) -> Option<Status> {
    if progress.next_round() == params.rounds {
        Some(Status::Completed)
    } else if progress.cancel_requested {
        Some(Status::Cancelled)
    } else if params.patience > 0 && progress.fruitless_rounds() >= params.patience {
        Some(Status::Completed)
    } else if progress.active < 2 {
        Some(Status::Cancelled)
    } else {
        None
    }
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
/// Flat: a missed ballot writes nothing to its learner (see `members`).
pub(crate) fn advance(storage: &mut dyn Storage, tx: &Transaction, id: u64) -> Events {
    let (index, round) = running(storage, id)?;
    let key = (id, index);
    if !round.is_past_deadline(tx.time) {
        return Err(ContractError::DeadlineNotPassed(round.time));
    }
    if round.stage == Stage::Proposing {
        return end_at_deadline(storage, tx, key, round);
    }
    let tally = Tally::load(storage, key, &round)?;
    if round.stage == Stage::Committing && !tally.is_decided_unrevealed(&round) {
        return Ok(vec![start_revealing(storage, tx, key, round)?]);
    }
    close_vote(storage, tx, key, round, &tally)
}
