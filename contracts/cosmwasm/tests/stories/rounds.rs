//! Proposals, open votes, and their effects on rounds and current weights.

use collective_learning::msg::{CurrentWeightsResponse, ExecuteMsg, QueryMsg};
use collective_learning::types::{BallotState, ContentRef, Outcome, Phase, SlotState, Status};
use collective_learning::ContractError as E;

use crate::suite::worlds::{FIVE, THREE};
use crate::suite::{content, RoundFacts, Suite, NO, SCORES, WINDOW, YES};

fn current(suite: &Suite) -> Vec<ContentRef> {
    let query = QueryMsg::CurrentWeights {
        experiment: suite.id(),
    };
    suite.ask::<CurrentWeightsResponse>(&query).contents
}

#[test]
fn proposal_opens_the_vote() {
    let mut suite = Suite::running(&THREE, |_| ());
    let opened = suite.round();
    assert_eq!(
        (opened.phase, opened.outcome),
        (Phase::Proposing, Outcome::None)
    );
    assert_eq!(opened.states(), [SlotState::Open]);
    assert_eq!(opened.slots[0].proposer, suite.account("ana"));
    assert_eq!((opened.proposals, opened.voting_started_at), (None, None));
    suite.pass_time(10);
    let proposed = suite.propose("ana", "weights").unwrap();
    let digest = content("weights")
        .digest
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect::<String>();
    assert_eq!(
        proposed.attributes("weights_proposed"),
        [
            "experiment=1".to_string(),
            "round=0".to_string(),
            format!("proposer={}", suite.account("ana")),
            "slot=0".to_string(),
            "codec=85".to_string(),
            format!("digest={digest}"),
            format!("sha256={digest}"),
            "size=7".to_string(),
            format!("vote_score={}", SCORES.0),
            format!("test_score={}", SCORES.1),
        ]
    );
    assert_eq!(proposed.names(), ["weights_proposed", "voting_started"]);
    assert_eq!(
        proposed.attributes("voting_started"),
        [
            "experiment=1".to_string(),
            "round=0".to_string(),
            format!("proposals={digest}"),
            format!("deadline={}", suite.now() + WINDOW),
        ]
    );
    let round = suite.round();
    assert_eq!(
        (round.phase, round.content(0)),
        (Phase::Voting, Some(content("weights")))
    );
    assert_eq!(round.proposals, Some(content("weights").sha256));
    assert_eq!(round.slots[0].proposed_at, Some(suite.now()));
    assert_eq!(round.voting_started_at, Some(suite.now()));
    assert_eq!(round.deadline, Some(suite.now() + WINDOW));
    assert_eq!(round.started_at, suite.now() - 10);
    assert_eq!(current(&suite), [content("initial")]);
}

#[test]
fn last_ballot_closes_the_round_and_starts_the_next() {
    let mut suite = Suite::running(&THREE, |_| ());
    suite.propose("ana", "weights").unwrap();
    let cast = suite.vote("bob", YES).unwrap();
    assert_eq!(
        cast.attributes("vote_cast"),
        [
            "experiment=1".to_string(),
            "round=0".to_string(),
            format!("learner={}", suite.account("bob")),
            "approvals=1".to_string(),
            format!("scores={}", suite.score_text(2)),
        ]
    );
    assert_eq!(cast.names(), ["vote_cast"]);
    suite.pass_time(5);
    let last = suite.vote("cy", YES).unwrap();
    assert_eq!(last.names(), ["vote_cast", "round_closed", "round_started"]);
    assert_eq!(
        last.attributes("round_closed"),
        [
            "experiment=1",
            "round=0",
            "outcome=accepted",
            "accepted=1",
            "approvals=2",
            "eligible=2"
        ]
    );
    assert_eq!(
        last.attribute("round_started", "proposers"),
        suite.account("bob").as_str()
    );
    let closed = suite.round_at(0);
    assert_eq!(
        (closed.phase, closed.outcome),
        (Phase::Closed, Outcome::Accepted)
    );
    assert_eq!(
        (closed.closed_at, closed.deadline),
        (Some(suite.now()), None)
    );
    assert!(!closed.by_deadline);
}

#[test]
fn accepted_proposal_becomes_current() {
    let mut suite = Suite::running(&["ana", "bob"], |_| ());
    suite.propose("ana", "better").unwrap();
    suite.vote("bob", YES).unwrap();
    let e = suite.experiment();
    assert_eq!(
        (e.current, e.current_round),
        (vec![content("better")], Some(0))
    );
    assert_eq!(current(&suite), [content("better")]);
    assert_eq!(suite.round_at(0).accepted(), [0]);
}

#[test]
fn rejection_keeps_the_current_weights() {
    let mut suite = Suite::running(&["ana", "bob"], |_| ());
    suite.propose("ana", "worse").unwrap();
    let closed = suite.vote("bob", NO).unwrap();
    assert_eq!(closed.attribute("round_closed", "outcome"), "rejected");
    let e = suite.experiment();
    assert_eq!(
        (e.current, e.current_round, e.round),
        (vec![content("initial")], None, Some(1))
    );
    assert_eq!(suite.round_at(0).content(0), Some(content("worse")));
    assert!(suite.round_at(0).accepted().is_empty());
}

