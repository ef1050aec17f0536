//! Leaving, and its effects on rounds and electorates.

use collective_learning::types::{Outcome, Status};
use collective_learning::ContractError as E;

use crate::suite::worlds::THREE;
use crate::suite::{RoundFacts, Suite, YES};

#[test]
fn leaving_while_enrolling_frees_the_place() {
    let mut suite = Suite::enrolled(&THREE, |_| ());
    let left = suite.leave("bob").unwrap();
    assert_eq!(left.names(), ["learner_left"]);
    assert_eq!(
        left.attribute("learner_left", "learner"),
        suite.account("bob").as_str()
    );
    let bob = suite.learner("bob");
    assert_eq!(
        (bob.active, bob.from_round, bob.until_round),
        (false, 0, Some(0))
    );
    let e = suite.experiment();
    assert_eq!((e.active_learners, e.joined_learners), (2, 3));
    suite.start().unwrap();
    assert_eq!(suite.round().eligible, 1);
    assert!(!suite.ballot(0, "bob").eligible);
}

#[test]
fn only_active_learners_may_leave() {
    let mut suite = Suite::enrolled(&["ana", "bob"], |_| ());
    assert_eq!(
        suite.leave("stranger"),
        Err(E::NotALearner(suite.account("stranger")))
    );
    suite.leave("ana").unwrap();
    assert_eq!(
        suite.leave("ana"),
        Err(E::NotALearner(suite.account("ana")))
    );
}

#[test]
fn voter_that_leaves_may_still_vote_in_the_current_round() {
    let mut suite = Suite::running(&THREE, |_| ());
    suite.propose("ana", "weights").unwrap();
    suite.leave("bob").unwrap();
    assert_eq!(suite.round().eligible, 2);
    assert!(suite.ballot(0, "bob").eligible);
    suite.vote("bob", YES).unwrap();
    suite.vote("cy", YES).unwrap();
    assert_eq!(suite.round_at(0).tally(), (vec![2], 2));
    assert_eq!(suite.round_at(1).eligible, 1);
    assert!(!suite.ballot(1, "bob").eligible);
}

#[test]
fn round_ends_if_the_proposer_leaves_before_proposing() {
    let mut suite = Suite::running(&THREE, |_| ());
    let left = suite.leave("ana").unwrap();
    assert_eq!(
        left.names(),
        ["learner_left", "round_closed", "round_started"]
    );
    assert_eq!(left.attribute("round_closed", "outcome"), "no_proposal");
    assert!(!suite.round_at(0).by_deadline);
    assert_eq!(suite.strikes(&["ana"]), [0]);
    assert_eq!(suite.round_at(1).eligible, 1);
}

#[test]
fn proposal_stays_if_the_proposer_leaves() {
    let mut suite = Suite::running(&THREE, |_| ());
    suite.propose("ana", "legacy").unwrap();
    assert_eq!(suite.leave("ana").unwrap().names(), ["learner_left"]);
    suite.vote("bob", YES).unwrap();
    suite.vote("cy", YES).unwrap();
    assert_eq!(suite.round_at(0).outcome, Outcome::Accepted);
}

#[test]
fn late_learner_that_leaves_at_once_is_in_no_electorate() {
    let mut suite = Suite::running(&["ana", "bob"], |p| p.late_join = true);
    suite.join("cy").unwrap();
    suite.leave("cy").unwrap();
    let cy = suite.learner("cy");
    assert_eq!((cy.from_round, cy.until_round), (1, Some(1)));
    suite.decline("ana").unwrap();
    assert!(!suite.ballot(0, "cy").eligible);
    assert!(!suite.ballot(1, "cy").eligible);
}

#[test]
fn experiment_with_one_learner_left_is_cancelled_at_round_end() {
    let mut suite = Suite::running(&THREE, |_| ());
    suite.propose("ana", "weights").unwrap();
    suite.leave("bob").unwrap();
    suite.leave("cy").unwrap();
    assert_eq!(
        suite.experiment().status,
        Status::Running,
        "the open round continues to its end"
    );
    suite.vote("bob", YES).unwrap();
    suite.pass_time(2);
    let last = suite.vote("cy", YES).unwrap();
    assert_eq!(
        last.names(),
        ["vote_cast", "round_closed", "experiment_cancelled"]
    );
    let e = suite.experiment();
    assert_eq!(
        (e.status, e.ended_at),
        (Status::Cancelled, Some(suite.now()))
    );
    assert_eq!(e.current_round, Some(0));
}

#[test]
fn last_round_completes_with_any_number_of_learners() {
    let mut suite = Suite::running(&["ana", "bob"], |p| p.rounds = 1);
    suite.propose("ana", "weights").unwrap();
    suite.leave("ana").unwrap();
    let last = suite.vote("bob", YES).unwrap();
    assert_eq!(last.names()[2], "experiment_completed");
}

#[test]
fn all_learners_can_leave() {
    let mut suite = Suite::running(&["ana", "bob"], |_| ());
    suite.propose("ana", "weights").unwrap();
    suite.leave("ana").unwrap();
    suite.leave("bob").unwrap();
    assert_eq!(suite.experiment().active_learners, 0);
    assert_eq!(
        suite.lapse_phase().names(),
        ["round_closed", "experiment_cancelled"]
    );
    assert_eq!(suite.leave("ana"), Err(E::WrongStatus(Status::Cancelled)));
}
