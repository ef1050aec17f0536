//! Strikes for missed duties, and removal.

use collective_learning::types::Status;
use collective_learning::ContractError as E;

use crate::suite::worlds::THREE;
use crate::suite::{Suite, NO, WINDOW, YES};

#[test]
fn missed_proposal_is_a_strike() {
    let mut suite = Suite::running(&["ana", "bob"], |_| ());
    suite.lapse_phase();
    assert_eq!(suite.strikes(&["ana", "bob"]), [1, 0]);
}

#[test]
fn each_missed_ballot_adds_a_strike() {
    let mut suite = Suite::running(&["ana", "bob", "cy", "dan"], |_| ());
    for (missed, proposer) in ["ana", "bob"].into_iter().enumerate() {
        suite.propose(proposer, proposer).unwrap();
        suite.vote("cy", YES).unwrap();
        suite.lapse_phase();
        assert_eq!(suite.strikes(&["cy", "dan"]), [0, missed as u32 + 1]);
    }
    assert_eq!(
        suite.strikes(&["ana", "bob"]),
        [1, 1],
        "bob's proposal did not clear bob's missed ballot"
    );
}

#[test]
fn ballot_clears_missed_ballots() {
    let mut suite = Suite::running(&THREE, |_| ());
    suite.propose("ana", "one").unwrap();
    suite.lapse_phase();
    assert_eq!(suite.strikes(&THREE), [0, 1, 1]);
    suite.propose("bob", "two").unwrap();
    assert_eq!(suite.strikes(&THREE), [0, 1, 1]);
    suite.vote("cy", YES).unwrap();
    assert_eq!(suite.strikes(&THREE), [0, 1, 0]);
}

#[test]
fn signed_ballot_clears_missed_ballots() {
    let mut suite = Suite::running(&THREE, |_| ());
    suite.propose("ana", "one").unwrap();
    suite.lapse_phase();
    suite.propose("bob", "two").unwrap();
    let ballot = suite.sign_ballot("cy", YES);
    suite.submit_ballots(&[ballot]).unwrap();
    assert_eq!(suite.strikes(&["cy"]), [0]);
}

#[test]
fn unrevealed_commitment_is_a_missed_ballot() {
    let mut suite = Suite::running(&THREE, |p| p.reveal_window = WINDOW as u32);
    suite.propose("ana", "weights").unwrap();
    suite.commit("bob", YES).unwrap();
    suite.commit("cy", YES).unwrap();
    suite.reveal("cy", YES).unwrap();
    assert_eq!(suite.strikes(&THREE), [0, 0, 0]);
    suite.lapse_phase();
    assert_eq!(suite.strikes(&THREE), [0, 1, 0]);
}

#[test]
fn missed_proposals_and_missed_ballots_are_counted_separately() {
    let mut suite = Suite::running(&["ana", "bob"], |_| ());
    suite.lapse_phase(); // ana proposes nothing
    suite.propose("bob", "weights").unwrap();
    suite.lapse_phase(); // ana does not vote
    suite.lapse_phase(); // ana proposes nothing
    assert_eq!((suite.missed("ana"), suite.missed("bob")), ((2, 1), (0, 0)));
    assert_eq!(suite.strikes(&["ana", "bob"]), [2, 0]);
    suite.decline("bob").unwrap();
    suite.decline("ana").unwrap();
    assert_eq!(
        suite.missed("ana"),
        (2, 1),
        "declining neither adds nor clears"
    );
    suite.propose("bob", "more").unwrap();
    suite.vote("ana", NO).unwrap();
    assert_eq!(
        suite.missed("ana"),
        (2, 0),
        "a ballot clears missed ballots"
    );
    suite.propose("ana", "finally").unwrap();
    assert_eq!(
        suite.missed("ana"),
        (0, 0),
        "a proposal clears missed proposals"
    );
}

#[test]
fn round_closed_by_its_last_ballot_adds_no_strikes() {
    let mut suite = Suite::running(&THREE, |_| ());
    suite.propose("ana", "weights").unwrap();
    suite.vote("bob", YES).unwrap();
    suite.vote("cy", NO).unwrap();
    assert_eq!(suite.strikes(&THREE), [0, 0, 0]);
}

#[test]
fn late_learner_starts_without_strikes() {
    let mut suite = Suite::running(&THREE, |p| p.late_join = true);
    suite.propose("ana", "one").unwrap();
    suite.join("late").unwrap();
    suite.lapse_phase();
    assert_eq!(suite.strikes(&["late", "bob"]), [0, 1]);
    suite.propose("bob", "two").unwrap();
    suite.lapse_phase();
    assert_eq!(suite.strikes(&["late", "bob", "cy"]), [1, 1, 2]);
}