#[test]
fn first_accepted_proposal_becomes_current_without_initial_weights() {
    let mut suite = Suite::running(&["ana", "bob"], |p| p.initial = None);
    assert_eq!(current(&suite), []);
    suite.propose("ana", "first").unwrap();
    suite.vote("bob", YES).unwrap();
    assert_eq!(current(&suite), [content("first")]);
}

#[test]
fn approval_share_of_eligible_voters_is_inclusive() {
    let cases = [
        (5_000, 2, Outcome::Accepted), // 2 of 4
        (5_000, 1, Outcome::Rejected),
        (5_001, 2, Outcome::Rejected),
        (7_500, 3, Outcome::Accepted),
        (10_000, 4, Outcome::Accepted),
        (10_000, 3, Outcome::Rejected),
        (1, 1, Outcome::Accepted),
        (1, 0, Outcome::Rejected), // always at least one approval
    ];
    for (bps, approvals, outcome) in cases {
        let mut suite = Suite::running(&FIVE, |p| p.approval_bps = bps);
        suite.propose("ana", "weights").unwrap();
        for (place, name) in FIVE[1..].iter().enumerate() {
            suite.vote(name, (place < approvals).into()).unwrap();
        }
        let closed = suite.round_at(0);
        assert_eq!(closed.outcome, outcome, "{approvals} of 4 at {bps}");
        assert_eq!(closed.tally(), (vec![approvals as u32], 4));
    }
}

#[test]
fn vote_before_a_proposal_is_refused() {
    let mut suite = Suite::running(&["ana", "bob"], |_| ());
    assert_eq!(suite.vote("bob", YES), Err(E::WrongPhase(Phase::Proposing)));
}

#[test]
fn second_ballot_of_a_voter_is_refused() {
    let mut suite = Suite::running(&THREE, |_| ());
    suite.propose("ana", "weights").unwrap();
    suite.vote("bob", NO).unwrap();
    assert_eq!(
        suite.vote("bob", YES),
        Err(E::AlreadyVoted(suite.account("bob")))
    );
    let ballot = suite.ballot(0, "bob");
    assert_eq!((ballot.state, ballot.approvals), (BallotState::Cast, NO));
    assert_eq!(suite.round().tally(), (vec![0], 1));
}

#[test]
fn votes_of_proposer_and_outsiders_are_refused() {
    let mut suite = Suite::running(&["ana", "bob"], |p| p.late_join = true);
    suite.join("late").unwrap();
    suite.propose("ana", "weights").unwrap();
    assert_eq!(
        suite.vote("ana", YES),
        Err(E::NotEligible(suite.account("ana")))
    );
    assert_eq!(
        suite.vote("late", YES),
        Err(E::NotEligible(suite.account("late")))
    );
    assert_eq!(
        suite.vote("stranger", YES),
        Err(E::NotALearner(suite.account("stranger")))
    );
}

#[test]
fn call_for_another_round_is_refused() {
    let mut suite = Suite::running(&["ana", "bob"], |_| ());
    suite.decline("ana").unwrap();
    for round in [0, 2, u32::MAX] {
        let experiment = suite.id();
        let decline = ExecuteMsg::Decline { experiment, round };
        let mut vote = suite.ballot_of(YES);
        vote.round = round;
        assert_eq!(suite.cast("bob", &vote), Err(E::WrongRound(1)));
        assert_eq!(
            suite.propose_in(round, "bob", content("w")),
            Err(E::WrongRound(1))
        );
        assert_eq!(suite.send("bob", &decline), Err(E::WrongRound(1)));
    }
}

#[test]
fn experiment_completes_after_its_last_round() {
    let mut suite = Suite::running(&["ana", "bob"], |p| p.rounds = 2);
    suite.decline("ana").unwrap();
    suite.propose("bob", "weights").unwrap();
    suite.pass_time(3);
    let last = suite.vote("ana", YES).unwrap();
    assert_eq!(
        last.names(),
        ["vote_cast", "round_closed", "experiment_completed"]
    );
    let e = suite.experiment();
    assert_eq!(
        (e.status, e.ended_at, e.round),
        (Status::Completed, Some(suite.now()), Some(1))
    );
}

#[test]
fn score_may_be_any_64_bits() {
    let mut suite = Suite::running(&["ana", "bob"], |_| ());
    suite.propose("ana", "weights").unwrap();
    let mut vote = suite.ballot_of(NO);
    let bits = [u64::MAX, 0x7ff8_0000_0000_0000, 0, 1].map(u64::to_be_bytes);
    vote.scores = bits.concat().into();
    let cast = suite.cast("bob", &vote).unwrap();
    assert_eq!(
        cast.attribute("vote_cast", "scores"),
        "ffffffffffffffff7ff800000000000000000000000000000000000000000001"
    );
}
