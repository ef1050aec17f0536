//! The active list: who is in it, in which order, and whose turn it is to propose.
//!
//! Joining, leaving and a selection touch a fixed number of positions, whatever the list's length.

use cosmwasm_std::{StdResult, Storage};

use crate::selection::draw;
use crate::state::{Progress, ACTIVE, MEMBERS, ROSTER};
use crate::types::{Params, Selection};

/// Appends a learner to the active list and returns its position.
pub(crate) fn append(
    storage: &mut dyn Storage,
    id: u64,
    progress: &mut Progress,
    index: u32,
) -> StdResult<u32> {
    let position = progress.active;
    ACTIVE.save(storage, (id, position), &index)?;
    progress.active += 1;
    Ok(position)
}

/// Removes the member at a position. Members drawn in this cycle stay at the beginning of the list.
pub(crate) fn take_out(
    storage: &mut dyn Storage,
    id: u64,
    progress: &mut Progress,
    position: u32,
) -> StdResult<()> {
    let mut freed = position;
    progress.active -= 1;
    if freed < progress.drawn {
        progress.drawn -= 1;
        move_member(storage, id, progress.drawn, freed)?;
        freed = progress.drawn;
    }
    move_member(storage, id, progress.active, freed)?;
    ACTIVE.remove(storage, (id, progress.active));
    Ok(())
}

/// Selects the proposers of the next round; returns their indexes in slot order.
pub(crate) fn select(
    storage: &mut dyn Storage,
    id: u64,
    progress: &mut Progress,
    params: &Params,
) -> StdResult<Vec<u32>> {
    let wanted = params.proposers.min(progress.active);
    match params.selection {
        Selection::RoundRobin => take_turns(storage, id, progress, wanted),
        Selection::Random => draw_members(storage, id, progress, wanted),
    }
}

fn take_turns(
    storage: &dyn Storage,
    id: u64,
    progress: &mut Progress,
    wanted: u32,
) -> StdResult<Vec<u32>> {
    let mut selected = vec![];
    for _ in 0..wanted {
        let position = progress.turn % progress.active;
        selected.push(ACTIVE.load(storage, (id, position))?);
        progress.turn = position + 1;
    }
    Ok(selected)
}

fn draw_members(
    storage: &mut dyn Storage,
    id: u64,
    progress: &mut Progress,
    wanted: u32,
) -> StdResult<Vec<u32>> {
    let mut selected = vec![];
    // At the end of the list: members drawn for this round before a new cycle began.
    let mut left_out = 0;
    for slot in 0..wanted {
        if progress.drawn == progress.active {
            progress.drawn = 0;
            left_out = slot;
        }
        let rest = progress.active - left_out - progress.drawn;
        let position = progress.drawn + draw(&progress.seed.0, slot as u8, rest);
        selected.push(swap(storage, id, position, progress.drawn)?);
        progress.drawn += 1;
    }
    Ok(selected)
}

/// Swaps two members and returns the index of the one that was at the first position.
fn swap(storage: &mut dyn Storage, id: u64, one: u32, other: u32) -> StdResult<u32> {
    let index = ACTIVE.load(storage, (id, one))?;
    if one != other {
        move_member(storage, id, other, one)?;
        place(storage, id, index, other)?;
    }
    Ok(index)
}

/// Puts the member at one position also at another one.
fn move_member(storage: &mut dyn Storage, id: u64, from: u32, to: u32) -> StdResult<()> {
    if from == to {
        return Ok(());
    }
    let index = ACTIVE.load(storage, (id, from))?;
    place(storage, id, index, to)
}

fn place(storage: &mut dyn Storage, id: u64, index: u32, position: u32) -> StdResult<()> {
    let account = ROSTER.load(storage, (id, index))?.account;
    let mut member = MEMBERS.load(storage, (id, &account))?;
    member.position = position;
    MEMBERS.save(storage, (id, &account), &member)?;
    ACTIVE.save(storage, (id, position), &index)
}

#[cfg(test)]
mod tests {
    use cosmwasm_std::testing::MockStorage;
    use cosmwasm_std::{Addr, Binary};
    use proptest::prelude::*;

    use super::*;
    use crate::bytes::Word;
    use crate::members::Member;
    use crate::state::Entry;

    const ID: u64 = 1;

    /// A list in storage, and the same list as the rules describe it.
    struct Both {
        storage: MockStorage,
        progress: Progress,
        list: Vec<u32>,
        drawn: usize,
    }

    impl Both {
        fn of(members: u32) -> Self {
            let mut both = Self {
                storage: MockStorage::new(),
                progress: Progress::new(),
                list: vec![],
                drawn: 0,
            };
            (0..members).for_each(|_| both.join());
            both
        }

