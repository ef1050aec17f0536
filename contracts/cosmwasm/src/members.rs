//! The state of one learner: its electorates and its strikes.
//!
//! A missed vote writes nothing to the learners that missed it: the experiment counts the votes
//! closed by their deadline (its misses), and each learner keeps that count as of its last ballot or
//! proposal. Of the misses since, only the first can be a round in which it was not absent.

use cosmwasm_std::{StdResult, Storage};

use crate::state::{row, BALLOTS, MISSES, ROUNDS};

row! {
    /// A learner.
    Member {
        /// The index in order of joining, from 0.
        index: u32,
        /// The position in the active list, while active.
        position: u32,
        from_round: u32,
        until_round: Option<u32>,
        /// The experiment's misses at its last ballot or proposal.
        base: u32,
        /// The proposals missed since; once it left, all its strikes.
        missed: u32,
    }
}

impl Member {
    /// Returns whether it has neither left nor been removed.
    pub(crate) fn is_active(&self) -> bool {
        self.until_round.is_none()
    }

    /// Returns whether it belongs to a round's electorate.
    pub(crate) fn is_in_electorate(&self, round: u32) -> bool {
        self.from_round <= round && self.until_round.is_none_or(|until| round < until)
    }

    /// Returns whether it has a vote in a round with this proposer.
    pub(crate) fn has_vote(&self, round: u32, proposer: u32) -> bool {
        self.is_in_electorate(round) && self.index != proposer
    }

    /// Sets its strikes to 0; returns whether that changed anything.
    pub(crate) fn clear(&mut self, misses: u32) -> bool {
        let changes = (self.base, self.missed) != (misses, 0);
        (self.base, self.missed) = (misses, 0);
        changes
    }
}

/// Returns how many duties a learner missed in a row.
pub(crate) fn strikes(
    storage: &dyn Storage,
    id: u64,
    misses: u32,
    member: &Member,
) -> StdResult<u32> {
    if !member.is_active() || misses == member.base {
        return Ok(member.missed);
    }
    let since = misses - member.base;
    let first = MISSES.load(storage, (id, member.base))?;
    let absent = was_absent(storage, id, first, member)?;
    Ok(member.missed + since - u32::from(!absent))
}

fn was_absent(storage: &dyn Storage, id: u64, round: u32, member: &Member) -> StdResult<bool> {
    let proposer = ROUNDS.load(storage, (id, round))?.proposer;
    if !member.has_vote(round, proposer) {
        return Ok(false);
    }
    let recorded = BALLOTS.may_load(storage, (id, round, member.index))?;
    Ok(!recorded.is_some_and(|recorded| recorded.is_ballot()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(from_round: u32, until_round: Option<u32>) -> Member {
        Member {
            index: 3,
            position: 1,
            from_round,
            until_round,
            base: 0,
            missed: 0,
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
    fn a_proposer_has_no_vote_in_its_round() {
        assert!(!member(0, None).has_vote(5, 3));
        assert!(member(0, None).has_vote(5, 2));
        assert!(!member(6, None).has_vote(5, 2));
    }

    #[test]
    fn clearing_tells_whether_it_changed_anything() {
        let mut learner = member(0, None);
        assert!(!learner.clear(0));
        learner.missed = 2;
        assert!(learner.clear(0));
        assert!(learner.clear(4));
        assert!(!learner.clear(4));
        assert_eq!((learner.base, learner.missed), (4, 0));
    }

    #[test]
    fn a_learner_is_stored_as_a_short_row() {
        let stored = cosmwasm_std::to_json_string(&member(1, Some(2))).unwrap();
        assert_eq!(stored, "[3,1,1,2,0,0]");
        let back: Member = cosmwasm_std::from_json(stored).unwrap();
        assert_eq!(back, member(1, Some(2)));
    }
}
