//! The state of one learner: its electorates and its missed duties.
//!
//! A missed vote writes nothing to the learners that missed it: the experiment counts the votes
//! closed by their deadline (its misses), and each learner keeps that count as of its last ballot or
//! proposal. Of the misses since, only the first can be a round in which it was not absent.

use std::cmp::max;

use cosmwasm_std::{Addr, StdResult, Storage};

use crate::error::ContractError;
use crate::state::{row, BALLOTS, MEMBERS, MISSES, ROUNDS};

row! {
    /// A learner.
    Member {
        /// The index in order of joining, from 0.
        index: u32,
        /// The position in the active list, while active.
        position: u32,
        from_round: u32,
        until_round: Option<u32>,
        missed_proposals: u32,
        /// The ballots missed up to `base`.
        missed_ballots: u32,
        /// The experiment's misses at its last ballot or proposal.
        base: u32,
    }
}

impl Member {
    /// Returns a learner that has missed nothing.
    pub(crate) fn new(index: u32, position: u32, from_round: u32, misses: u32) -> Self {
        Self {
            index,
            position,
            from_round,
            until_round: None,
            missed_proposals: 0,
            missed_ballots: 0,
            base: misses,
        }
    }

    /// Returns whether it has neither left nor been removed.
    pub(crate) fn is_active(&self) -> bool {
        self.until_round.is_none()
    }

    /// Returns whether it belongs to a round's electorate.
    pub(crate) fn is_in_electorate(&self, round: u32) -> bool {
        self.from_round <= round && self.until_round.is_none_or(|until| round < until)
    }

    /// Sets its missed ballots, as of the experiment's count of misses.
    pub(crate) fn set_missed_ballots(&mut self, missed: u32, misses: u32) {
        (self.missed_ballots, self.base) = (missed, misses);
    }
}

/// Loads a learner, or fails with `NotALearner` if the account never joined.
pub(crate) fn joined(
    storage: &dyn Storage,
    id: u64,
    account: &Addr,
) -> Result<Member, ContractError> {
    MEMBERS
        .may_load(storage, (id, account))?
        .ok_or_else(|| ContractError::NotALearner(account.clone()))
}

/// Loads a learner, or fails with `NotALearner` if the account never joined or has left.
pub(crate) fn active(
    storage: &dyn Storage,
    id: u64,
    account: &Addr,
) -> Result<Member, ContractError> {
    let member = joined(storage, id, account)?;
    if member.is_active() {
        return Ok(member);
    }
    Err(ContractError::NotALearner(account.clone()))
}

/// Saves a learner if it changed.
pub(crate) fn save_changed(
    storage: &mut dyn Storage,
    (id, account): (u64, &Addr),
    before: &Member,
    after: &Member,
) -> StdResult<()> {
    if before != after {
        MEMBERS.save(storage, (id, account), after)?;
    }
    Ok(())
}

/// Returns how many ballots in a row a learner missed, given the experiment's count of misses.
pub(crate) fn missed_ballots(
    storage: &dyn Storage,
    id: u64,
    misses: u32,
    member: &Member,
) -> StdResult<u32> {
    if !member.is_active() || misses == member.base {
        return Ok(member.missed_ballots);
    }
    let since = misses - member.base;
    let first = MISSES.load(storage, (id, member.base))?;
    let absent = was_absent(storage, id, first, member)?;
    Ok(member.missed_ballots + since - u32::from(!absent))
}

/// Returns a learner's strikes.
pub(crate) fn strikes(
    storage: &dyn Storage,
    id: u64,
    misses: u32,
    member: &Member,
) -> StdResult<u32> {
    let ballots = missed_ballots(storage, id, misses, member)?;
    Ok(max(member.missed_proposals, ballots))
}

fn was_absent(storage: &dyn Storage, id: u64, round: u32, member: &Member) -> StdResult<bool> {
    let voter = ROUNDS.load(storage, (id, round))?.has_voter(round, member);
    Ok(voter && !BALLOTS.has(storage, (id, round, member.index)))
}

#[cfg(test)]
mod tests {
    use cosmwasm_std::testing::MockStorage;

    use super::*;
    use crate::round::tests::round;

    fn member(from_round: u32, until_round: Option<u32>) -> Member {
        Member {
            until_round,
            ..Member::new(3, 1, from_round, 0)
        }
    }

    #[test]
    fn electorates_begin_with_one_round_and_end_before_another() {
        let stays = member(2, None);
        assert!(!stays.is_in_electorate(1));
        assert!(stays.is_in_electorate(2) && stays.is_in_electorate(u32::MAX));
        let left = member(2, Some(4));
        assert!(left.is_in_electorate(3) && !left.is_in_electorate(4));
        let never = member(1, Some(1));
        assert!((0..5).all(|round| !never.is_in_electorate(round)));
    }

    #[test]
    fn of_the_misses_since_a_ballot_only_the_first_may_be_its_own_round() {
        let mut storage = MockStorage::new();
        MISSES.save(&mut storage, (1, 0), &5).unwrap();
        ROUNDS.save(&mut storage, (1, 5), &round(1, 4, 2)).unwrap();
        let mut voter = member(0, None);
        let missed = |storage: &MockStorage, member: &Member, misses| {
            missed_ballots(storage, 1, misses, member).unwrap()
        };
        assert_eq!(missed(&storage, &voter, 0), 0);
        assert_eq!(missed(&storage, &voter, 3), 3);
        assert_eq!(missed(&storage, &member(6, None), 3), 2);
        BALLOTS.save(&mut storage, (1, 5, 3), &0).unwrap();
        assert_eq!(missed(&storage, &voter, 3), 2);
        voter.index = 0; // the only proposer
        assert_eq!(missed(&storage, &voter, 3), 2);
        voter.missed_ballots = 4;
        assert_eq!(missed(&storage, &voter, 3), 6);
        voter.until_round = Some(6);
        assert_eq!(missed(&storage, &voter, 3), 4, "unchanged after leaving");
    }

    #[test]
    fn strikes_are_the_larger_of_both_counts() {
        let storage = MockStorage::new();
        let mut learner = member(0, None);
        for (proposals, ballots, most) in [(2, 1, 2), (1, 3, 3), (0, 0, 0)] {
            (learner.missed_proposals, learner.missed_ballots) = (proposals, ballots);
            assert_eq!(strikes(&storage, 1, 0, &learner).unwrap(), most);
        }
    }

    #[test]
    fn a_learner_is_stored_as_a_short_row() {
        let stored = cosmwasm_std::to_json_string(&member(1, Some(2))).unwrap();
        assert_eq!(stored, "[3,1,1,2,0,0,0]");
        let back: Member = cosmwasm_std::from_json(stored).unwrap();
        assert_eq!(back, member(1, Some(2)));
    }
}
