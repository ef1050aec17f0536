//! Selection of the proposer.

use collective_learning::signing::sha256;
use collective_learning::types::{Selection, Status};
use cosmwasm_std::Binary;

use crate::suite::worlds::{FIVE, THREE};
use crate::suite::{salt, Suite, WINDOW, YES};

/// Lets the proposers decline; returns them in order.
fn decline_turns(suite: &mut Suite, names: &[&'static str], rounds: usize) -> Vec<&'static str> {
    let mut turns = vec![];
    for _ in 0..rounds {
        let proposer = suite.proposer(names);
        turns.push(proposer);
        suite.decline(proposer).unwrap();
    }
    turns
}

/// Returns the entropy of the current block, as defined in docs/protocol.md and MESSAGES.md.
fn entropy(suite: &Suite) -> [u8; 32] {
    let block = suite.app.block_info();
    sha256(&[
        b"CollectiveLearning entropy",
        &block.height.to_be_bytes(),
        &block.time.nanos().to_be_bytes(),
        &transaction_index(),
    ])
}

/// Returns the transaction index, which is always 0 on the simulated chain.
fn transaction_index() -> [u8; 4] {
    0u32.to_be_bytes()
}

/// Returns the number below `places` that a seed draws for a slot.
fn draw(seed: &[u8], slot: u8, places: usize) -> usize {
    let hash = sha256(&[seed, &[slot]]);
    let rest = hash
        .iter()
        .fold(0u64, |rest, b| (rest * 256 + u64::from(*b)) % places as u64);
    rest as usize
}

#[test]
fn round_robin_visits_everyone_in_turn() {
    let mut suite = Suite::running(&THREE, |p| p.rounds = 7);
    let expected = ["ana", "bob", "cy", "ana", "bob", "cy", "ana"];
    assert_eq!(decline_turns(&mut suite, &THREE, 7), expected);
    assert_eq!(suite.experiment().status, Status::Completed);
}

#[test]
fn last_learner_takes_the_place_of_a_learner_that_left() {
    let names = ["ana", "bob", "cy", "dan"];
    let mut suite = Suite::running(&names, |_| ());
    suite.leave("bob").unwrap(); // ana, dan, cy
    assert_eq!(
        decline_turns(&mut suite, &names, 4),
        ["ana", "dan", "cy", "ana"]
    );
}

#[test]
fn learner_that_took_another_place_can_leave_too() {
    let names = ["ana", "bob", "cy", "dan"];
    let mut suite = Suite::running(&names, |_| ());
    suite.leave("bob").unwrap(); // ana, dan, cy
    suite.leave("dan").unwrap(); // ana, cy
    assert_eq!(decline_turns(&mut suite, &names, 3), ["ana", "cy", "ana"]);
}

#[test]
fn position_advances_even_if_a_learner_leaves() {
    let mut suite = Suite::running(&THREE, |_| ());
    suite.decline("ana").unwrap();
    suite.propose("bob", "weights").unwrap(); // position 1
    suite.leave("bob").unwrap(); // ana, cy
    suite.vote("ana", YES).unwrap();
    suite.vote("cy", YES).unwrap();
    assert_eq!(suite.proposer(&THREE), "ana"); // position 2 mod 2
}

#[test]
fn late_learners_propose_last() {
    let mut suite = Suite::running(&["ana", "bob"], |p| p.late_join = true);
    suite.join("cy").unwrap();
    assert_eq!(
        decline_turns(&mut suite, &THREE, 4),
        ["ana", "bob", "cy", "ana"]
    );
}

#[test]
fn seed_draws_a_fresh_order_in_each_cycle() {
    let mut suite = Suite::enrolled(&FIVE, |p| {
        (p.selection, p.rounds) = (Selection::Random, 20);
    });
    assert_eq!(suite.experiment().seed, Binary::from([0; 32]));
    let separator = suite.domain().separator();
    suite.start().unwrap();
    let mut seed = sha256(&[&separator, &1u64.to_be_bytes(), &entropy(&suite)]);
    let mut list = FIVE;
    for number in 0..12 {
        assert_eq!(suite.experiment().seed, Binary::from(seed));
        let drawn = number % 5;
        list.swap(drawn, drawn + draw(&seed, 0, 5 - drawn));
        let proposer = suite.proposer(&FIVE);
        assert_eq!(proposer, list[drawn]);
        suite.pass_time(1);
        seed = sha256(&[&seed, &entropy(&suite), &[0; 32]]);
        suite.decline(proposer).unwrap();
    }
}

#[test]
fn next_seed_depends_on_the_revealed_salts() {
    let mut suite = Suite::running(&THREE, |p| {
        (p.selection, p.reveal_window) = (Selection::Random, WINDOW as u32);
    });
    let before = suite.experiment().seed;
    let proposer = suite.proposer(&THREE);
    suite.propose(proposer, "weights").unwrap();
    let voters = THREE
        .into_iter()
        .filter(|name| *name != proposer)
        .collect::<Vec<_>>();
    for name in &voters {
        suite.commit(name, YES).unwrap();
    }
    suite.reveal(voters[0], YES).unwrap();
    assert_eq!(
        suite.experiment().seed,
        before,
        "it changes when the round closes"
    );
    suite.reveal(voters[1], YES).unwrap();

    let mixed = salt(voters[0])
        .iter()
        .zip(salt(voters[1]))
        .map(|(a, b)| a ^ b)
        .collect::<Vec<_>>();
    let after = sha256(&[&before, &entropy(&suite), &mixed]);
    assert_eq!(suite.experiment().seed, Binary::from(after));
}

#[test]
fn seed_does_not_change_after_the_last_round_or_cancelling() {
    let mut suite = Suite::running(&THREE, |p| (p.selection, p.rounds) = (Selection::Random, 1));
    let seed = suite.experiment().seed;
    suite.lapse_phase();
    assert_eq!(suite.experiment().seed, seed);

    let mut suite = Suite::running(&THREE, |p| p.selection = Selection::Random);
    let seed = suite.experiment().seed;
    suite.cancel("creator").unwrap();
    assert_eq!(suite.experiment().seed, seed);

    let mut suite = Suite::running(&THREE, |p| {
        (p.selection, p.patience) = (Selection::Random, 1)
    });
    let seed = suite.experiment().seed;
    suite.lapse_phase();
    assert_eq!(suite.experiment().seed, seed);
}

#[test]
fn round_robin_has_no_seed() {
    let mut suite = Suite::running(&THREE, |_| ());
    suite.lapse_phase();
    assert_eq!(suite.experiment().seed, Binary::from([0; 32]));
}
