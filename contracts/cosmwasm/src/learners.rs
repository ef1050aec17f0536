//! Learners: join, leave, remove and announce. Every call costs the same for any number of learners.

use cosmwasm_std::{Addr, Binary, Event, StdResult, Storage};

use crate::active::{append, take_out};
use crate::error::ContractError;
use crate::events;
use crate::experiments::UNFINISHED;
use crate::members::{active, missed_ballots, strikes, Member};
use crate::proposals::end_if_complete;
use crate::round::Stage;
use crate::rounds;
use crate::state::{
    existing, Entry, Experiment, Progress, ADMITTED, EXPERIMENTS, MEMBERS, PROGRESS, ROSTER, ROUNDS,
};
use crate::transaction::Transaction;
use crate::types::{Admission, ContentRef, Status};
use crate::validation::{is_readable, is_well_formed};

type Events = Result<Vec<Event>, ContractError>;

/// The longest topic of an announcement, in bytes.
const MAX_TOPIC: usize = 32;

/// Makes the caller a learner. Taking the last place starts the experiment.
pub(crate) fn join(
    storage: &mut dyn Storage,
    tx: &Transaction,
    id: u64,
    hash: &[u8; 32],
    encryption_key: &[u8; 32],
) -> Events {
    let mut progress = existing(storage, id)?;
    progress.must_be(&UNFINISHED)?;
    let experiment = EXPERIMENTS.load(storage, id)?;
    check_may_join(storage, tx, id, &progress, &experiment, hash)?;
    let params = experiment.params;

    let index = add(storage, tx, id, &mut progress, encryption_key)?;
    let joined = events::learner_joined(id, &tx.caller, index, encryption_key);
    if progress.status == Status::Enrolling && progress.active == params.max_learners {
        let started = rounds::start(storage, tx, id, progress, &params)?;
        return Ok([vec![joined], started].concat());
    }
    PROGRESS.save(storage, id, &progress)?;
    Ok(vec![joined])
}

fn check_may_join(
    storage: &dyn Storage,
    tx: &Transaction,
    id: u64,
    progress: &Progress,
    experiment: &Experiment,
    hash: &[u8; 32],
) -> Result<(), ContractError> {
    let params = &experiment.params;
    if progress.status == Status::Running && !params.late_join {
        return Err(ContractError::WrongStatus(progress.status));
    }
    if experiment.hash.as_slice() != hash {
        return Err(ContractError::WrongExperiment(experiment.hash.to_array()?));
    }
    if MEMBERS.has(storage, (id, &tx.caller)) {
        return Err(ContractError::AlreadyJoined(tx.caller.clone()));
    }
    let listed = params.admission == Admission::Allowlist;
    if listed && !ADMITTED.has(storage, (id, &tx.caller)) {
        return Err(ContractError::NotAdmitted(tx.caller.clone()));
    }
    if progress.active == params.max_learners {
        return Err(ContractError::ExperimentFull(params.max_learners));
    }
    Ok(())
}

fn add(
    storage: &mut dyn Storage,
    tx: &Transaction,
    id: u64,
    progress: &mut Progress,
    encryption_key: &[u8; 32],
) -> StdResult<u32> {
    let index = progress.joined;
    let position = append(storage, id, progress, index)?;
    let member = Member::new(index, position, progress.next_round(), progress.misses);
    let entry = Entry {
        account: tx.caller.clone(),
        encryption_key: Binary::from(encryption_key),
    };
    MEMBERS.save(storage, (id, &tx.caller), &member)?;
    ROSTER.save(storage, (id, index), &entry)?;
    progress.joined += 1;
    Ok(index)
}

/// Replaces the caller's encryption key.
pub(crate) fn set_encryption_key(
    storage: &mut dyn Storage,
    tx: &Transaction,
    id: u64,
    encryption_key: &[u8; 32],
) -> Events {
    existing(storage, id)?.must_be(&UNFINISHED)?;
    let member = active(storage, id, &tx.caller)?;
    let entry = Entry {
        account: tx.caller.clone(),
        encryption_key: Binary::from(encryption_key),
    };
    ROSTER.save(storage, (id, member.index), &entry)?;
    Ok(vec![])
}

/// Points the other learners at a file that decides nothing. Only an event records it.
pub(crate) fn announce(
    storage: &dyn Storage,
    tx: &Transaction,
    id: u64,
    topic: &str,
    content: &ContentRef,
) -> Events {
    existing(storage, id)?;
    active(storage, id, &tx.caller)?;
    if !is_readable(topic, MAX_TOPIC) {
        return Err(ContractError::InvalidParameter("topic"));
    }
    if !is_well_formed(content) {
        return Err(ContractError::InvalidParameter("content"));
    }
    Ok(vec![events::announced(id, &tx.caller, topic, content)?])
}

/// Removes the caller from the experiment; its proposals and ballots stay.
pub(crate) fn leave(storage: &mut dyn Storage, tx: &Transaction, id: u64) -> Events {
    let progress = existing(storage, id)?;
    progress.must_be(&UNFINISHED)?;
    let member = active(storage, id, &tx.caller)?;
    let left = events::learner_left(id, &tx.caller);
    let after = end_membership(storage, tx, id, progress, &tx.caller, member)?;
    Ok([vec![left], after].concat())
}

/// Removes a learner whose strikes reached the limit. Anyone may call it.
pub(crate) fn remove(
    storage: &mut dyn Storage,
    tx: &Transaction,
    id: u64,
    learner: &Addr,
) -> Events {
    let progress = existing(storage, id)?;
    progress.must_be(&[Status::Running])?;
    let member = active(storage, id, learner)?;
    let limit = EXPERIMENTS.load(storage, id)?.params.max_strikes;
    let missed = strikes(storage, id, progress.misses, &member)?;
    if limit == 0 || missed < limit {
        return Err(ContractError::NotRemovable(missed));
    }
    let removed = events::learner_removed(id, learner);
    let after = end_membership(storage, tx, id, progress, learner, member)?;
    Ok([vec![removed], after].concat())
}

/// Removes a learner from the active list. Its missed duties are kept, and its open slot is declined.
fn end_membership(
    storage: &mut dyn Storage,
    tx: &Transaction,
    id: u64,
    mut progress: Progress,
    account: &Addr,
    mut member: Member,
) -> Events {
    take_out(storage, id, &mut progress, member.position)?;
    let missed = missed_ballots(storage, id, progress.misses, &member)?;
    member.set_missed_ballots(missed, progress.misses);
    member.until_round = Some(progress.next_round());
    MEMBERS.save(storage, (id, account), &member)?;
    PROGRESS.save(storage, id, &progress)?;
    let Some(index) = progress.round else {
        return Ok(vec![]);
    };
    let mut round = ROUNDS.load(storage, (id, index))?;
    match round.slots.open_slot_of(member.index) {
        Some(slot) if round.stage == Stage::Proposing => {
            round.slots.decline(slot);
            end_if_complete(storage, tx, (id, index), round)
        }
        _ => Ok(vec![]),
    }
}
