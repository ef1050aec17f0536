//! Deadlines and early settling.

use collective_learning::types::{Outcome, Phase, Status};
use collective_learning::ContractError as E;

use crate::suite::worlds::{FIVE, THREE};
use crate::suite::{Suite, WINDOW};

#[test]
fn no_proposal_by_the_deadline_closes_the_round() {
    let mut suite = Suite::running(&["ana", "bob"], |_| ());
    let closed = suite.let_lapse();
    assert_eq!(closed.names(), ["round_closed", "round_started"]);
    assert_eq!(closed.attribute("round_closed", "outcome"), "no_proposal");
    assert_eq!(
        closed.attribute("round_started", "deadline"),
        (suite.now() + WINDOW).to_string()
    );
    assert!(suite.round_at(0).by_deadline);
    assert_eq!(suite.round_at(0).closed_at, Some(suite.now()));
}

#[test]
fn missing_ballots_never_approve() {
    let mut suite = Suite::running(&FIVE, |_| ());
    suite.propose("ana", "weights").unwrap();
    suite.vote("bob", true).unwrap();
    assert_eq!(
        suite.let_lapse().attribute("round_closed", "outcome"),
        "rejected"
    );
    assert!(suite.round_at(0).by_deadline);
}

#[test]
fn enough_approvals_by_the_deadline_accept() {
    let mut suite = Suite::running(&FIVE, |_| ());
    suite.propose("ana", "weights").unwrap();
    suite.vote("bob", true).unwrap();
    suite.vote("cy", true).unwrap();
    assert_eq!(
        suite.round().phase,
        Phase::Voting,
        "decided, yet open without settle_early"
    );
    let closed = suite.let_lapse();
    assert_eq!(
        closed.format_event("round_closed")[2..],
        [
            "outcome=accepted",
            "approvals=2",
            "rejections=0",
            "eligible=4"
        ]
    );
}

#[test]
fn advancing_early_is_refused() {
    let mut suite = Suite::running(&["ana", "bob"], |_| ());
    let deadline = suite.now() + WINDOW;
    suite.pass_time(WINDOW - 1);
    assert_eq!(suite.advance(), Err(E::DeadlineNotPassed(deadline)));
    suite.propose("ana", "weights").unwrap();
    let deadline = suite.now() + WINDOW;
    assert_eq!(suite.advance(), Err(E::DeadlineNotPassed(deadline)));
}

#[test]
fn advance_moves_on_exactly_once() {
    let mut suite = Suite::running(&["ana", "bob"], |_| ());
    suite.let_lapse();
    let next = suite.now() + WINDOW;
    assert_eq!(suite.advance(), Err(E::DeadlineNotPassed(next)));
}

#[test]
fn deadline_has_passed_at_its_own_second() {
    let mut suite = Suite::running(&["ana", "bob"], |_| ());
    let deadline = suite.pass_deadline();
    assert_eq!(
        suite.propose("ana", "weights"),
        Err(E::DeadlinePassed(deadline))
    );
    assert_eq!(suite.decline("ana"), Err(E::DeadlinePassed(deadline)));
}

#[test]
fn no_ballot_counts_after_the_deadline_and_one_does_a_second_before() {
    let mut suite = Suite::running(&THREE, |_| ());
    suite.propose("ana", "weights").unwrap();
    suite.pass_time(WINDOW - 1);
    suite.vote("bob", true).unwrap();
    suite.pass_time(1);
    let deadline = suite.now();
    assert_eq!(suite.vote("cy", true), Err(E::DeadlinePassed(deadline)));
    let ballot = suite.signed("cy", true);
    assert_eq!(suite.carry(&[ballot]), Err(E::DeadlinePassed(deadline)));
}

#[test]
fn time_and_advance_alone_complete_an_experiment() {
    let mut suite = Suite::running(&["ana", "bob"], |p| p.rounds = 3);
    for _ in 0..2 {
        suite.let_lapse();
        assert_eq!(suite.experiment().status, Status::Running);
    }
    assert_eq!(
        suite.let_lapse().names(),
        ["round_closed", "experiment_completed"]
    );
}

