//! Ballots that are signed off-chain (ADR-036) and submitted by any account.

use collective_learning::msg::ExecuteMsg;
use collective_learning::types::Outcome;
use collective_learning::ContractError as E;

use crate::suite::worlds::{FIVE, THREE};
use crate::suite::{CallResult, RoundFacts, Suite, NO, YES};

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
        .map(|name| suite.sign_ballot(name, YES))
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
            "approvals=1".to_string(),
            format!("scores={}", suite.score_text(2)),
        ]
    );
    assert_eq!(suite.round_at(0).tally(), (vec![4], 4));
}

#[test]
fn bad_ballots_are_skipped_and_the_others_count() {
    let mut suite = begin_vote(&FIVE);
    suite.vote("bob", YES).unwrap();
    let forged = suite.sign_ballot_as("stranger", "cy", &suite.domain(), &suite.ballot_of(YES));
    let ballots = [
        forged,
        suite.sign_ballot("stranger", YES),
        suite.sign_ballot("ana", YES),
        suite.sign_ballot("bob", NO),
        suite.sign_ballot("eve", 0b10),
        suite.sign_ballot("dan", NO),
        suite.sign_ballot("dan", YES),
    ];
    let submitted = suite.submit_ballots(&ballots);
    let expected = [
        "bad_signature",
        "not_a_learner",
        "not_eligible",
        "already_voted",
        "invalid_ballot",
        "already_voted",
    ];
    assert_eq!(skip_reasons(submitted), expected);
    assert_eq!(suite.round().tally(), (vec![1], 2));
}

#[test]
fn skipped_ballots_name_learner_and_reason() {
    let mut suite = begin_vote(&THREE);
    let ballot = suite.sign_ballot("ana", YES);
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
    let good = suite.sign_ballot("bob", YES);
    let mut approvals = good.clone();
    approvals.approvals = NO;
    let mut scores = good.clone();
    scores.scores = [0; 32].into();
    let mut learner = good.clone();
    learner.learner = suite.account("cy").into_string();
    let bad = skip_reasons(suite.submit_ballots(&[approvals, scores, learner]));
    assert_eq!(bad, ["bad_signature"; 3]);
    assert_eq!(
        suite.submit_ballots(&[good]).unwrap().names(),
        ["vote_cast"]
    );
}

#[test]
fn ballot_is_bound_to_its_round() {
    let mut suite = begin_vote(&["ana", "bob"]);
    let old = suite.sign_ballot("bob", YES);
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
    let good = suite.sign_ballot("bob", YES);
    let mut bad = suite.sign_ballot("cy", YES);
    bad.learner = "cy".to_string();
    assert_eq!(
        suite.submit_ballots(&[good, bad]),
        Err(E::InvalidParameter("ballots"))
    );
    assert_eq!(suite.round().tally(), (vec![0], 0));
}

#[test]
fn ballot_submitted_twice_counts_once() {
    let mut suite = begin_vote(&THREE);
    let ballot = suite.sign_ballot("bob", YES);
    let both = suite.submit_ballots(&[ballot.clone(), ballot.clone()]);
    assert_eq!(skip_reasons(both), ["already_voted"]);
    assert_eq!(
        skip_reasons(suite.submit_ballots(&[ballot])),
        ["already_voted"]
    );
    assert_eq!(
        suite.vote("bob", YES),
        Err(E::AlreadyVoted(suite.account("bob")))
    );
}

#[test]
fn direct_and_signed_votes_close_a_round_together() {
    let mut suite = begin_vote(&THREE);
    suite.vote("bob", NO).unwrap();
    let ballot = suite.sign_ballot("cy", NO);
    let submitted = suite.submit_ballots(&[ballot]).unwrap();
    assert_eq!(submitted.attribute("round_closed", "outcome"), "rejected");
    assert_eq!(suite.round_at(0).outcome, Outcome::Rejected);
}

#[test]
fn batch_for_another_round_is_refused() {
    let mut suite = begin_vote(&THREE);
    let ballots = vec![suite.sign_ballot("bob", YES)];
    let msg = ExecuteMsg::VoteSigned {
        experiment: suite.id(),
        round: 1,
        proposals: suite.digest().into(),
        ballots,
    };
    assert_eq!(suite.send("stranger", &msg), Err(E::WrongRound(0)));
}

#[test]
fn learner_that_left_may_still_vote_by_signature() {
    let mut suite = begin_vote(&THREE);
    suite.leave("bob").unwrap();
    let ballot = suite.sign_ballot("bob", YES);
    assert_eq!(
        suite.submit_ballots(&[ballot]).unwrap().names(),
        ["vote_cast"]
    );
}

#[test]
fn batch_on_other_proposals_is_refused() {
    let mut suite = begin_vote(&THREE);
    let ballot = suite.sign_ballot("bob", YES);
    let refused = Err(E::WrongProposals(suite.digest()));
    assert_eq!(suite.submit_ballots_on([7; 32], &[ballot]), refused);
    assert_eq!(suite.submit_ballots_on([7; 32], &[]), refused);
}

#[test]
fn ballot_signed_for_other_proposals_is_skipped() {
    let mut suite = begin_vote(&THREE);
    let mut vote = suite.ballot_of(YES);
    vote.proposals = [7; 32];
    let ballot = suite.sign_ballot_as("bob", "bob", &suite.domain(), &vote);
    let skipped = skip_reasons(suite.submit_ballots(&[ballot]));
    assert_eq!(skipped, ["bad_signature"]);
}

#[test]
fn batch_with_scores_of_the_wrong_length_is_refused() {
    let mut suite = begin_vote(&THREE);
    let good = suite.sign_ballot("bob", YES);
    for length in [0, 16, 31, 33, 48] {
        let mut vote = suite.ballot_of(YES);
        vote.scores = vec![0; length].into();
        let ballot = suite.sign_ballot_as("cy", "cy", &suite.domain(), &vote);
        let submitted = suite.submit_ballots(&[good.clone(), ballot]);
        assert_eq!(submitted, Err(E::InvalidParameter("ballots")), "{length}");
    }
    assert_eq!(suite.round().ballots, 0);
}
