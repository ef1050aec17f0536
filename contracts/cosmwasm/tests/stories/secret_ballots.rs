//! Secret ballots: commit, then reveal.

use collective_learning::msg::ExecuteMsg;
use collective_learning::types::{BallotState, Phase};
use collective_learning::ContractError as E;

use crate::suite::worlds::THREE;
use crate::suite::{salt, Suite, SCORES, WINDOW};

/// Returns a running experiment with secret ballots and a proposal of the first person.
fn open_secret_vote(names: &[&str]) -> Suite {
    let mut suite = Suite::running(names, |p| p.reveal_window = WINDOW as u32);
    suite.propose(names[0], "weights").unwrap();
    suite
}

#[test]
fn last_commitment_starts_the_reveal_phase() {
    let mut suite = open_secret_vote(&THREE);
    let sent = suite.commitment("bob", true);
    let committed = suite.commit("bob", true).unwrap();
    let hex = sent.iter().map(|b| format!("{b:02x}")).collect::<String>();
    assert_eq!(
        committed.attributes("vote_committed"),
        [
            "experiment=1".to_string(),
            "round=0".to_string(),
            format!("learner={}", suite.account("bob")),
            format!("commitment={hex}"),
        ]
    );
    assert_eq!(
        (suite.round().phase, suite.round().commitments),
        (Phase::Voting, 1)
    );
    assert_eq!(suite.ballot_state(0, "bob"), BallotState::Committed);

    suite.pass_time(9);
    let last = suite.commit("cy", true).unwrap();
    assert_eq!(last.names(), ["vote_committed", "reveal_started"]);
    let deadline = suite.now() + WINDOW;
    assert_eq!(
        last.attribute("reveal_started", "deadline"),
        deadline.to_string()
    );
    let round = suite.round();
    assert_eq!((round.phase, round.commitments), (Phase::Revealing, 2));
    assert_eq!(
        (round.reveal_started_at, round.deadline),
        (Some(suite.now()), Some(deadline))
    );
}

#[test]
fn revealed_ballots_count() {
    let mut suite = open_secret_vote(&THREE);
    suite.commit("bob", true).unwrap();
    suite.commit("cy", false).unwrap();
    assert_eq!(suite.reveal("bob", true).unwrap().names(), ["vote_cast"]);
    assert_eq!((suite.round().approvals, suite.round().rejections), (1, 0));
    let last = suite.reveal("cy", false).unwrap();
    assert_eq!(
        last.attributes("round_closed")[2..],
        [
            "outcome=accepted",
            "approvals=1",
            "rejections=1",
            "eligible=2"
        ]
    );
    assert_eq!(suite.ballot_state(0, "bob"), BallotState::Approved);
    assert_eq!(suite.ballot_state(0, "cy"), BallotState::Rejected);
    assert_eq!(suite.round_at(0).commitments, 2);
}

#[test]
fn no_ballot_is_counted_before_the_reveal_phase() {
    let mut suite = open_secret_vote(&THREE);
    suite.commit("bob", true).unwrap();
    let round = suite.round();
    assert_eq!(
        (round.approvals, round.rejections, round.commitments),
        (0, 0, 1)
    );
    assert_eq!(suite.reveal("bob", true), Err(E::WrongPhase(Phase::Voting)));
}

#[test]
fn reveal_between_the_deadline_and_advance_is_refused() {
    let mut suite = open_secret_vote(&THREE);
    suite.commit("bob", true).unwrap();
    suite.pass_deadline();
    assert_eq!(suite.reveal("bob", true), Err(E::WrongPhase(Phase::Voting)));
    assert_eq!(suite.advance().unwrap().names(), ["reveal_started"]);
    suite.reveal("bob", true).unwrap();
    assert_eq!(suite.round_at(0).approvals, 1);
}

#[test]
fn round_with_an_absent_voter_stays_open_until_its_deadline() {
    let mut suite = open_secret_vote(&THREE);
    suite.commit("bob", true).unwrap();
    suite.lapse_phase();
    suite.reveal("bob", true).unwrap();
    let deadline = suite.now() + WINDOW;
    assert_eq!(suite.advance(), Err(E::DeadlineNotPassed(deadline)));
    assert_eq!(
        suite.lapse_phase().attribute("round_closed", "outcome"),
        "accepted"
    );
    assert_eq!(suite.strikes(&["bob", "cy"]), [0, 1]);
}

#[test]
fn round_without_commitments_closes_at_the_deadline() {
    let mut suite = open_secret_vote(&THREE);
    suite.lapse_phase();
    assert_eq!(
        suite.lapse_phase().attribute("round_closed", "outcome"),
        "rejected"
    );
}

#[test]
fn reveal_must_match_the_commitment() {
    let mut suite = open_secret_vote(&THREE);
    suite.commit("bob", true).unwrap();
    suite.commit("cy", true).unwrap();
    let refused = Err(E::BadReveal(suite.account("bob")));
    let (vote_score, test_score) = SCORES;
    let wrong = [
        (false, SCORES, salt("bob")),
        (true, (vote_score + 1, test_score), salt("bob")),
        (true, (vote_score, test_score ^ 1), salt("bob")),
        (true, (test_score, vote_score), salt("bob")),
        (true, SCORES, salt("cy")),
    ];
    for (approve, scores, salt) in wrong {
        assert_eq!(suite.reveal_with("bob", approve, scores, &salt), refused);
    }
    let short = suite.reveal_with("bob", true, SCORES, &salt("bob")[..31]);
    assert_eq!(short, Err(E::InvalidParameter("salt")));
    suite.reveal("bob", true).unwrap();
}

