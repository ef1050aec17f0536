//! Ballots that are signed off-chain (ADR-036) and submitted by any account.

use collective_learning::msg::ExecuteMsg;
use collective_learning::types::Outcome;
use collective_learning::ContractError as E;

use crate::suite::worlds::{FIVE, THREE};
use crate::suite::{CallResult, Suite, SCORES};

fn begin_vote(names: &[&str]) -> Suite {
    let mut suite = Suite::running(names, |_| ());
    suite.propose("ana", "weights").unwrap();
    suite
}

fn skip_reasons(called: CallResult) -> Vec<String> {
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
fn whole_batch_is_counted_before_the_round_closes() {
    let mut suite = Suite::running(&FIVE, |p| p.settle_early = true);
    suite.propose("ana", "weights").unwrap();
    let ballots = FIVE[1..]
        .iter()
        .map(|name| suite.sign_ballot(name, true))
        .collect::<Vec<_>>();
    let submitted = suite.submit_ballots(&ballots).unwrap();
    assert_eq!(submitted.names()[..4], ["vote_cast"; 4]);
    assert_eq!(submitted.names()[4..], ["round_closed", "round_started"]);
    assert_eq!(
        submitted.attributes("vote_cast"),
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
fn bad_ballots_are_skipped_and_the_others_count() {
    let mut suite = begin_vote(&FIVE);
    suite.vote("bob", true).unwrap();
    let forged = suite.sign_ballot_as(
        "stranger",
        "cy",
        &suite.domain(),
        &suite.ballot_of(true, SCORES),
    );
    let ballots = [
        forged,
        suite.sign_ballot("stranger", true),
        suite.sign_ballot("ana", true),
        suite.sign_ballot("bob", false),
        suite.sign_ballot("dan", false),
        suite.sign_ballot("dan", true),
    ];
    let submitted = suite.submit_ballots(&ballots);
    let expected = [
        "bad_signature",
        "not_a_learner",
        "not_eligible",
        "already_voted",
    ];
    assert_eq!(skip_reasons(submitted)[..4], expected);
    let round = suite.round();
    assert_eq!((round.approvals, round.rejections), (1, 1));
}

#[test]
fn skipped_ballots_name_learner_and_reason() {
    let mut suite = begin_vote(&THREE);
    let ballot = suite.sign_ballot("ana", true);
    let submitted = suite.submit_ballots(&[ballot]).unwrap();
    assert_eq!(
        submitted.attributes("ballot_skipped"),
        [
            "experiment=1".to_string(),
            "round=0".to_string(),
            format!("learner={}", suite.account("ana")),
            "reason=not_eligible".to_string(),
        ]
    );
    assert_eq!(submitted.names(), ["ballot_skipped"]);
}

#[test]
fn signature_covers_every_field_of_a_ballot() {
    let mut suite = begin_vote(&THREE);
    let good = suite.sign_ballot("bob", true);
    let mut approve = good.clone();
    approve.approve = false;
    let mut vote_score = good.clone();
    vote_score.vote_score = 1u64.into();
    let mut test_score = good.clone();
    test_score.test_score = 1u64.into();
    let mut learner = good.clone();
    learner.learner = suite.account("cy").into_string();
    let bad = skip_reasons(suite.submit_ballots(&[approve, vote_score, test_score, learner]));
    assert_eq!(bad, ["bad_signature"; 4]);
    assert_eq!(
        suite.submit_ballots(&[good]).unwrap().names(),
        ["vote_cast"]
    );
}

#[test]
fn ballot_is_bound_to_its_round() {
    let mut suite = begin_vote(&["ana", "bob"]);
    let old = suite.sign_ballot("bob", true);
    suite.lapse_phase();
    suite.decline("bob").unwrap();
    suite.propose("ana", "more").unwrap();
    assert_eq!(
        skip_reasons(suite.submit_ballots(&[old])),
        ["bad_signature"]
    );
}

#[test]
fn empty_batch_is_refused() {
    let mut suite = begin_vote(&["ana", "bob"]);
    assert_eq!(
        suite.submit_ballots(&[]),
        Err(E::InvalidParameter("ballots"))
    );
}

#[test]
fn invalid_learner_address_refuses_the_batch() {
    let mut suite = begin_vote(&THREE);
    let good = suite.sign_ballot("bob", true);
    let mut bad = suite.sign_ballot("cy", true);
    bad.learner = "cy".to_string();
    assert_eq!(
        suite.submit_ballots(&[good, bad]),
        Err(E::InvalidParameter("ballots"))
    );
    assert_eq!(suite.round().approvals, 0);
}

#[test]
fn ballot_submitted_twice_counts_once() {
    let mut suite = begin_vote(&THREE);
    let ballot = suite.sign_ballot("bob", true);
    let both = suite.submit_ballots(&[ballot.clone(), ballot.clone()]);
    assert_eq!(skip_reasons(both), ["already_voted"]);
    assert_eq!(
        skip_reasons(suite.submit_ballots(&[ballot])),
        ["already_voted"]
    );
    assert_eq!(
        suite.vote("bob", true),
        Err(E::AlreadyVoted(suite.account("bob")))
    );
}

#[test]
fn direct_and_signed_votes_close_a_round_together() {
    let mut suite = begin_vote(&THREE);
    suite.vote("bob", false).unwrap();
    let ballot = suite.sign_ballot("cy", false);
    let submitted = suite.submit_ballots(&[ballot]).unwrap();
    assert_eq!(submitted.attribute("round_closed", "outcome"), "rejected");
    assert_eq!(suite.round_at(0).outcome, Outcome::Rejected);
}

#[test]
fn batch_for_another_round_is_refused() {
    let mut suite = begin_vote(&THREE);
    let ballots = vec![suite.sign_ballot("bob", true)];
    let msg = ExecuteMsg::VoteSigned {
        experiment: suite.id(),
        round: 1,
        ballots,
    };
    assert_eq!(suite.send("stranger", &msg), Err(E::WrongRound(0)));
}

#[test]
fn learner_that_left_may_still_vote_by_signature() {
    let mut suite = begin_vote(&THREE);
    suite.leave("bob").unwrap();
    let ballot = suite.sign_ballot("bob", true);
    assert_eq!(
        suite.submit_ballots(&[ballot]).unwrap().names(),
        ["vote_cast"]
    );
}
