//! Proposals and ballots: open, secret and signed.
//!
//! A ballot reads and writes the round, the learner and its own record, for any number of
//! learners: nothing iterates over a list, and strikes are a count (see `members`).

use cosmwasm_std::{Addr, Api, Binary, Event, StdResult, Storage};

use crate::error::ContractError;
use crate::events;
use crate::members::Member;
use crate::round::{Round, Stage};
use crate::rounds::{close_unproposed, round_at, settle, start_revealing};
use crate::selection::mix;
use crate::signing::{commitment, is_signed, Vote};
use crate::state::{
    current_weights, Proposal, Recorded, BALLOTS, EXPERIMENTS, MEMBERS, PROGRESS, PROPOSALS,
    ROUNDS, SALTS,
};
use crate::transaction::Transaction;
use crate::types::{ContentRef, SkipReason};
use crate::validation::is_well_formed;

type Events = Result<Vec<Event>, ContractError>;

/// A ballot signed off-chain, with its key and signature.
#[derive(Clone, Debug)]
pub(crate) struct Signed {
    pub(crate) learner: Addr,
    pub(crate) vote: Vote,
    pub(crate) public_key: Binary,
    pub(crate) signature: Binary,
}

/// Puts weights to the vote.
pub(crate) fn propose(
    storage: &mut dyn Storage,
    tx: &Transaction,
    (id, index): (u64, u32),
    content: ContentRef,
    scores: (u64, u64),
) -> Events {
    let mut round = round_at(storage, (id, index), Stage::Proposing, tx.time)?;
    let mut member = proposer(storage, tx, id, &round)?;
    if !is_well_formed(&content) {
        return Err(ContractError::InvalidParameter("content"));
    }
    let params = EXPERIMENTS.load(storage, id)?.params;
    let accepted = PROGRESS.load(storage, id)?.accepted;
    let current = current_weights(storage, id, accepted, &params)?;
    if current.is_some_and(|current| current.sha256 == content.sha256) {
        return Err(ContractError::Unchanged());
    }

    clear_strikes(storage, id, &tx.caller, &mut member, &round)?;
    round.open_vote(
        params.reveal_window > 0,
        tx.time + u64::from(params.vote_window),
    );
    ROUNDS.save(storage, (id, index), &round)?;
    let event = events::weights_proposed((id, index), &tx.caller, &content, scores, round.time);
    let proposal = Proposal {
        content,
        proposed_at: tx.time,
    };
    PROPOSALS.save(storage, (id, index), &proposal)?;
    Ok(vec![event])
}

/// Declines to propose: closes the round without a strike.
pub(crate) fn decline(
    storage: &mut dyn Storage,
    tx: &Transaction,
    (id, index): (u64, u32),
) -> Events {
    let round = round_at(storage, (id, index), Stage::Proposing, tx.time)?;
    proposer(storage, tx, id, &round)?;
    let declined = events::proposal_declined(id, index, &tx.caller);
    let progress = PROGRESS.load(storage, id)?;
    let closed = close_unproposed(storage, tx, id, progress, round, false)?;
    Ok([vec![declined], closed].concat())
}

/// Casts an open ballot.
pub(crate) fn vote(storage: &mut dyn Storage, tx: &Transaction, vote: &Vote) -> Events {
    let key = (vote.experiment, vote.round);
    let mut round = round_at(storage, key, Stage::Voting, tx.time)?;
    let voter = voter(storage, key, &round, &tx.caller)?;
    let cast = count(storage, &mut round, &tx.caller, voter.member, vote)?;
    let settled = settle(storage, tx, key, round)?;
    Ok([vec![cast], settled].concat())
}

/// Counts a batch of signed ballots; the round can close only after the last of them.
pub(crate) fn vote_signed(
    storage: &mut dyn Storage,
    api: &dyn Api,
    tx: &Transaction,
    key: (u64, u32),
    ballots: &[Signed],
) -> Events {
    let mut round = round_at(storage, key, Stage::Voting, tx.time)?;
    if ballots.is_empty() {
        return Err(ContractError::InvalidParameter("ballots"));
    }
    let mut happened = vec![];
    for ballot in ballots {
        happened.push(count_signed(storage, api, tx, &mut round, ballot)?);
    }
    happened.extend(settle(storage, tx, key, round)?);
    Ok(happened)
}

