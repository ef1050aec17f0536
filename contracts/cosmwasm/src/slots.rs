//! The slots of a round: its proposers, and what became of their proposals.

use crate::state::row;
use crate::types::SlotState;

row! {
    /// The slots of a round, as bitmaps: bit 0 is slot 0. A slot in none of the first three was declined.
    Slots {
        /// The indexes of the selected learners, in slot order.
        proposers: Vec<u32>,
        open: u16,
        proposed: u16,
        missed: u16,
        accepted: u16,
    }
}

/// Returns the bitmap with one slot.
pub(crate) fn bit(slot: u8) -> u16 {
    1 << slot
}

/// Returns the slots in a bitmap, in order.
pub(crate) fn slots_in(bitmap: u16) -> impl Iterator<Item = u8> {
    (0..16).filter(move |slot| bitmap & bit(*slot) != 0)
}

impl Slots {
    /// Returns the open slots of the selected learners, at most 16.
    pub(crate) fn new(proposers: Vec<u32>) -> Self {
        let open = (0..proposers.len()).fold(0, |all, slot| all | bit(slot as u8));
        Self {
            proposers,
            open,
            proposed: 0,
            missed: 0,
            accepted: 0,
        }
    }

    /// Returns the slot of a learner.
    pub(crate) fn slot_of(&self, index: u32) -> Option<u8> {
        let place = self.proposers.iter().position(|own| *own == index);
        place.map(|slot| slot as u8)
    }

    /// Returns the slot of a learner if it is still open.
    pub(crate) fn open_slot_of(&self, index: u32) -> Option<u8> {
        self.slot_of(index)
            .filter(|slot| self.open & bit(*slot) != 0)
    }

    /// Returns the proposer of the only proposal; `None` if there are several or none.
    pub(crate) fn only_proposer(&self) -> Option<u32> {
        let slot = self.proposed.trailing_zeros() as usize;
        let alone = self.proposals() == 1;
        self.proposers.get(slot).copied().filter(|_| alone)
    }

    /// Returns the number of proposals.
    pub(crate) fn proposals(&self) -> u32 {
        self.proposed.count_ones()
    }

    /// Returns the proposals that a learner may approve: all but its own.
    pub(crate) fn approvable_by(&self, index: u32) -> u16 {
        self.proposed & !self.slot_of(index).map_or(0, bit)
    }

    /// Records a proposal.
    pub(crate) fn propose(&mut self, slot: u8) {
        self.open &= !bit(slot);
        self.proposed |= bit(slot);
    }

    /// Records that no proposal will come.
    pub(crate) fn decline(&mut self, slot: u8) {
        self.open &= !bit(slot);
    }

    /// Closes the open slots as missed and returns their learners.
    pub(crate) fn miss_open(&mut self) -> Vec<u32> {
        self.missed = self.open;
        self.open = 0;
        let missed = slots_in(self.missed).map(usize::from);
        missed.map(|slot| self.proposers[slot]).collect()
    }

    /// Returns what became of a slot.
    pub(crate) fn state(&self, slot: u8) -> SlotState {
        let is_in = |bitmap| bitmap & bit(slot) != 0;
        if is_in(self.open) {
            SlotState::Open
        } else if is_in(self.proposed) {
            SlotState::Proposed
        } else if is_in(self.missed) {
            SlotState::Missed
        } else {
            SlotState::Declined
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_begin_open_and_end_in_one_of_three_states() {
        let mut slots = Slots::new(vec![7, 3, 9]);
        assert_eq!(slots.open, 0b111);
        slots.propose(2);
        slots.decline(0);
        assert_eq!(slots.open_slot_of(3), Some(1));
        assert_eq!(slots.miss_open(), [3]);
        let states = [0, 1, 2].map(|slot| slots.state(slot));
        let expected = [SlotState::Declined, SlotState::Missed, SlotState::Proposed];
        assert_eq!(states, expected);
        assert_eq!(slots.open_slot_of(3), None);
        assert_eq!((slots.slot_of(9), slots.slot_of(8)), (Some(2), None));
    }

    #[test]
    fn sixteen_slots_fill_the_bitmap() {
        let slots = Slots::new((0..16).collect());
        assert_eq!(slots.open, u16::MAX);
        assert!(slots_in(slots.open).eq(0..16));
        assert!(slots_in(0b1010).eq([1, 3]));
    }

    #[test]
    fn only_proposer_has_no_other_proposal_beside_it() {
        let mut slots = Slots::new(vec![7, 3]);
        assert_eq!(slots.only_proposer(), None);
        slots.propose(1);
        assert_eq!(slots.only_proposer(), Some(3));
        slots.propose(0);
        assert_eq!(slots.only_proposer(), None);
    }

    #[test]
    fn nobody_may_approve_its_own_proposal_or_an_empty_slot() {
        let mut slots = Slots::new(vec![7, 3, 9]);
        slots.propose(0);
        slots.propose(2);
        let approvable = [7, 3, 9, 4].map(|index| slots.approvable_by(index));
        assert_eq!(approvable, [0b100, 0b101, 0b001, 0b101]);
    }
}
