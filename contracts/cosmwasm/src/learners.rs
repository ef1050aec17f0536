//! Learners: join, leave and remove. Every call costs the same for any number of learners.

use cosmwasm_std::{Addr, Binary, Event, StdResult, Storage};

use crate::error::ContractError;
use crate::events;
use crate::experiments::UNFINISHED;
use crate::members::{strikes, Member};
use crate::round::Stage;
use crate::rounds;
use crate::state::{
    existing, Entry, Progress, ACTIVE, ADMITTED, EXPERIMENTS, MEMBERS, PROGRESS, ROSTER, ROUNDS,
};
use crate::transaction::Transaction;
use crate::types::{Admission, Params, Status};

type Events = Result<Vec<Event>, ContractError>;

/// Makes the caller a learner. Taking the last place starts the experiment.
pub(crate) fn join(
    storage: &mut dyn Storage,
    tx: &Transaction,
    id: u64,
    encryption_key: &[u8; 32],
) -> Events {
    let mut progress = existing(storage, id)?;
    progress.must_be(&UNFINISHED)?;
    let params = EXPERIMENTS.load(storage, id)?.params;
    check_may_join(storage, tx, id, &progress, &params)?;

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
    params: &Params,
) -> Result<(), ContractError> {
    if progress.status == Status::Running && !params.late_join {
        return Err(ContractError::WrongStatus(progress.status));
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
    let (index, position) = (progress.joined, progress.active);
    let member = Member {
        index,
        position,
        from_round: progress.next_round(),
        until_round: None,
        base: progress.misses,
        missed: 0,
    };
    let entry = Entry {
        account: tx.caller.clone(),
        encryption_key: Binary::from(encryption_key),
    };
    MEMBERS.save(storage, (id, &tx.caller), &member)?;
    ROSTER.save(storage, (id, index), &entry)?;
    ACTIVE.save(storage, (id, position), &index)?;
    progress.joined += 1;
    progress.active += 1;
    Ok(index)
}

/// Removes the caller from the experiment; its proposals and ballots stay.
pub(crate) fn leave(storage: &mut dyn Storage, tx: &Transaction, id: u64) -> Events {
    let progress = existing(storage, id)?;
    progress.must_be(&UNFINISHED)?;
    let member = active_member(storage, id, &tx.caller)?;
    let left = events::learner_left(id, &tx.caller);
    let after = take_out(storage, tx, id, progress, &tx.caller, member)?;
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
    let member = active_member(storage, id, learner)?;
    let limit = EXPERIMENTS.load(storage, id)?.params.max_strikes;
    let missed = strikes(storage, id, progress.misses, &member)?;
    if limit == 0 || missed < limit {
        return Err(ContractError::NotRemovable(missed));
    }
    let removed = events::learner_removed(id, learner);
    let after = take_out(storage, tx, id, progress, learner, member)?;
    Ok([vec![removed], after].concat())
}

fn active_member(storage: &dyn Storage, id: u64, account: &Addr) -> Result<Member, ContractError> {
    MEMBERS
        .may_load(storage, (id, account))?
        .filter(Member::is_active)
        .ok_or_else(|| ContractError::NotALearner(account.clone()))
}

/// Removes a learner from the active list; the last member takes its place. Its strikes are kept.
fn take_out(
    storage: &mut dyn Storage,
    tx: &Transaction,
    id: u64,
    mut progress: Progress,
    account: &Addr,
    mut member: Member,
) -> Events {
    progress.active -= 1;
    free_position(storage, id, member.position, progress.active)?;
    member.missed = strikes(storage, id, progress.misses, &member)?;
    member.until_round = Some(progress.next_round());
    MEMBERS.save(storage, (id, account), &member)?;
    if let Some(index) = progress.round {
        let round = ROUNDS.load(storage, (id, index))?;
        if round.stage == Stage::Proposing && round.proposer == member.index {
            return rounds::close_unproposed(storage, tx, id, progress, round, false);
        }
    }
    PROGRESS.save(storage, id, &progress)?;
    Ok(vec![])
}

fn free_position(storage: &mut dyn Storage, id: u64, freed: u32, last: u32) -> StdResult<()> {
    if freed != last {
        let moved = ACTIVE.load(storage, (id, last))?;
        let account = ROSTER.load(storage, (id, moved))?.account;
        let mut member = MEMBERS.load(storage, (id, &account))?;
        member.position = freed;
        MEMBERS.save(storage, (id, &account), &member)?;
        ACTIVE.save(storage, (id, freed), &moved)?;
    }
    ACTIVE.remove(storage, (id, last));
    Ok(())
}
