//! Secret ballots: commit, then reveal.

use collective_learning::msg::ExecuteMsg;
use collective_learning::signing::Vote;
use collective_learning::types::{BallotState, Phase};
use collective_learning::ContractError as E;
use cosmwasm_std::Binary;

use crate::suite::worlds::THREE;
use crate::suite::{salt, RoundFacts, Suite, NO, WINDOW, YES};

/// Returns a running experiment with secret ballots and a proposal of the first person.
fn open_secret_vote(names: &[&str]) -> Suite {
    let mut suite = Suite::running(names, |p| p.reveal_window = WINDOW as u32);
    suite.propose(names[0], "weights").unwrap();
    suite
}

#[test]
fn last_commitment_starts_the_reveal_phase() {
    let mut suite = open_secret_vote(&THREE);
    let sent = suite.commitment("bob", YES);
    let committed = suite.commit("bob", YES).unwrap();
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
    let last = suite.commit("cy", YES).unwrap();
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
    suite.commit("bob", YES).unwrap();
    suite.commit("cy", NO).unwrap();
    assert_eq!(suite.reveal("bob", YES).unwrap().names(), ["vote_cast"]);
    assert_eq!(suite.round().tally(), (vec![1], 1));
    let last = suite.reveal("cy", NO).unwrap();
    assert_eq!(
        last.attributes("round_closed")[2..],
        [
            "outcome=accepted",
            "accepted=1",
            "approvals=1",
            "eligible=2"
        ]
    );
    for (name, approvals) in [("bob", YES), ("cy", NO)] {
        let ballot = suite.ballot(0, name);
        assert_eq!(
            (ballot.state, ballot.approvals),
            (BallotState::Cast, approvals)
        );
    }
    assert_eq!(suite.round_at(0).commitments, 2);
}

#[test]
fn no_ballot_is_counted_before_the_reveal_phase() {
    let mut suite = open_secret_vote(&THREE);
    suite.commit("bob", YES).unwrap();
    let round = suite.round();
    assert_eq!((round.tally(), round.commitments), ((vec![0], 0), 1));
    assert_eq!(suite.reveal("bob", YES), Err(E::WrongPhase(Phase::Voting)));
}

#[test]
fn reveal_between_the_deadline_and_advance_is_refused() {
    let mut suite = open_secret_vote(&THREE);
    suite.commit("bob", YES).unwrap();
    suite.pass_deadline();
    assert_eq!(suite.reveal("bob", YES), Err(E::WrongPhase(Phase::Voting)));
    assert_eq!(suite.advance().unwrap().names(), ["reveal_started"]);
    suite.reveal("bob", YES).unwrap();
    assert_eq!(suite.round_at(0).tally(), (vec![1], 1));
}

#[test]
fn round_with_an_absent_voter_stays_open_until_its_deadline() {
    let mut suite = open_secret_vote(&THREE);
    suite.commit("bob", YES).unwrap();
    suite.lapse_phase();
    suite.reveal("bob", YES).unwrap();
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
    suite.commit("bob", YES).unwrap();
    suite.commit("cy", YES).unwrap();
    let refused = Err(E::BadReveal(suite.account("bob")));
    let good = suite.ballot_of(YES);
    let wrong = |change: fn(&mut Vote)| {
        let mut vote = good.clone();
        change(&mut vote);
        vote
    };
    let ballots = [
        wrong(|vote| vote.approvals = NO),
        wrong(|vote| vote.approvals = 0b10), // also not valid, which is checked later
        wrong(|vote| vote.scores = vec![0; 32].into()),
        wrong(|vote| vote.scores = Binary::default()),
    ];
    for vote in ballots {
        assert_eq!(suite.reveal_with("bob", &vote, &salt("bob")), refused);
    }
    assert_eq!(suite.reveal_with("bob", &good, &salt("cy")), refused);
    let short = suite.reveal_with("bob", &good, &salt("bob")[..31]);
    assert_eq!(short, Err(E::InvalidParameter("salt")));
    suite.reveal("bob", YES).unwrap();
}

#[test]
fn commitment_is_bound_to_its_round() {
    let mut suite = open_secret_vote(&["ana", "bob"]);
    let old = suite.commitment("bob", YES);
    suite.lapse_phase();
    suite.lapse_phase();
    suite.decline("bob").unwrap();
    suite.propose("ana", "again").unwrap();
    suite.commit_bytes("bob", &old).unwrap();
    assert_eq!(
        suite.reveal("bob", YES),
        Err(E::BadReveal(suite.account("bob")))
    );
}

#[test]
fn reveal_without_a_commitment_is_refused() {
    let mut suite = open_secret_vote(&THREE);
    suite.commit("bob", YES).unwrap();
    suite.lapse_phase();
    assert_eq!(
        suite.reveal("cy", YES),
        Err(E::BadReveal(suite.account("cy")))
    );
}