        fn join(&mut self) {
            let index = self.progress.joined;
            let account = Addr::unchecked(format!("learner {index}"));
            let position = append(&mut self.storage, ID, &mut self.progress, index).unwrap();
            self.progress.joined += 1;
            let member = Member::new(index, position, 0, 0);
            MEMBERS
                .save(&mut self.storage, (ID, &account), &member)
                .unwrap();
            let encryption_key = Binary::default();
            let entry = Entry {
                account,
                encryption_key,
            };
            ROSTER.save(&mut self.storage, (ID, index), &entry).unwrap();
            self.list.push(index);
        }

        fn leave(&mut self, position: usize) {
            let (storage, progress) = (&mut self.storage, &mut self.progress);
            take_out(storage, ID, progress, position as u32).unwrap();
            if position < self.drawn {
                self.drawn -= 1;
                self.list[position] = self.list[self.drawn];
                self.list.swap_remove(self.drawn);
            } else {
                self.list.swap_remove(position);
            }
        }

        /// Draws the proposers of a round and checks each against the rule.
        fn draw_round(&mut self, seed: [u8; 32], wanted: u32) -> Vec<u32> {
            self.progress.seed = Word(seed);
            let wanted = wanted.min(self.progress.active);
            let (storage, progress) = (&mut self.storage, &mut self.progress);
            let selected = draw_members(storage, ID, progress, wanted).unwrap();
            assert_eq!(selected.len(), wanted as usize);
            let (length, mut already) = (self.list.len(), 0);
            for (slot, index) in selected.iter().enumerate() {
                if self.drawn == length {
                    (self.drawn, already) = (0, slot);
                }
                let rest = (length - already - self.drawn) as u32;
                let position = self.drawn + draw(&seed, slot as u8, rest) as usize;
                self.list.swap(position, self.drawn);
                assert_eq!(*index, self.list[self.drawn]);
                self.drawn += 1;
            }
            selected
        }

        fn check(&self) {
            assert_eq!(self.progress.active as usize, self.list.len());
            assert_eq!(self.progress.drawn as usize, self.drawn);
            for (position, index) in (0..).zip(&self.list) {
                let stored = ACTIVE.load(&self.storage, (ID, position)).unwrap();
                let account = Addr::unchecked(format!("learner {index}"));
                let member = MEMBERS.load(&self.storage, (ID, &account)).unwrap();
                assert_eq!((stored, member.position), (*index, position));
            }
            assert!(!ACTIVE.has(&self.storage, (ID, self.progress.active)));
        }
    }

    #[test]
    fn turns_go_round_and_never_select_a_member_twice_in_a_round() {
        let mut both = Both::of(5);
        let mut turn = |wanted| take_turns(&both.storage, ID, &mut both.progress, wanted).unwrap();
        assert_eq!(turn(2), [0, 1]);
        assert_eq!(turn(4), [2, 3, 4, 0]);
        assert_eq!(turn(5), [1, 2, 3, 4, 0]);
    }

    #[test]
    fn turn_is_kept_when_the_list_shrinks() {
        let mut both = Both::of(4);
        both.progress.turn = 3; // the last slot was at position 2
        both.leave(3);
        both.leave(1); // 0, 2
        let turns = take_turns(&both.storage, ID, &mut both.progress, 2).unwrap();
        assert_eq!(turns, [2, 0], "position 3 mod 2 is 1");
    }

    #[test]
    fn every_member_is_drawn_once_in_a_cycle() {
        let mut both = Both::of(7);
        let mut drawn = (0..7).flat_map(|round| both.draw_round([round; 32], 1));
        let mut drawn = drawn.by_ref().collect::<Vec<_>>();
        drawn.sort_unstable();
        assert!(drawn.into_iter().eq(0..7));
    }

    #[test]
    fn a_round_across_two_cycles_has_no_member_twice() {
        for seed in 0..50 {
            let mut both = Both::of(5);
            both.draw_round([seed; 32], 3);
            let mut selected = both.draw_round([seed + 1; 32], 4);
            selected.sort_unstable();
            selected.dedup();
            assert_eq!(
                selected.len(),
                4,
                "two of the old cycle, two of the new one"
            );
            assert_eq!(both.progress.drawn, 2);
        }
    }

    proptest! {
        #[test]
        fn the_list_follows_the_rules(steps in proptest::collection::vec((0u8..4, any::<[u8; 32]>()), 1..40)) {
            let mut both = Both::of(4);
            for (kind, seed) in steps {
                match kind {
                    0 => both.join(),
                    1 if both.list.len() > 1 => both.leave(usize::from(seed[0]) % both.list.len()),
                    _ => {
                        let mut selected = both.draw_round(seed, u32::from(seed[1]) % 6 + 1);
                        selected.sort_unstable();
                        let before = selected.len();
                        selected.dedup();
                        prop_assert_eq!(selected.len(), before);
                    }
                }
                both.check();
            }
        }
    }
}
