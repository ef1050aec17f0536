//! Proposals: propose, decline, and the end of the phase in which they are made.
//!
//! The cost grows with the slots of the round, at most 16, and not with the number of learners.

use cosmwasm_std::{Event, StdError, StdResult, Storage};

use crate::error::ContractError;
use crate::events;
use crate::hashes::proposals_digest;
use crate::members::{missed_ballots, save_changed, Member};
use crate::round::{Round, Stage};
use crate::rounds::{close, round_at};
use crate::state::{
    current_weights, Proposal, EXPERIMENTS, MEMBERS, PROGRESS, PROPOSALS, ROSTER, ROUNDS,
};
use crate::tally::Tally;
use crate::transaction::Transaction;
use crate::types::ContentRef;
use crate::validation::is_well_formed;

type Events = Result<Vec<Event>, ContractError>;

/// Proposes weights in the caller's slot.
pub(crate) fn propose(
    storage: &mut dyn Storage,
    tx: &Transaction,
    (id, index): (u64, u32),
    content: ContentRef,
    scores: (u64, u64),
) -> Events {
    let mut round = round_at(storage, (id, index), Stage::Proposing, tx.time)?;
    let (slot, member) = open_slot(storage, tx, id, &round)?;
    if !is_well_formed(&content) {
        return Err(ContractError::InvalidParameter("content"));
    }
    let accepted = PROGRESS.load(storage, id)?.accepted;
    let current = current_weights(storage, id, accepted)?;
    if matches!(&current[..], [single] if single.sha256 == content.sha256) {
        return Err(ContractError::Unchanged());
    }

    record_proposal(storage, tx, id, &round, member)?;
    round.slots.propose(slot);
    let event = events::weights_proposed((id, index), &tx.caller, slot, &content, scores);
    let proposal = Proposal {
        content,
        proposed_at: tx.time,
    };
    PROPOSALS.save(storage, (id, index, slot), &proposal)?;
    let ended = end_if_complete(storage, tx, (id, index), round)?;
    Ok([vec![event], ended].concat())
}

/// Declines to propose in the caller's slot.
pub(crate) fn decline(
    storage: &mut dyn Storage,
    tx: &Transaction,
    (id, index): (u64, u32),
) -> Events {
    let mut round = round_at(storage, (id, index), Stage::Proposing, tx.time)?;
    let (slot, _) = open_slot(storage, tx, id, &round)?;
    round.slots.decline(slot);
    let declined = events::proposal_declined(id, index, &tx.caller, slot);
    let ended = end_if_complete(storage, tx, (id, index), round)?;
    Ok([vec![declined], ended].concat())
}

/// Writes the round back, or ends the phase if no slot is open.
pub(crate) fn end_if_complete(
    storage: &mut dyn Storage,
    tx: &Transaction,
    key: (u64, u32),
    round: Round,
) -> Events {
    if round.slots.open == 0 {
        return end_proposing(storage, tx, key, round, false);
    }
    ROUNDS.save(storage, key, &round)?;
    Ok(vec![])
}

/// Ends the phase at its deadline. Each learner with an open slot has missed a proposal.
pub(crate) fn end_at_deadline(
    storage: &mut dyn Storage,
    tx: &Transaction,
    (id, index): (u64, u32),
    mut round: Round,
) -> Events {
    for missing in round.slots.miss_open() {
        let account = ROSTER.load(storage, (id, missing))?.account;
        MEMBERS.update(storage, (id, &account), |member| -> StdResult<Member> {
            let mut member = member.ok_or_else(|| StdError::not_found("member"))?;
            member.missed_proposals += 1;
            Ok(member)
        })?;
    }
    end_proposing(storage, tx, (id, index), round, true)
}

/// Begins the vote on the proposals, or closes the round if there are none.
fn end_proposing(
    storage: &mut dyn Storage,
    tx: &Transaction,
    (id, index): (u64, u32),
    mut round: Round,
    by_deadline: bool,
) -> Events {
    if round.slots.proposed == 0 {
        round.close(Stage::NoProposal, tx.time, by_deadline);
        let tally = Tally::new(&round);
        return close(storage, tx, (id, index), &round, &tally);
    }
    let params = EXPERIMENTS.load(storage, id)?.params;
    let digest = proposals_digest(storage, (id, index), &round.slots)?;
    let deadline = tx.time + u64::from(params.vote_window);
    round.open_vote(digest, params.reveal_window > 0, tx.time, deadline);
    ROUNDS.save(storage, (id, index), &round)?;
    Ok(vec![events::voting_started(id, index, &round)])
}

// ---------------------------------------------------------------------------------- helpers

/// Returns the caller's open slot and its record as a learner.
fn open_slot(
    storage: &dyn Storage,
    tx: &Transaction,
    id: u64,
    round: &Round,
) -> Result<(u8, Member), ContractError> {
    let member = MEMBERS.may_load(storage, (id, &tx.caller))?;
    let found = member.and_then(|member| Some((round.slots.open_slot_of(member.index)?, member)));
    found.ok_or_else(|| ContractError::NotProposer(tx.caller.clone()))
}

/// Sets the proposer's missed proposals to 0. Its missed ballots are counted up to this round, because
/// it may turn out not to be a voter of it (see `members`).
fn record_proposal(
    storage: &mut dyn Storage,
    tx: &Transaction,
    id: u64,
    round: &Round,
    before: Member,
) -> StdResult<()> {
    let mut member = before.clone();
    let missed = missed_ballots(storage, id, round.misses, &member)?;
    member.missed_proposals = 0;
    member.set_missed_ballots(missed, round.misses);
    save_changed(storage, (id, &tx.caller), &before, &member)
}
