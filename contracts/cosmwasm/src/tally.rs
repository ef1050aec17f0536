//! The ballots of one round, and what they decide.

use cosmwasm_std::{StdResult, Storage};

use crate::round::{Round, Stage};
use crate::slots::{bit, slots_in};
use crate::state::{row, TALLIES};

row! {
    /// The ballots of a round.
    Tally {
        /// How many are counted.
        ballots: u32,
        commitments: u32,
        /// The approvals of each slot.
        approvals: Vec<u32>,
    }
}

impl Tally {
    /// Returns the empty tally of a round.
    pub(crate) fn new(round: &Round) -> Self {
        Self {
            ballots: 0,
            commitments: 0,
            approvals: vec![0; round.slots.proposers.len()],
        }
    }

    /// Loads the tally of a round; it is empty until the first ballot or commitment.
    pub(crate) fn load(storage: &dyn Storage, key: (u64, u32), round: &Round) -> StdResult<Self> {
        let stored = TALLIES.may_load(storage, key)?;
        Ok(stored.unwrap_or_else(|| Self::new(round)))
    }

    /// Counts a ballot: the bitmap of the slots it approves.
    pub(crate) fn count(&mut self, approvals: u16) {
        self.ballots += 1;
        for (slot, count) in (0..).zip(&mut self.approvals) {
            *count += u32::from(approvals & bit(slot) != 0);
        }
    }

    /// Returns whether every voter has committed.
    pub(crate) fn is_fully_committed(&self, round: &Round) -> bool {
        self.commitments == round.voters()
    }

    /// Returns whether the vote can close before its deadline: every ballot is in or, with
    /// `settle_early`, the outcome is fixed.
    pub(crate) fn is_settled(&self, round: &Round) -> bool {
        self.ballots == round.voters() || self.is_decided(round, self.outstanding(round))
    }

    /// Returns whether too few voters committed to accept a proposal (`settle_early`).
    pub(crate) fn is_decided_unrevealed(&self, round: &Round) -> bool {
        self.is_decided(round, self.commitments)
    }

    /// Returns the slots that are accepted, as a bitmap.
    pub(crate) fn accepted(&self, round: &Round) -> u16 {
        let passed = self.passed(round);
        if !round.best_only {
            return passed;
        }
        let approvals = |slot: &u8| self.approvals[usize::from(*slot)];
        let most = slots_in(passed).map(|slot| approvals(&slot)).max();
        let best = slots_in(passed).find(|slot| Some(approvals(slot)) == most);
        best.map_or(0, bit)
    }

    /// Returns the slots with enough approvals, as a bitmap.
    fn passed(&self, round: &Round) -> u16 {
        let counts = (0..).zip(&self.approvals);
        let enough = counts.filter(|(_, count)| **count >= round.needed);
        enough.fold(0, |all, (slot, _)| all | bit(slot))
    }

    /// Returns whether the outstanding ballots change nothing (`settle_early`): every proposal has
    /// passed or is out of reach. Of several that passed, any may still become the best.
    fn is_decided(&self, round: &Round, outstanding: u32) -> bool {
        let passed = self.passed(round);
        let mut undecided = slots_in(round.slots.proposed & !passed);
        let fixed =
            undecided.all(|slot| self.approvals[usize::from(slot)] + outstanding < round.needed);
        let open_contest = round.best_only && passed.count_ones() > 1;
        round.settle_early && fixed && !open_contest
    }

    /// Returns how many ballots are still outstanding.
    fn outstanding(&self, round: &Round) -> u32 {
        let able = match round.stage {
            Stage::Revealing => self.commitments,
            _ => round.voters(),
        };
        able - self.ballots
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::round::tests::round;

    #[test]
    fn without_settling_early_every_ballot_is_waited_for() {
        let round = round(1, 3, 1);
        let mut tally = Tally::new(&round);
        for _ in 0..2 {
            tally.count(1);
            assert!(!tally.is_settled(&round));
        }
        tally.count(0);
        assert!(tally.is_settled(&round));
        assert_eq!((tally.accepted(&round), tally.ballots), (1, 3));
    }

    #[test]
    fn settling_early_stops_as_soon_as_nothing_can_change() {
        let mut round = round(1, 5, 3);
        round.settle_early = true;
        for votes in 0u16..1 << 5 {
            let mut tally = Tally::new(&round);
            for place in 0..5 {
                let yes = tally.approvals[0];
                let no = tally.ballots - yes;
                assert_eq!(tally.is_settled(&round), yes >= 3 || no > 2);
                tally.count(votes >> place & 1);
            }
            assert!(tally.is_settled(&round));
        }
    }

    #[test]
    fn several_proposals_settle_once_each_is_fixed() {
        let mut round = round(2, 3, 2);
        round.settle_early = true;
        let mut tally = Tally::new(&round);
        tally.count(0b01);
        tally.count(0b01);
        assert!(!tally.is_settled(&round), "slot 1 can still get two");
        tally.count(0b00);
        assert!(tally.is_settled(&round), "slot 1 cannot");
        assert_eq!(tally.accepted(&round), 0b01);
    }

    #[test]
    fn best_waits_for_every_ballot_while_several_have_passed() {
        let mut round = round(2, 3, 1);
        (round.settle_early, round.best_only) = (true, true);
        let mut tally = Tally::new(&round);
        for ballot in [0b11, 0b10, 0b00] {
            tally.count(ballot);
            assert!(!tally.is_settled(&round));
        }
        tally.count(0b01);
        assert!(tally.is_settled(&round));
        assert_eq!(tally.accepted(&round), 0b01, "the lowest slot of a tie");
    }

    #[test]
    fn best_is_the_proposal_with_the_most_approvals() {
        let mut round = round(3, 9, 2);
        round.best_only = true;
        let tally = |approvals: [u32; 3]| Tally {
            ballots: 9,
            commitments: 0,
            approvals: approvals.to_vec(),
        };
        assert_eq!(tally([2, 3, 3]).accepted(&round), 0b010);
        assert_eq!(tally([1, 1, 2]).accepted(&round), 0b100);
        assert_eq!(tally([1, 1, 1]).accepted(&round), 0);
        round.best_only = false;
        assert_eq!(tally([2, 1, 3]).accepted(&round), 0b101);
    }

    #[test]
    fn while_revealing_only_commitments_are_outstanding() {
        let mut round = round(1, 4, 2);
        round.settle_early = true;
        round.open_reveal(20, 30);
        let mut tally = Tally::new(&round);
        tally.commitments = 2;
        assert!(!tally.is_settled(&round));
        tally.count(0);
        assert!(tally.is_settled(&round));
        assert_eq!(tally.accepted(&round), 0);
    }

    #[test]
    fn too_few_commitments_decide_only_with_settling_early() {
        let mut round = round(2, 4, 2);
        round.settle_early = true;
        let mut tally = Tally::new(&round);
        tally.commitments = 1;
        assert!(tally.is_decided_unrevealed(&round));
        round.settle_early = false;
        assert!(!tally.is_decided_unrevealed(&round));
        (tally.commitments, round.settle_early) = (2, true);
        assert!(!tally.is_decided_unrevealed(&round));
    }

    #[test]
    fn a_tally_is_stored_as_a_short_row() {
        let mut tally = Tally::new(&round(3, 4, 2));
        tally.count(0b101);
        let stored = cosmwasm_std::to_json_string(&tally).unwrap();
        assert_eq!(stored, "[1,0,[1,0,1]]");
        assert_eq!(cosmwasm_std::from_json::<Tally>(stored).unwrap(), tally);
    }
}
