//! Experiments: create, admit, start and cancel.

use cosmwasm_std::{Addr, Api, Binary, Empty, Event, Storage};

use crate::error::ContractError;
use crate::events;
use crate::hashes::experiment_hash;
use crate::round::Stage;
use crate::rounds;
use crate::state::{
    existing, Experiment, Progress, ADMITTED, COUNT, EXPERIMENTS, PROGRESS, ROUNDS,
};
use crate::tally::Tally;
use crate::transaction::Transaction;
use crate::types::{Admission, Params, Status};

type Events = Result<Vec<Event>, ContractError>;

/// The statuses of an experiment that has not ended.
pub(crate) const UNFINISHED: [Status; 2] = [Status::Enrolling, Status::Running];

/// Creates an experiment.
pub(crate) fn create(
    storage: &mut dyn Storage,
    api: &dyn Api,
    tx: &Transaction,
    params: Params,
) -> Events {
    let id = COUNT.may_load(storage)?.unwrap_or_default() + 1;
    COUNT.save(storage, &id)?;
    let created = events::experiment_created(id, &tx.caller, &params)?;
    let creator = api.addr_canonicalize(tx.caller.as_str())?;
    let experiment = Experiment {
        creator: tx.caller.clone(),
        created_at: tx.time,
        hash: Binary::from(experiment_hash(&creator, &params)),
        params,
    };
    EXPERIMENTS.save(storage, id, &experiment)?;
    PROGRESS.save(storage, id, &Progress::new())?;
    Ok(vec![created])
}

/// Puts accounts on the allowlist. The cost grows with the accounts of the message only.
pub(crate) fn admit(
    storage: &mut dyn Storage,
    tx: &Transaction,
    id: u64,
    accounts: &[Addr],
) -> Events {
    existing(storage, id)?.must_be(&UNFINISHED)?;
    let experiment = created_by(storage, tx, id)?;
    if experiment.params.admission == Admission::Open {
        return Err(ContractError::InvalidParameter("admission"));
    }
    let mut admitted = vec![];
    for account in accounts {
        if !ADMITTED.has(storage, (id, account)) {
            ADMITTED.save(storage, (id, account), &Empty {})?;
            admitted.push(events::learner_admitted(id, account));
        }
    }
    Ok(admitted)
}

/// Starts the experiment with the learners that joined.
pub(crate) fn start(storage: &mut dyn Storage, tx: &Transaction, id: u64) -> Events {
    let progress = existing(storage, id)?;
    progress.must_be(&[Status::Enrolling])?;
    let params = created_by(storage, tx, id)?.params;
    if progress.active < params.min_learners {
        return Err(ContractError::InvalidParameter("min_learners"));
    }
    rounds::start(storage, tx, id, progress, &params)
}

/// Cancels the experiment. If its round has proposals, voting ends first, so that nobody can void
/// what the voters decided.
pub(crate) fn cancel(storage: &mut dyn Storage, tx: &Transaction, id: u64) -> Events {
    let mut progress = existing(storage, id)?;
    progress.must_be(&UNFINISHED)?;
    if progress.cancel_requested {
        return Err(ContractError::WrongStatus(progress.status));
    }
    created_by(storage, tx, id)?;
    let mut happened = vec![];
    if let Some(index) = progress.round {
        let mut round = ROUNDS.load(storage, (id, index))?;
        if round.stage != Stage::Proposing {
            progress.cancel_requested = true;
            PROGRESS.save(storage, id, &progress)?;
            return Ok(vec![events::cancel_requested(id)]);
        }
        round.close(Stage::Abandoned, tx.time, false);
        ROUNDS.save(storage, (id, index), &round)?;
        happened.push(events::round_closed(id, index, &round, &Tally::new(&round)));
    }
    rounds::end(&mut progress, Status::Cancelled, tx.time);
    PROGRESS.save(storage, id, &progress)?;
    happened.push(events::experiment_cancelled(id));
    Ok(happened)
}

/// Loads the experiment and checks that the caller created it.
fn created_by(
    storage: &dyn Storage,
    tx: &Transaction,
    id: u64,
) -> Result<Experiment, ContractError> {
    let experiment = EXPERIMENTS.load(storage, id)?;
    if experiment.creator != tx.caller {
        return Err(ContractError::NotCreator(tx.caller.clone()));
    }
    Ok(experiment)
}
