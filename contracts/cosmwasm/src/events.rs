//! The events of the protocol. The chain prefixes their names with `wasm-`.

use cosmwasm_std::{to_json_string, Addr, Event, StdResult};

use crate::bytes::hex;
use crate::round::Round;
use crate::signing::Vote;
use crate::tally::Tally;
use crate::types::{ContentRef, Params, SkipReason};

fn of(name: &str, id: u64) -> Event {
    Event::new(name).add_attribute("experiment", id.to_string())
}

fn of_round(name: &str, id: u64, round: u32) -> Event {
    of(name, id).add_attribute("round", round.to_string())
}

fn of_learner(name: &str, id: u64, learner: &Addr) -> Event {
    of(name, id).add_attribute("learner", learner)
}

/// Returns the items, separated by commas.
fn list<T: ToString>(items: &[T]) -> String {
    let texts = items.iter().map(T::to_string);
    texts.collect::<Vec<_>>().join(",")
}

fn with_content(event: Event, content: &ContentRef) -> Event {
    event
        .add_attribute("codec", content.codec.to_string())
        .add_attribute("digest", hex(&content.digest))
        .add_attribute("sha256", hex(&content.sha256))
        .add_attribute("size", content.size)
}

pub(crate) fn experiment_created(id: u64, creator: &Addr, params: &Params) -> StdResult<Event> {
    Ok(of("experiment_created", id)
        .add_attribute("creator", creator)
        .add_attribute("params", to_json_string(params)?))
}

pub(crate) fn learner_admitted(id: u64, learner: &Addr) -> Event {
    of_learner("learner_admitted", id, learner)
}

pub(crate) fn learner_joined(id: u64, learner: &Addr, index: u32, key: &[u8; 32]) -> Event {
    of_learner("learner_joined", id, learner)
        .add_attribute("index", index.to_string())
        .add_attribute("encryption_key", hex(key))
}

pub(crate) fn learner_left(id: u64, learner: &Addr) -> Event {
    of_learner("learner_left", id, learner)
}

pub(crate) fn learner_removed(id: u64, learner: &Addr) -> Event {
    of_learner("learner_removed", id, learner)
}

pub(crate) fn experiment_started(id: u64) -> Event {
    of("experiment_started", id)
}

pub(crate) fn experiment_completed(id: u64) -> Event {
    of("experiment_completed", id)
}

pub(crate) fn experiment_cancelled(id: u64) -> Event {
    of("experiment_cancelled", id)
}

pub(crate) fn cancel_requested(id: u64) -> Event {
    of("cancel_requested", id)
}

/// The topic is JSON text, because chains remove white space at the ends of an attribute.
pub(crate) fn announced(
    id: u64,
    learner: &Addr,
    topic: &str,
    content: &ContentRef,
) -> StdResult<Event> {
    let event = of_learner("announced", id, learner).add_attribute("topic", to_json_string(topic)?);
    Ok(with_content(event, content))
}

pub(crate) fn round_started(id: u64, index: u32, proposers: &[Addr], round: &Round) -> Event {
    of_round("round_started", id, index)
        .add_attribute("proposers", list(proposers))
        .add_attribute("eligible", round.eligible.to_string())
        .add_attribute("needed", round.needed.to_string())
        .add_attribute("deadline", round.time.to_string())
}

pub(crate) fn weights_proposed(
    (id, index): (u64, u32),
    proposer: &Addr,
    slot: u8,
    content: &ContentRef,
    (vote_score, test_score): (u64, u64),
) -> Event {
    let event = of_round("weights_proposed", id, index)
        .add_attribute("proposer", proposer)
        .add_attribute("slot", slot.to_string());
    with_content(event, content)
        .add_attribute("vote_score", vote_score.to_string())
        .add_attribute("test_score", test_score.to_string())
}

pub(crate) fn proposal_declined(id: u64, index: u32, proposer: &Addr, slot: u8) -> Event {
    of_round("proposal_declined", id, index)
        .add_attribute("proposer", proposer)
        .add_attribute("slot", slot.to_string())
}

pub(crate) fn voting_started(id: u64, index: u32, round: &Round) -> Event {
    of_round("voting_started", id, index)
        .add_attribute("proposals", hex(&round.digest.0))
        .add_attribute("deadline", round.time.to_string())
}

pub(crate) fn vote_committed(id: u64, index: u32, learner: &Addr, commitment: &[u8; 32]) -> Event {
    of_round("vote_committed", id, index)
        .add_attribute("learner", learner)
        .add_attribute("commitment", hex(commitment))
}

pub(crate) fn reveal_started(id: u64, index: u32, deadline: u64) -> Event {
    of_round("reveal_started", id, index).add_attribute("deadline", deadline.to_string())
}

pub(crate) fn vote_cast(learner: &Addr, vote: &Vote) -> Event {
    of_round("vote_cast", vote.experiment, vote.round)
        .add_attribute("learner", learner)
        .add_attribute("approvals", vote.approvals.to_string())
        .add_attribute("scores", hex(&vote.scores))
}

pub(crate) fn ballot_skipped(id: u64, index: u32, learner: &Addr, reason: SkipReason) -> Event {
    of_round("ballot_skipped", id, index)
        .add_attribute("learner", learner)
        .add_attribute("reason", reason.name())
}

pub(crate) fn round_closed(id: u64, index: u32, round: &Round, tally: &Tally) -> Event {
    of_round("round_closed", id, index)
        .add_attribute("outcome", round.stage.outcome().name())
        .add_attribute("accepted", round.slots.accepted.to_string())
        .add_attribute("approvals", list(&tally.approvals))
        .add_attribute("eligible", round.eligible.to_string())
}
