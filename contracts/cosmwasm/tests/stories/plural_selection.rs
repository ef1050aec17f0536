//! Selection of several proposers at random: cycles, leaving and joining.

use collective_learning::signing::sha256;
use collective_learning::types::{Params, Selection};

use crate::suite::worlds::{FIVE, THREE};
use crate::suite::Suite;

/// The active list as the rules describe it.
struct List {
    members: Vec<&'static str>,
    drawn: usize,
}

impl List {
    fn of(members: &[&'static str]) -> Self {
        Self {
            members: members.to_vec(),
            drawn: 0,
        }
    }

    /// Returns the members that a seed draws for a round.
    fn draw(&mut self, seed: &[u8], proposers: usize) -> Vec<&'static str> {
        let length = self.members.len();
        let (mut selected, mut left_out) = (vec![], 0);
        for slot in 0..proposers.min(length) {
            if self.drawn == length {
                (self.drawn, left_out) = (0, slot);
            }
            let hash = sha256(&[seed, &[slot as u8]]);
            let places = (length - left_out - self.drawn) as u64;
            let rest = hash
                .iter()
                .fold(0u64, |rest, b| (rest * 256 + u64::from(*b)) % places);
            self.members.swap(self.drawn, self.drawn + rest as usize);
            selected.push(self.members[self.drawn]);
            self.drawn += 1;
        }
        selected
    }

    fn leave(&mut self, name: &str) {
        let place = self.members.iter().position(|member| *member == name);
        let mut place = place.unwrap();
        if place < self.drawn {
            self.drawn -= 1;
            self.members[place] = self.members[self.drawn];
            place = self.drawn;
        }
        self.members.swap_remove(place);
    }
}

fn at_random(proposers: u32) -> impl FnOnce(&mut Params) {
    move |p| {
        (p.selection, p.proposers) = (Selection::Random, proposers);
        (p.rounds, p.late_join) = (100, true);
    }
}

fn seed(suite: &Suite) -> Vec<u8> {
    suite.experiment().seed.to_vec()
}

/// Asserts that the current round has the proposers of the list, and ends the round.
fn check_round(suite: &mut Suite, list: &mut List, proposers: usize) -> Vec<&'static str> {
    let names = [&FIVE[..], &["late"]].concat();
    let expected = list.draw(&seed(suite), proposers);
    assert_eq!(suite.proposers(&names), expected);
    suite.lapse_phase();
    expected
}

#[test]
fn everybody_is_drawn_once_before_anybody_is_drawn_again() {
    let mut suite = Suite::running(&FIVE, at_random(1));
    let mut list = List::of(&FIVE);
    for _ in 0..3 {
        let turns = (0..5).flat_map(|_| check_round(&mut suite, &mut list, 1));
        let mut turns = turns.collect::<Vec<_>>();
        turns.sort_unstable();
        assert_eq!(turns, FIVE);
    }
}

#[test]
fn a_cycle_can_end_inside_a_round() {
    let mut suite = Suite::running(&FIVE, at_random(2));
    let mut list = List::of(&FIVE);
    let mut turns = vec![];
    for _ in 0..10 {
        let pair = check_round(&mut suite, &mut list, 2);
        assert_ne!(pair[0], pair[1]);
        turns.extend(pair);
    }
    for name in FIVE {
        assert_eq!(turns.iter().filter(|turn| **turn == name).count(), 4);
    }
}

#[test]
fn all_members_propose_in_each_round_if_there_are_enough_slots() {
    let mut suite = Suite::running(&THREE, at_random(16));
    let mut list = List::of(&THREE);
    for _ in 0..4 {
        let mut all = check_round(&mut suite, &mut list, 16);
        all.sort_unstable();
        assert_eq!(all, THREE);
    }
}

#[test]
fn leaving_in_the_drawn_part_keeps_the_order_of_the_cycle() {
    for leaver in FIVE {
        let mut suite = Suite::running(&FIVE, at_random(1));
        let mut list = List::of(&FIVE);
        let mut before = (0..2)
            .flat_map(|_| check_round(&mut suite, &mut list, 1))
            .collect::<Vec<_>>();
        let third = list.draw(&seed(&suite), 1);
        before.extend(third);
        suite.leave(leaver).unwrap();
        list.leave(leaver);
        if before[2] != leaver {
            suite.lapse_phase(); // a leaving proposer has ended the round already
        }
        // The rest of the cycle: those not drawn yet, except the one that left.
        let rest = FIVE
            .iter()
            .filter(|name| !before.contains(name) && **name != leaver);
        let mut rest = rest.copied().collect::<Vec<_>>();
        let turns = (0..rest.len()).flat_map(|_| check_round(&mut suite, &mut list, 1));
        let mut turns = turns.collect::<Vec<_>>();
        turns.sort_unstable();
        rest.sort_unstable();
        assert_eq!(turns, rest, "{leaver} left");
        for _ in 0..4 {
            check_round(&mut suite, &mut list, 1);
        }
    }
}

#[test]
fn late_learner_is_drawn_in_the_open_cycle() {
    let mut suite = Suite::running(&THREE, at_random(1));
    let mut list = List::of(&THREE);
    let mut turns = check_round(&mut suite, &mut list, 1);
    turns.extend(list.draw(&seed(&suite), 1));
    suite.join("late").unwrap();
    list.members.push("late");
    suite.lapse_phase();
    for _ in 0..2 {
        turns.extend(check_round(&mut suite, &mut list, 1));
    }
    turns.sort_unstable();
    assert_eq!(turns, ["ana", "bob", "cy", "late"]);
    for _ in 0..6 {
        check_round(&mut suite, &mut list, 1);
    }
}