#[test]
fn commitment_cannot_be_changed_and_reveal_counts_once() {
    let mut suite = open_secret_vote(&THREE);
    suite.commit("bob", YES).unwrap();
    let twice = Err(E::AlreadyVoted(suite.account("bob")));
    assert_eq!(suite.commit("bob", NO), twice);
    assert_eq!(suite.commit_bytes("bob", &[0; 32]), twice);
    suite.commit("cy", YES).unwrap();
    suite.reveal("bob", YES).unwrap();
    assert_eq!(suite.reveal("bob", YES), twice);
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
    assert_eq!(suite.commit("ana", YES), Err(E::NotEligible(ana.clone())));
    assert_eq!(
        suite.commit("stranger", YES),
        Err(E::NotALearner(stranger.clone()))
    );
    suite.commit("bob", YES).unwrap();
    suite.commit("cy", YES).unwrap();
    assert_eq!(suite.reveal("ana", YES), Err(E::NotEligible(ana)));
    assert_eq!(suite.reveal("stranger", YES), Err(E::NotALearner(stranger)));
}

#[test]
fn open_ballots_are_refused_in_secret_votes() {
    let mut suite = open_secret_vote(&["ana", "bob"]);
    assert_eq!(suite.vote("bob", YES), Err(E::WrongPhase(Phase::Voting)));
    let ballot = suite.sign_ballot("bob", YES);
    assert_eq!(
        suite.submit_ballots(&[ballot]),
        Err(E::WrongPhase(Phase::Voting))
    );
}

#[test]
fn commitments_are_refused_in_open_votes() {
    let mut suite = Suite::running(&["ana", "bob"], |_| ());
    suite.propose("ana", "weights").unwrap();
    assert_eq!(suite.commit("bob", YES), Err(E::WrongPhase(Phase::Voting)));
    assert_eq!(suite.reveal("bob", YES), Err(E::WrongPhase(Phase::Voting)));
}

#[test]
fn late_commitments_and_late_reveals_are_refused() {
    let mut suite = open_secret_vote(&THREE);
    suite.commit("bob", YES).unwrap();
    let deadline = suite.pass_deadline();
    assert_eq!(suite.commit("cy", YES), Err(E::DeadlinePassed(deadline)));
    suite.advance().unwrap();
    assert_eq!(
        suite.commit("cy", YES),
        Err(E::WrongPhase(Phase::Revealing))
    );
    let deadline = suite.pass_deadline();
    assert_eq!(suite.reveal("bob", YES), Err(E::DeadlinePassed(deadline)));
}

#[test]
fn commit_for_another_round_is_refused() {
    let mut suite = open_secret_vote(&["ana", "bob"]);
    let commitment = suite.commitment("bob", YES).into();
    let msg = ExecuteMsg::Commit {
        experiment: suite.id(),
        round: 1,
        proposals: suite.digest().into(),
        commitment,
    };
    assert_eq!(suite.send("bob", &msg), Err(E::WrongRound(0)));
}

#[test]
fn learner_that_left_may_still_commit_and_reveal() {
    let mut suite = open_secret_vote(&THREE);
    suite.leave("bob").unwrap();
    suite.commit("bob", YES).unwrap();
    suite.commit("cy", YES).unwrap();
    suite.reveal("bob", YES).unwrap();
    suite.reveal("cy", YES).unwrap();
    assert_eq!(suite.round_at(0).tally(), (vec![2], 2));
}

#[test]
fn unrevealed_commitment_stays_on_record() {
    let mut suite = open_secret_vote(&THREE);
    suite.commit("bob", YES).unwrap();
    suite.commit("cy", YES).unwrap();
    suite.lapse_phase();
    let closed = suite.round_at(0);
    assert_eq!((closed.tally(), closed.commitments), ((vec![0], 0), 2));
    assert_eq!(suite.ballot_state(0, "bob"), BallotState::Committed);
}

#[test]
fn commitment_to_an_invalid_ballot_cannot_be_revealed() {
    let mut suite = open_secret_vote(&THREE);
    let digest = suite.digest().into();
    let mut empty_slot = suite.ballot_of(0b10);
    let mut short = suite.ballot_of(YES);
    short.scores = vec![0; 24].into();
    for (name, vote) in [("bob", &mut empty_slot), ("cy", &mut short)] {
        let commitment = suite.commitment_to(name, vote);
        suite.commit_to(&digest, name, &commitment).unwrap();
    }
    let revealed = suite.reveal_with("bob", &empty_slot, &salt("bob"));
    assert_eq!(revealed, Err(E::InvalidParameter("approvals")));
    let revealed = suite.reveal_with("cy", &short, &salt("cy"));
    assert_eq!(revealed, Err(E::InvalidParameter("scores")));
    suite.lapse_phase();
    assert_eq!(suite.strikes(&["bob", "cy"]), [1, 1]);
}

#[test]
fn commitment_names_the_proposals() {
    let mut suite = open_secret_vote(&THREE);
    let commitment = suite.commitment("bob", YES);
    let other = Binary::from([7; 32]);
    let refused = Err(E::WrongProposals(suite.digest()));
    assert_eq!(suite.commit_to(&other, "bob", &commitment), refused);
    assert_eq!(suite.commit_to(&other, "bob", &[0; 32]), refused);

    let mut vote = suite.ballot_of(YES);
    vote.proposals = [7; 32];
    let blind = suite.commitment_to("bob", &vote);
    suite.commit_bytes("bob", &blind).unwrap();
    suite.commit("cy", YES).unwrap();
    let revealed = suite.reveal("bob", YES);
    assert_eq!(revealed, Err(E::BadReveal(suite.account("bob"))));
}