#[test]
fn advance_moves_one_phase_only() {
    let mut suite = Suite::running(&["ana", "bob"], |_| ());
    suite.pass_time(50 * WINDOW);
    suite.advance().unwrap();
    assert_eq!(suite.current(), 1);
    assert_eq!(suite.round().deadline, Some(suite.now() + WINDOW));
}

#[test]
fn settling_early_enough_approvals_close_at_once() {
    let mut suite = Suite::running(&FIVE, |p| p.settle_early = true);
    suite.propose("ana", "weights").unwrap();
    suite.vote("bob", true).unwrap();
    let closed = suite.vote("cy", true).unwrap();
    assert_eq!(closed.attribute("round_closed", "outcome"), "accepted");
    assert_eq!(suite.strikes(&FIVE), [0; 5], "nobody was asked in vain");
}

#[test]
fn settling_early_too_few_left_close_at_once() {
    let mut suite = Suite::running(&FIVE, |p| p.settle_early = true);
    suite.propose("ana", "weights").unwrap();
    suite.vote("bob", false).unwrap();
    suite.vote("cy", false).unwrap();
    let closed = suite.vote("dan", false).unwrap();
    assert_eq!(
        closed.format_event("round_closed")[2..],
        [
            "outcome=rejected",
            "approvals=0",
            "rejections=3",
            "eligible=4"
        ]
    );
}

#[test]
fn revealing_settles_early_too() {
    let mut suite = Suite::running(&THREE, |p| {
        (p.settle_early, p.reveal_window) = (true, WINDOW as u32);
    });
    suite.propose("ana", "weights").unwrap();
    suite.commit("bob", true).unwrap();
    suite.commit("cy", true).unwrap();
    let closed = suite.reveal("cy", true).unwrap();
    assert_eq!(
        closed.format_event("round_closed")[2..],
        [
            "outcome=accepted",
            "approvals=1",
            "rejections=0",
            "eligible=2"
        ]
    );
}

#[test]
fn unrevealed_commitments_are_all_that_is_outstanding() {
    let mut suite = Suite::running(&FIVE, |p| {
        (p.settle_early, p.reveal_window) = (true, WINDOW as u32);
    });
    suite.propose("ana", "weights").unwrap();
    for name in ["bob", "cy", "dan"] {
        suite.commit(name, false).unwrap();
    }
    suite.let_lapse();
    suite.reveal("bob", false).unwrap();
    assert_eq!(suite.round_at(0).phase, Phase::Revealing);
    // 2 approvals are needed, and only one of three commitments is outstanding
    let closed = suite.reveal("cy", false).unwrap();
    assert_eq!(closed.attribute("round_closed", "rejections"), "2");
}

#[test]
fn too_few_commitments_close_without_a_revealing() {
    let mut suite = Suite::running(&FIVE, |p| {
        (p.settle_early, p.reveal_window) = (true, WINDOW as u32);
    });
    suite.propose("ana", "weights").unwrap();
    suite.commit("bob", true).unwrap();
    assert_eq!(
        suite.let_lapse().attribute("round_closed", "outcome"),
        "rejected"
    );
    let closed = suite.round_at(0);
    assert_eq!((closed.by_deadline, closed.commitments), (true, 1));
    assert_eq!(
        (closed.reveal_started_at, closed.outcome),
        (None, Outcome::Rejected)
    );
    assert_eq!(suite.strikes(&["bob", "cy"]), [1, 1]);
}

#[test]
fn without_settling_early_too_few_commitments_are_revealed_all_the_same() {
    let mut suite = Suite::running(&THREE, |p| {
        (p.approval_bps, p.reveal_window) = (10_000, WINDOW as u32);
    });
    suite.propose("ana", "weights").unwrap();
    assert_eq!(suite.let_lapse().names(), ["reveal_started"]);
}