#[test]
fn commitment_is_bound_to_its_round() {
    let mut suite = open_secret_vote(&["ana", "bob"]);
    let old = suite.commitment("bob", true);
    suite.lapse_phase();
    suite.lapse_phase();
    suite.decline("bob").unwrap();
    suite.propose("ana", "again").unwrap();
    suite.commit_bytes("bob", &old).unwrap();
    assert_eq!(
        suite.reveal("bob", true),
        Err(E::BadReveal(suite.account("bob")))
    );
}

#[test]
fn reveal_without_a_commitment_is_refused() {
    let mut suite = open_secret_vote(&THREE);
    suite.commit("bob", true).unwrap();
    suite.lapse_phase();
    assert_eq!(
        suite.reveal("cy", true),
        Err(E::BadReveal(suite.account("cy")))
    );
}

#[test]
fn commitment_cannot_be_changed_and_reveal_counts_once() {
    let mut suite = open_secret_vote(&THREE);
    suite.commit("bob", true).unwrap();
    let twice = Err(E::AlreadyVoted(suite.account("bob")));
    assert_eq!(suite.commit("bob", false), twice);
    assert_eq!(suite.commit_bytes("bob", &[0; 32]), twice);
    suite.commit("cy", true).unwrap();
    suite.reveal("bob", true).unwrap();
    assert_eq!(suite.reveal("bob", true), twice);
}

#[test]
fn zero_commitment_is_refused() {
    let mut suite = open_secret_vote(&THREE);
    assert_eq!(
        suite.commit_bytes("bob", &[0; 32]),
        Err(E::InvalidParameter("commitment"))
    );
}

#[test]
fn only_voters_commit_and_reveal() {
    let mut suite = open_secret_vote(&THREE);
    let (ana, stranger) = (suite.account("ana"), suite.account("stranger"));
    assert_eq!(suite.commit("ana", true), Err(E::NotEligible(ana.clone())));
    assert_eq!(
        suite.commit("stranger", true),
        Err(E::NotALearner(stranger.clone()))
    );
    suite.commit("bob", true).unwrap();
    suite.commit("cy", true).unwrap();
    assert_eq!(suite.reveal("ana", true), Err(E::NotEligible(ana)));
    assert_eq!(
        suite.reveal("stranger", true),
        Err(E::NotALearner(stranger))
    );
}

#[test]
fn open_ballots_are_refused_in_secret_votes() {
    let mut suite = open_secret_vote(&["ana", "bob"]);
    assert_eq!(suite.vote("bob", true), Err(E::WrongPhase(Phase::Voting)));
    let ballot = suite.sign_ballot("bob", true);
    assert_eq!(
        suite.submit_ballots(&[ballot]),
        Err(E::WrongPhase(Phase::Voting))
    );
}

#[test]
fn commitments_are_refused_in_open_votes() {
    let mut suite = Suite::running(&["ana", "bob"], |_| ());
    suite.propose("ana", "weights").unwrap();
    assert_eq!(suite.commit("bob", true), Err(E::WrongPhase(Phase::Voting)));
    assert_eq!(suite.reveal("bob", true), Err(E::WrongPhase(Phase::Voting)));
}

#[test]
fn late_commitments_and_late_reveals_are_refused() {
    let mut suite = open_secret_vote(&THREE);
    suite.commit("bob", true).unwrap();
    let deadline = suite.pass_deadline();
    assert_eq!(suite.commit("cy", true), Err(E::DeadlinePassed(deadline)));
    suite.advance().unwrap();
    assert_eq!(
        suite.commit("cy", true),
        Err(E::WrongPhase(Phase::Revealing))
    );
    let deadline = suite.pass_deadline();
    assert_eq!(suite.reveal("bob", true), Err(E::DeadlinePassed(deadline)));
}

#[test]
fn commit_for_another_round_is_refused() {
    let mut suite = open_secret_vote(&["ana", "bob"]);
    let commitment = suite.commitment("bob", true).into();
    let msg = ExecuteMsg::Commit {
        experiment: suite.id(),
        round: 1,
        commitment,
    };
    assert_eq!(suite.send("bob", &msg), Err(E::WrongRound(0)));
}

#[test]
fn learner_that_left_may_still_commit_and_reveal() {
    let mut suite = open_secret_vote(&THREE);
    suite.leave("bob").unwrap();
    suite.commit("bob", true).unwrap();
    suite.commit("cy", true).unwrap();
    suite.reveal("bob", true).unwrap();
    suite.reveal("cy", true).unwrap();
    assert_eq!(suite.round_at(0).approvals, 2);
}

#[test]
fn unrevealed_commitment_stays_on_record() {
    let mut suite = open_secret_vote(&THREE);
    suite.commit("bob", true).unwrap();
    suite.commit("cy", true).unwrap();
    suite.lapse_phase();
    let closed = suite.round_at(0);
    assert_eq!(
        (closed.approvals, closed.rejections, closed.commitments),
        (0, 0, 2)
    );
    assert_eq!(suite.ballot_state(0, "bob"), BallotState::Committed);
}