#[test]
fn anyone_may_remove_a_learner_at_the_strike_limit() {
    let mut suite = Suite::running(&THREE, |p| p.max_strikes = 2);
    for proposer in ["ana", "bob"] {
        assert_eq!(
            suite.remove("stranger", "cy"),
            Err(E::NotRemovable(suite.strikes(&["cy"])[0]))
        );
        suite.propose(proposer, proposer).unwrap();
        suite.lapse_phase();
    }
    let removed = suite.remove("stranger", "cy").unwrap();
    // Round 2 ends, because cy was its proposer.
    assert_eq!(
        removed.names(),
        ["learner_removed", "round_closed", "round_started"]
    );
    assert!(!suite.round_at(2).by_deadline);
    let cy = suite.learner("cy");
    assert_eq!(
        (cy.active, cy.until_round, cy.missed_ballots),
        (false, Some(3), 2)
    );
    assert_eq!(
        suite.remove("stranger", "cy"),
        Err(E::NotALearner(suite.account("cy")))
    );
}

#[test]
fn learner_is_never_removed_if_max_strikes_is_zero() {
    let mut suite = Suite::running(&THREE, |p| p.max_strikes = 0);
    suite.lapse_phase();
    assert_eq!(suite.remove("stranger", "ana"), Err(E::NotRemovable(1)));
    assert_eq!(
        suite.remove("stranger", "eve"),
        Err(E::NotALearner(suite.account("eve")))
    );
}

#[test]
fn strikes_do_not_change_after_leaving() {
    let mut suite = Suite::running(&THREE, |_| ());
    suite.propose("ana", "one").unwrap();
    suite.lapse_phase();
    suite.leave("cy").unwrap();
    suite.propose("bob", "two").unwrap();
    suite.lapse_phase();
    assert_eq!(suite.strikes(&THREE), [1, 1, 1]);
}

#[test]
fn ballot_after_leaving_clears_missed_ballots() {
    let mut suite = Suite::running(&THREE, |_| ());
    suite.propose("ana", "one").unwrap();
    suite.lapse_phase();
    suite.propose("bob", "two").unwrap();
    suite.leave("cy").unwrap();
    assert_eq!(suite.strikes(&["cy"]), [1]);
    suite.vote("cy", YES).unwrap();
    assert_eq!(suite.strikes(&["cy"]), [0]);
    suite.lapse_phase();
    assert_eq!(suite.strikes(&["cy"]), [0], "no new strikes after leaving");
}

#[test]
fn removals_down_to_one_learner_cancel_the_experiment() {
    let mut suite = Suite::running(&["ana", "bob"], |p| p.max_strikes = 1);
    suite.lapse_phase();
    suite.remove("bob", "ana").unwrap();
    let last = suite.lapse_phase();
    assert_eq!(last.names(), ["round_closed", "experiment_cancelled"]);
    assert_eq!(suite.experiment().status, Status::Cancelled);
}

#[test]
fn proposer_misses_no_ballot_in_its_own_round() {
    let mut suite = Suite::running(&THREE, |_| ());
    for (number, proposer) in THREE.iter().cycle().take(7).enumerate() {
        suite
            .propose(proposer, &format!("weights {number}"))
            .unwrap();
        suite.lapse_phase();
    }
    // Seven rounds; ana proposed in three, bob and cy in two each.
    assert_eq!(suite.strikes(&THREE), [4, 5, 5]);
    suite.propose("bob", "more").unwrap();
    suite.vote("cy", YES).unwrap();
    suite.lapse_phase();
    assert_eq!(suite.strikes(&THREE), [5, 5, 0]);
}

#[test]
fn limit_applies_to_the_larger_of_both_counts() {
    let mut suite = Suite::running(&["ana", "bob"], |p| p.max_strikes = 2);
    suite.lapse_phase(); // ana proposes nothing
    suite.propose("bob", "weights").unwrap();
    suite.lapse_phase(); // ana does not vote
    assert_eq!(suite.missed("ana"), (1, 1));
    assert_eq!(suite.remove("bob", "ana"), Err(E::NotRemovable(1)));
    suite.lapse_phase(); // ana proposes nothing
    suite.remove("bob", "ana").unwrap();
    assert_eq!(suite.missed("ana"), (2, 1), "the counts are kept");
}