fn count_signed(
    storage: &mut dyn Storage,
    api: &dyn Api,
    tx: &Transaction,
    round: &mut Round,
    ballot: &Signed,
) -> Result<Event, ContractError> {
    let Signed { learner, vote, .. } = ballot;
    let skipped = |reason| events::ballot_skipped(vote.experiment, vote.round, learner, reason);
    let proof = (ballot.public_key.as_slice(), ballot.signature.as_slice());
    if !is_signed(api, &tx.domain, learner, vote, proof) {
        return Ok(skipped(SkipReason::BadSignature));
    }
    match voter(storage, (vote.experiment, vote.round), round, learner) {
        Ok(voter) => Ok(count(storage, round, learner, voter.member, vote)?),
        Err(ContractError::NotALearner(_)) => Ok(skipped(SkipReason::NotALearner)),
        Err(ContractError::NotEligible(_)) => Ok(skipped(SkipReason::NotEligible)),
        Err(ContractError::AlreadyVoted(_)) => Ok(skipped(SkipReason::AlreadyVoted)),
        Err(other) => Err(other),
    }
}

/// Commits to a secret ballot. The last voter's commitment begins revealing.
pub(crate) fn commit(
    storage: &mut dyn Storage,
    tx: &Transaction,
    (id, index): (u64, u32),
    commitment: &[u8; 32],
) -> Events {
    let mut round = round_at(storage, (id, index), Stage::Committing, tx.time)?;
    let voter = voter(storage, (id, index), &round, &tx.caller)?;
    if voter.recorded.is_some() {
        return Err(ContractError::AlreadyVoted(tx.caller.clone()));
    }
    if *commitment == [0; 32] {
        return Err(ContractError::InvalidParameter("commitment"));
    }

    let recorded = Recorded::Committed(Binary::from(commitment));
    BALLOTS.save(storage, (id, index, voter.member.index), &recorded)?;
    round.commitments += 1;
    let mut happened = vec![events::vote_committed(id, index, &tx.caller, commitment)];
    if round.is_fully_committed() {
        happened.push(start_revealing(storage, tx, (id, index), round)?);
    } else {
        ROUNDS.save(storage, (id, index), &round)?;
    }
    Ok(happened)
}

/// Reveals a committed ballot.
pub(crate) fn reveal(
    storage: &mut dyn Storage,
    api: &dyn Api,
    tx: &Transaction,
    vote: &Vote,
    salt: &[u8; 32],
) -> Events {
    let key = (vote.experiment, vote.round);
    let mut round = round_at(storage, key, Stage::Revealing, tx.time)?;
    let voter = voter(storage, key, &round, &tx.caller)?;
    let account = api.addr_canonicalize(tx.caller.as_str())?;
    let opened = commitment(&tx.domain.separator(), &account, vote, salt);
    if voter.recorded != Some(Recorded::Committed(Binary::from(opened))) {
        return Err(ContractError::BadReveal(tx.caller.clone()));
    }

    if round.mixes_salts {
        let mut salts = SALTS.may_load(storage, key)?.unwrap_or_default();
        mix(&mut salts, salt);
        SALTS.save(storage, key, &salts)?;
    }
    let cast = count(storage, &mut round, &tx.caller, voter.member, vote)?;
    let settled = settle(storage, tx, key, round)?;
    Ok([vec![cast], settled].concat())
}

// ---------------------------------------------------------------------------------- helpers

/// Loads a learner that has a vote in the round and no counted ballot yet.
struct Voter {
    member: Member,
    recorded: Option<Recorded>,
}

fn voter(
    storage: &dyn Storage,
    (id, index): (u64, u32),
    round: &Round,
    account: &Addr,
) -> Result<Voter, ContractError> {
    let Some(member) = MEMBERS.may_load(storage, (id, account))? else {
        return Err(ContractError::NotALearner(account.clone()));
    };
    if !member.has_vote(index, round.proposer) {
        return Err(ContractError::NotEligible(account.clone()));
    }
    let recorded = BALLOTS.may_load(storage, (id, index, member.index))?;
    if recorded.as_ref().is_some_and(Recorded::is_ballot) {
        return Err(ContractError::AlreadyVoted(account.clone()));
    }
    Ok(Voter { member, recorded })
}

fn proposer(
    storage: &dyn Storage,
    tx: &Transaction,
    id: u64,
    round: &Round,
) -> Result<Member, ContractError> {
    MEMBERS
        .may_load(storage, (id, &tx.caller))?
        .filter(|member| member.index == round.proposer)
        .ok_or_else(|| ContractError::NotProposer(tx.caller.clone()))
}

fn count(
    storage: &mut dyn Storage,
    round: &mut Round,
    account: &Addr,
    mut member: Member,
    vote: &Vote,
) -> StdResult<Event> {
    let key = (vote.experiment, vote.round, member.index);
    BALLOTS.save(storage, key, &Recorded::ballot(vote.approve))?;
    clear_strikes(storage, vote.experiment, account, &mut member, round)?;
    round.count(vote.approve);
    Ok(events::vote_cast(account, vote))
}

fn clear_strikes(
    storage: &mut dyn Storage,
    id: u64,
    account: &Addr,
    member: &mut Member,
    round: &Round,
) -> StdResult<()> {
    if member.clear(round.misses) {
        MEMBERS.save(storage, (id, account), member)?;
    }
    Ok(())
}
