//! Ballots signed off-chain (ADR-036) and submitted by anyone.

use collective_learning::msg::ExecuteMsg;
use collective_learning::types::Outcome;
use collective_learning::ContractError as E;

use crate::suite::worlds::{FIVE, THREE};
use crate::suite::{Called, Suite, SCORES};

fn proposed(names: &[&str]) -> Suite {
    let mut suite = Suite::running(names, |_| ());
    suite.propose("ana", "weights").unwrap();
    suite
}

fn reasons(called: Called) -> Vec<String> {
    let happened = called.unwrap();
    let skipped = happened
        .0
        .iter()
        .filter(|event| event.ty == "wasm-ballot_skipped");
    skipped
        .map(|event| {
            let reason = event.attributes.iter().find(|a| a.key == "reason");
            reason.expect("a reason").value.clone()
        })
        .collect()
}

#[test]
fn a_batch_is_counted_whole_before_the_round_closes() {
    let mut suite = Suite::running(&FIVE, |p| p.settle_early = true);
    suite.propose("ana", "weights").unwrap();
    let ballots = FIVE[1..]
        .iter()
        .map(|name| suite.signed(name, true))
        .collect::<Vec<_>>();
    let carried = suite.carry(&ballots).unwrap();
    assert_eq!(carried.names()[..4], ["vote_cast"; 4]);
    assert_eq!(carried.names()[4..], ["round_closed", "round_started"]);
    assert_eq!(
        carried.format_event("vote_cast"),
        [
            "experiment=1".to_string(),
            "round=0".to_string(),
            format!("learner={}", suite.account("bob")),
            "approve=true".to_string(),
            format!("vote_score={}", SCORES.0),
            format!("test_score={}", SCORES.1),
        ]
    );
    assert_eq!(suite.round_at(0).approvals, 4);
}

#[test]
fn bad_ballots_are_skipped_and_the_rest_counts() {
    let mut suite = proposed(&FIVE);
    suite.vote("bob", true).unwrap();
    let forged = suite.signed_as(
        "stranger",
        "cy",
        &suite.domain(),
        &suite.ballot_of(true, SCORES),
    );
    let ballots = [
        forged,
        suite.signed("stranger", true),
        suite.signed("ana", true),
        suite.signed("bob", false),
        suite.signed("dan", false),
        suite.signed("dan", true),
    ];
    let carried = suite.carry(&ballots);
    let expected = [
        "bad_signature",
        "not_a_learner",
        "not_eligible",
        "already_voted",
    ];
    assert_eq!(reasons(carried)[..4], expected);
    let held = suite.round();
    assert_eq!((held.approvals, held.rejections), (1, 1));
}

#[test]
fn skipped_ballots_name_learner_and_reason() {
    let mut suite = proposed(&THREE);
    let ballot = suite.signed("ana", true);
    let carried = suite.carry(&[ballot]).unwrap();
    assert_eq!(
        carried.format_event("ballot_skipped"),
        [
            "experiment=1".to_string(),
            "round=0".to_string(),
            format!("learner={}", suite.account("ana")),
            "reason=not_eligible".to_string(),
        ]
    );
    assert_eq!(carried.names(), ["ballot_skipped"]);
}

#[test]
fn everything_in_a_ballot_is_signed() {
    let mut suite = proposed(&THREE);
    let good = suite.signed("bob", true);
    let mut approve = good.clone();
    approve.approve = false;
    let mut vote_score = good.clone();
    vote_score.vote_score = 1u64.into();
    let mut test_score = good.clone();
    test_score.test_score = 1u64.into();
    let mut learner = good.clone();
    learner.learner = suite.account("cy").into_string();
    let bad = reasons(suite.carry(&[approve, vote_score, test_score, learner]));
    assert_eq!(bad, ["bad_signature"; 4]);
    assert_eq!(suite.carry(&[good]).unwrap().names(), ["vote_cast"]);
}

#[test]
fn a_ballot_is_bound_to_its_round() {
    let mut suite = proposed(&["ana", "bob"]);
    let old = suite.signed("bob", true);
    suite.let_lapse();
    suite.decline("bob").unwrap();
    suite.propose("ana", "more").unwrap();
    assert_eq!(reasons(suite.carry(&[old])), ["bad_signature"]);
}

#[test]
fn an_empty_batch_is_refused() {
    let mut suite = proposed(&["ana", "bob"]);
    assert_eq!(suite.carry(&[]), Err(E::InvalidParameter("ballots")));
}

#[test]
fn invalid_learner_address_refuses_the_batch() {
    let mut suite = proposed(&THREE);
    let good = suite.signed("bob", true);
    let mut bad = suite.signed("cy", true);
    bad.learner = "cy".to_string();
    assert_eq!(
        suite.carry(&[good, bad]),
        Err(E::InvalidParameter("ballots"))
    );
    assert_eq!(suite.round().approvals, 0);
}

#[test]
fn a_ballot_carried_twice_counts_once() {
    let mut suite = proposed(&THREE);
    let ballot = suite.signed("bob", true);
    let both = suite.carry(&[ballot.clone(), ballot.clone()]);
    assert_eq!(reasons(both), ["already_voted"]);
    assert_eq!(reasons(suite.carry(&[ballot])), ["already_voted"]);
    assert_eq!(
        suite.vote("bob", true),
        Err(E::AlreadyVoted(suite.account("bob")))
    );
}

#[test]
fn votes_sent_and_votes_carried_close_a_round_together() {
    let mut suite = proposed(&THREE);
    suite.vote("bob", false).unwrap();
    let ballot = suite.signed("cy", false);
    let carried = suite.carry(&[ballot]).unwrap();
    assert_eq!(carried.attribute("round_closed", "outcome"), "rejected");
    assert_eq!(suite.round_at(0).outcome, Outcome::Rejected);
}

#[test]
fn the_whole_batch_names_its_round() {
    let mut suite = proposed(&THREE);
    let ballots = vec![suite.signed("bob", true)];
    let msg = ExecuteMsg::VoteSigned {
        experiment: suite.id(),
        round: 1,
        ballots,
    };
    assert_eq!(suite.send("stranger", &msg), Err(E::WrongRound(0)));
}

#[test]
fn one_who_left_may_still_be_carried() {
    let mut suite = proposed(&THREE);
    suite.leave("bob").unwrap();
    let ballot = suite.signed("bob", true);
    assert_eq!(suite.carry(&[ballot]).unwrap().names(), ["vote_cast"]);
}
