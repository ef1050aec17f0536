//! Ballots: open, secret and signed.
//!
//! A ballot reads the round, and reads and writes the tally, the learner and its own record, for any
//! number of learners: nothing iterates over a list, and missed ballots are a count (see `members`).

use cosmwasm_std::{Addr, Api, Binary, Event, StdResult, Storage};

use crate::bytes::Word;
use crate::error::ContractError;
use crate::events;
use crate::members::{joined, save_changed, Member};
use crate::round::{Round, Stage};
use crate::rounds::{round_at, settle, start_revealing};
use crate::selection::mix;
use crate::signing::{commitment, is_signed, Vote};
use crate::state::{BALLOTS, COMMITMENTS, SALTS, TALLIES};
use crate::tally::Tally;
use crate::transaction::Transaction;
use crate::types::SkipReason;

type Events = Result<Vec<Event>, ContractError>;

/// A ballot signed off-chain, with its key and signature.
#[derive(Clone, Debug)]
pub(crate) struct Signed {
    pub(crate) learner: Addr,
    pub(crate) vote: Vote,
    pub(crate) public_key: Binary,
    pub(crate) signature: Binary,
}

/// A reveal of a committed ballot.
#[derive(Clone, Debug)]
pub(crate) struct Reveal {
    pub(crate) approvals: u16,
    pub(crate) scores: Binary,
    pub(crate) salt: [u8; 32],
}

/// Casts an open ballot.
pub(crate) fn vote(storage: &mut dyn Storage, tx: &Transaction, vote: &Vote) -> Events {
    let key = (vote.experiment, vote.round);
    let round = round_at(storage, key, Stage::Voting, tx.time)?;
    let member = voter(storage, key, &round, &tx.caller)?;
    check_digest(&round, &vote.proposals)?;
    check_ballot(&round, &member, vote)?;
    let mut tally = Tally::load(storage, key, &round)?;
    let cast = count(storage, &round, &mut tally, (&tx.caller, &member), vote)?;
    let settled = settle(storage, tx, key, round, &tally)?;
    Ok([vec![cast], settled].concat())
}

/// Counts a batch of signed ballots; the round can close only after the last of them.
pub(crate) fn vote_signed(
    storage: &mut dyn Storage,
    api: &dyn Api,
    tx: &Transaction,
    key: (u64, u32),
    proposals: &[u8; 32],
    ballots: &[Signed],
) -> Events {
    let round = round_at(storage, key, Stage::Voting, tx.time)?;
    check_digest(&round, proposals)?;
    let fits = |ballot: &Signed| ballot.vote.scores.len() == round.scores_length();
    if ballots.is_empty() || !ballots.iter().all(fits) {
        return Err(ContractError::InvalidParameter("ballots"));
    }
    let mut tally = Tally::load(storage, key, &round)?;
    let mut happened = vec![];
    for ballot in ballots {
        happened.push(count_signed(storage, api, tx, &round, &mut tally, ballot)?);
    }
    happened.extend(settle(storage, tx, key, round, &tally)?);
    Ok(happened)
}

fn count_signed(
    storage: &mut dyn Storage,
    api: &dyn Api,
    tx: &Transaction,
    round: &Round,
    tally: &mut Tally,
    ballot: &Signed,
) -> Result<Event, ContractError> {
    let Signed { learner, vote, .. } = ballot;
    let skipped = |reason| events::ballot_skipped(vote.experiment, vote.round, learner, reason);
    let proof = (ballot.public_key.as_slice(), ballot.signature.as_slice());
    if !is_signed(api, &tx.domain, learner, vote, proof) {
        return Ok(skipped(SkipReason::BadSignature));
    }
    let member = match voter(storage, (vote.experiment, vote.round), round, learner) {
        Ok(member) => member,
        Err(ContractError::NotALearner(_)) => return Ok(skipped(SkipReason::NotALearner)),
        Err(ContractError::NotEligible(_)) => return Ok(skipped(SkipReason::NotEligible)),
        Err(ContractError::AlreadyVoted(_)) => return Ok(skipped(SkipReason::AlreadyVoted)),
        Err(other) => return Err(other),
    };
    if check_ballot(round, &member, vote).is_err() {
        return Ok(skipped(SkipReason::InvalidBallot));
    }
    Ok(count(storage, round, tally, (learner, &member), vote)?)
}

