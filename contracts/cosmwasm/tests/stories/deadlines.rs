//! Deadlines and early settling.

use collective_learning::types::{Outcome, Phase, Status};
use collective_learning::ContractError as E;

use crate::suite::worlds::{FIVE, THREE};
use crate::suite::{RoundFacts, Suite, NO, WINDOW, YES};

#[test]
fn round_without_a_proposal_closes_at_the_deadline() {
    let mut suite = Suite::running(&["ana", "bob"], |_| ());
    let closed = suite.lapse_phase();
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
fn missing_ballots_do_not_count_as_approvals() {
    let mut suite = Suite::running(&FIVE, |_| ());
    suite.propose("ana", "weights").unwrap();
    suite.vote("bob", YES).unwrap();
    assert_eq!(
        suite.lapse_phase().attribute("round_closed", "outcome"),
        "rejected"
    );
    assert!(suite.round_at(0).by_deadline);
}

#[test]
fn enough_approvals_at_the_deadline_accept_the_proposal() {
    let mut suite = Suite::running(&FIVE, |_| ());
    suite.propose("ana", "weights").unwrap();
    suite.vote("bob", YES).unwrap();
    suite.vote("cy", YES).unwrap();
    assert_eq!(
        suite.round().phase,
        Phase::Voting,
        "decided, but still open without settle_early"
    );
    let closed = suite.lapse_phase();
    assert_eq!(
        closed.attributes("round_closed")[2..],
        [
            "outcome=accepted",
            "accepted=1",
            "approvals=2",
            "eligible=4"
        ]
    );
}

#[test]
fn advance_before_the_deadline_is_refused() {
    let mut suite = Suite::running(&["ana", "bob"], |_| ());
    let deadline = suite.now() + WINDOW;
    suite.pass_time(WINDOW - 1);
    assert_eq!(suite.advance(), Err(E::DeadlineNotPassed(deadline)));
    suite.propose("ana", "weights").unwrap();
    let deadline = suite.now() + WINDOW;
    assert_eq!(suite.advance(), Err(E::DeadlineNotPassed(deadline)));
}

#[test]
fn second_advance_is_refused_until_the_next_deadline() {
    let mut suite = Suite::running(&["ana", "bob"], |_| ());
    suite.lapse_phase();
    let next = suite.now() + WINDOW;
    assert_eq!(suite.advance(), Err(E::DeadlineNotPassed(next)));
}

#[test]
fn calls_at_the_exact_deadline_are_refused() {
    let mut suite = Suite::running(&["ana", "bob"], |_| ());
    let deadline = suite.pass_deadline();
    assert_eq!(
        suite.propose("ana", "weights"),
        Err(E::DeadlinePassed(deadline))
    );
    assert_eq!(suite.decline("ana"), Err(E::DeadlinePassed(deadline)));
}

#[test]
fn ballot_counts_until_one_second_before_the_deadline() {
    let mut suite = Suite::running(&THREE, |_| ());
    suite.propose("ana", "weights").unwrap();
    suite.pass_time(WINDOW - 1);
    suite.vote("bob", YES).unwrap();
    suite.pass_time(1);
    let deadline = suite.now();
    assert_eq!(suite.vote("cy", YES), Err(E::DeadlinePassed(deadline)));
    let ballot = suite.sign_ballot("cy", YES);
    assert_eq!(
        suite.submit_ballots(&[ballot]),
        Err(E::DeadlinePassed(deadline))
    );
}

#[test]
fn experiment_completes_by_deadlines_and_advance_alone() {
    let mut suite = Suite::running(&["ana", "bob"], |p| p.rounds = 3);
    for _ in 0..2 {
        suite.lapse_phase();
        assert_eq!(suite.experiment().status, Status::Running);
    }
    assert_eq!(
        suite.lapse_phase().names(),
        ["round_closed", "experiment_completed"]
    );
}

#[test]
fn advance_long_after_the_deadline_ends_only_one_phase() {
    let mut suite = Suite::running(&["ana", "bob"], |_| ());
    suite.pass_time(50 * WINDOW);
    suite.advance().unwrap();
    assert_eq!(suite.current(), 1);
    assert_eq!(suite.round().deadline, Some(suite.now() + WINDOW));
}

#[test]
fn round_settles_early_with_enough_approvals() {
    let mut suite = Suite::running(&FIVE, |p| p.settle_early = true);
    suite.propose("ana", "weights").unwrap();
    suite.vote("bob", YES).unwrap();
    let closed = suite.vote("cy", YES).unwrap();
    assert_eq!(closed.attribute("round_closed", "outcome"), "accepted");
    assert_eq!(suite.strikes(&FIVE), [0; 5], "nobody missed a ballot");
}

#[test]
fn round_settles_early_when_approval_is_out_of_reach() {
    let mut suite = Suite::running(&FIVE, |p| p.settle_early = true);
    suite.propose("ana", "weights").unwrap();
    suite.vote("bob", NO).unwrap();
    suite.vote("cy", NO).unwrap();
    let closed = suite.vote("dan", NO).unwrap();
    assert_eq!(
        closed.attributes("round_closed")[2..],
        [
            "outcome=rejected",
            "accepted=0",
            "approvals=0",
            "eligible=4"
        ]
    );
    assert_eq!(suite.round_at(0).tally(), (vec![0], 3));
}

#[test]
fn revealed_ballots_settle_the_round_early() {
    let mut suite = Suite::running(&THREE, |p| {
        (p.settle_early, p.reveal_window) = (true, WINDOW as u32);
    });
    suite.propose("ana", "weights").unwrap();
    suite.commit("bob", YES).unwrap();
    suite.commit("cy", YES).unwrap();
    let closed = suite.reveal("cy", YES).unwrap();
    assert_eq!(
        closed.attributes("round_closed")[2..],
        [
            "outcome=accepted",
            "accepted=1",
            "approvals=1",
            "eligible=2"
        ]
    );
}

#[test]
fn only_unrevealed_commitments_count_as_outstanding() {
    let mut suite = Suite::running(&FIVE, |p| {
        (p.settle_early, p.reveal_window) = (true, WINDOW as u32);
    });
    suite.propose("ana", "weights").unwrap();
    for name in ["bob", "cy", "dan"] {
        suite.commit(name, NO).unwrap();
    }
    suite.lapse_phase();
    suite.reveal("bob", NO).unwrap();
    assert_eq!(suite.round_at(0).phase, Phase::Revealing);
    // Two approvals are needed, and only one of three commitments is left.
    let closed = suite.reveal("cy", NO).unwrap();
    assert_eq!(closed.attribute("round_closed", "outcome"), "rejected");
    assert_eq!(suite.round_at(0).tally(), (vec![0], 2));
}

#[test]
fn too_few_commitments_close_the_round_without_a_reveal_phase() {
    let mut suite = Suite::running(&FIVE, |p| {
        (p.settle_early, p.reveal_window) = (true, WINDOW as u32);
    });
    suite.propose("ana", "weights").unwrap();
    suite.commit("bob", YES).unwrap();
    assert_eq!(
        suite.lapse_phase().attribute("round_closed", "outcome"),
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
fn too_few_commitments_open_the_reveal_phase_without_early_settling() {
    let mut suite = Suite::running(&THREE, |p| {
        (p.approval_bps, p.reveal_window) = (10_000, WINDOW as u32);
    });
    suite.propose("ana", "weights").unwrap();
    assert_eq!(suite.lapse_phase().names(), ["reveal_started"]);
}