/// Commits to a secret ballot. The last voter's commitment begins revealing.
pub(crate) fn commit(
    storage: &mut dyn Storage,
    tx: &Transaction,
    (id, index): (u64, u32),
    proposals: &[u8; 32],
    commitment: &[u8; 32],
) -> Events {
    let round = round_at(storage, (id, index), Stage::Committing, tx.time)?;
    let member = voter(storage, (id, index), &round, &tx.caller)?;
    let own = (id, index, member.index);
    if COMMITMENTS.has(storage, own) {
        return Err(ContractError::AlreadyVoted(tx.caller.clone()));
    }
    check_digest(&round, proposals)?;
    let word = Word(*commitment);
    if !word.is_set() {
        return Err(ContractError::InvalidParameter("commitment"));
    }

    COMMITMENTS.save(storage, own, &word)?;
    let mut tally = Tally::load(storage, (id, index), &round)?;
    tally.commitments += 1;
    TALLIES.save(storage, (id, index), &tally)?;
    let mut happened = vec![events::vote_committed(id, index, &tx.caller, commitment)];
    if tally.is_fully_committed(&round) {
        happened.push(start_revealing(storage, tx, (id, index), round)?);
    }
    Ok(happened)
}

/// Reveals a committed ballot.
pub(crate) fn reveal(
    storage: &mut dyn Storage,
    api: &dyn Api,
    tx: &Transaction,
    key: (u64, u32),
    revealed: Reveal,
) -> Events {
    let round = round_at(storage, key, Stage::Revealing, tx.time)?;
    let member = voter(storage, key, &round, &tx.caller)?;
    let vote = Vote {
        experiment: key.0,
        round: key.1,
        proposals: round.digest.0,
        approvals: revealed.approvals,
        scores: revealed.scores,
    };
    let account = api.addr_canonicalize(tx.caller.as_str())?;
    let opened = commitment(&tx.domain.separator(), &account, &vote, &revealed.salt);
    if COMMITMENTS.may_load(storage, (key.0, key.1, member.index))? != Some(Word(opened)) {
        return Err(ContractError::BadReveal(tx.caller.clone()));
    }
    check_ballot(&round, &member, &vote)?;

    if round.mixes_salts {
        let mut salts = SALTS.may_load(storage, key)?.unwrap_or_default();
        mix(&mut salts.0, &revealed.salt);
        SALTS.save(storage, key, &salts)?;
    }
    let mut tally = Tally::load(storage, key, &round)?;
    let cast = count(storage, &round, &mut tally, (&tx.caller, &member), &vote)?;
    let settled = settle(storage, tx, key, round, &tally)?;
    Ok([vec![cast], settled].concat())
}

// ---------------------------------------------------------------------------------- helpers

/// Loads a learner that has a vote in the round and no counted ballot yet.
fn voter(
    storage: &dyn Storage,
    (id, index): (u64, u32),
    round: &Round,
    account: &Addr,
) -> Result<Member, ContractError> {
    let member = joined(storage, id, account)?;
    if !round.has_voter(index, &member) {
        return Err(ContractError::NotEligible(account.clone()));
    }
    if BALLOTS.has(storage, (id, index, member.index)) {
        return Err(ContractError::AlreadyVoted(account.clone()));
    }
    Ok(member)
}

/// Checks that a ballot judges the proposals of the round and no others.
fn check_digest(round: &Round, proposals: &[u8; 32]) -> Result<(), ContractError> {
    if round.digest.0 == *proposals {
        return Ok(());
    }
    Err(ContractError::WrongProposals(round.digest.0))
}

/// Checks that a ballot approves only proposals of others and has two scores for each judged file.
fn check_ballot(round: &Round, member: &Member, vote: &Vote) -> Result<(), ContractError> {
    if vote.approvals & !round.slots.approvable_by(member.index) != 0 {
        return Err(ContractError::InvalidParameter("approvals"));
    }
    if vote.scores.len() != round.scores_length() {
        return Err(ContractError::InvalidParameter("scores"));
    }
    Ok(())
}

/// Counts a ballot and sets the voter's missed ballots to 0.
fn count(
    storage: &mut dyn Storage,
    round: &Round,
    tally: &mut Tally,
    (account, before): (&Addr, &Member),
    vote: &Vote,
) -> StdResult<Event> {
    let own = (vote.experiment, vote.round, before.index);
    BALLOTS.save(storage, own, &vote.approvals)?;
    let mut member = before.clone();
    member.set_missed_ballots(0, round.misses);
    save_changed(storage, (vote.experiment, account), before, &member)?;
    tally.count(vote.approvals);
    Ok(events::vote_cast(account, vote))
}
