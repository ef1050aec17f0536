//! Proposals, open votes, and their effects on rounds and current weights.

use collective_learning::msg::{CurrentWeightsResponse, ExecuteMsg, QueryMsg};
use collective_learning::types::{BallotState, ContentRef, Outcome, Phase, Status, CODEC_DAG_PB};
use collective_learning::ContractError as E;
use cosmwasm_std::Binary;

use crate::suite::worlds::{FIVE, THREE};
use crate::suite::{content, Suite, SCORES, WINDOW};

fn current(suite: &Suite) -> Option<ContentRef> {
    let query = QueryMsg::CurrentWeights {
        experiment: suite.id(),
    };
    suite.ask::<CurrentWeightsResponse>(&query).content
}

#[test]
fn proposal_opens_the_vote() {
    let mut suite = Suite::running(&THREE, |_| ());
    let opened = suite.round();
    assert_eq!(
        (opened.phase, opened.outcome),
        (Phase::Proposing, Outcome::None)
    );
    assert_eq!(opened.proposer, suite.account("ana"));
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
            "codec=85".to_string(),
            format!("digest={digest}"),
            format!("sha256={digest}"),
            "size=7".to_string(),
            format!("vote_score={}", SCORES.0),
            format!("test_score={}", SCORES.1),
            format!("deadline={}", suite.now() + WINDOW),
        ]
    );
    let round = suite.round();
    assert_eq!(
        (round.phase, round.content),
        (Phase::Voting, Some(content("weights")))
    );
    assert_eq!(round.proposed_at, Some(suite.now()));
    assert_eq!(round.deadline, Some(suite.now() + WINDOW));
    assert_eq!(round.started_at, suite.now() - 10);
    assert_eq!(current(&suite), Some(content("initial")));
}

#[test]
fn last_ballot_closes_the_round_and_starts_the_next() {
    let mut suite = Suite::running(&THREE, |_| ());
    suite.propose("ana", "weights").unwrap();
    let cast = suite.vote("bob", true).unwrap();
    assert_eq!(
        cast.attributes("vote_cast"),
        [
            "experiment=1".to_string(),
            "round=0".to_string(),
            format!("learner={}", suite.account("bob")),
            "approve=true".to_string(),
            format!("vote_score={}", SCORES.0),
            format!("test_score={}", SCORES.1),
        ]
    );
    assert_eq!(cast.names(), ["vote_cast"]);
    suite.pass_time(5);
    let last = suite.vote("cy", true).unwrap();
    assert_eq!(last.names(), ["vote_cast", "round_closed", "round_started"]);
    assert_eq!(
        last.attributes("round_closed"),
        [
            "experiment=1",
            "round=0",
            "outcome=accepted",
            "approvals=2",
            "rejections=0",
            "eligible=2"
        ]
    );
    assert_eq!(
        last.attribute("round_started", "proposer"),
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
    suite.vote("bob", true).unwrap();
    let e = suite.experiment();
    assert_eq!(
        (e.current, e.current_round),
        (Some(content("better")), Some(0))
    );
    assert_eq!(current(&suite), Some(content("better")));
}

#[test]
fn rejection_keeps_the_current_weights() {
    let mut suite = Suite::running(&["ana", "bob"], |_| ());
    suite.propose("ana", "worse").unwrap();
    let closed = suite.vote("bob", false).unwrap();
    assert_eq!(closed.attribute("round_closed", "outcome"), "rejected");
    let e = suite.experiment();
    assert_eq!(
        (e.current, e.current_round, e.round),
        (Some(content("initial")), None, Some(1))
    );
    assert_eq!(suite.round_at(0).content, Some(content("worse")));
}

#[test]
fn first_accepted_proposal_becomes_current_without_initial_weights() {
    let mut suite = Suite::running(&["ana", "bob"], |p| p.initial = None);
    assert_eq!(current(&suite), None);
    suite.propose("ana", "first").unwrap();
    suite.vote("bob", true).unwrap();
    assert_eq!(current(&suite), Some(content("first")));
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
            suite.vote(name, place < approvals).unwrap();
        }
        let closed = suite.round_at(0);
        assert_eq!(closed.outcome, outcome, "{approvals} of 4 at {bps}");
        assert_eq!(
            (closed.approvals, closed.rejections),
            (approvals as u32, 4 - approvals as u32)
        );
    }
}

#[test]
fn only_the_proposer_proposes_or_declines() {
    let mut suite = Suite::running(&["ana", "bob"], |_| ());
    for name in ["bob", "stranger", "creator"] {
        let refused = Err(E::NotProposer(suite.account(name)));
        assert_eq!(suite.propose(name, "weights"), refused);
        assert_eq!(suite.decline(name), refused);
    }
}

#[test]
fn current_weights_are_refused_as_a_proposal() {
    let mut suite = Suite::running(&["ana", "bob"], |_| ());
    assert_eq!(suite.propose("ana", "initial"), Err(E::Unchanged()));
    let same_bytes = ContentRef {
        codec: CODEC_DAG_PB,
        digest: Binary::from([9; 32]),
        ..content("initial")
    };
    assert_eq!(suite.propose_in(0, "ana", same_bytes), Err(E::Unchanged()));
    suite.propose("ana", "next").unwrap();
    suite.vote("bob", true).unwrap();
    assert_eq!(suite.propose("bob", "next"), Err(E::Unchanged()));
    suite.propose("bob", "initial").unwrap(); // weights that were current before may return
}

#[test]
fn malformed_content_is_refused() {
    let mut suite = Suite::running(&["ana", "bob"], |_| ());
    let good = content("weights");
    let zero = Binary::from([0; 32]);
    let bad = [
        ContentRef {
            codec: 0x71,
            ..good.clone()
        },
        ContentRef {
            size: 0u64.into(),
            ..good.clone()
        },
        ContentRef {
            digest: zero.clone(),
            sha256: zero.clone(),
            ..good.clone()
        },
        ContentRef {
            digest: Binary::from([1; 32]),
            ..good.clone()
        },
        ContentRef {
            codec: CODEC_DAG_PB,
            sha256: zero,
            ..good.clone()
        },
        ContentRef {
            digest: Binary::from([1; 20]),
            ..good.clone()
        },
    ];
    for content in bad {
        assert_eq!(
            suite.propose_in(0, "ana", content),
            Err(E::InvalidParameter("content"))
        );
    }
    let tree = ContentRef {
        codec: CODEC_DAG_PB,
        digest: Binary::from([1; 32]),
        ..good
    };
    suite.propose_in(0, "ana", tree).unwrap();
}

#[test]
fn rejected_weights_may_be_proposed_again() {
    let mut suite = Suite::running(&["ana", "bob"], |_| ());
    suite.propose("ana", "weights").unwrap();
    suite.vote("bob", false).unwrap();
    suite.propose("bob", "weights").unwrap();
    assert_eq!(suite.round().phase, Phase::Voting);
}

#[test]
fn declining_closes_the_round_at_once_without_a_strike() {
    let mut suite = Suite::running(&["ana", "bob"], |_| ());
    let declined = suite.decline("ana").unwrap();
    assert_eq!(
        declined.names(),
        ["proposal_declined", "round_closed", "round_started"]
    );
    assert_eq!(declined.attribute("round_closed", "outcome"), "no_proposal");
    let closed = suite.round_at(0);
    assert_eq!(
        (closed.outcome, closed.content),
        (Outcome::NoProposal, None)
    );
    assert!(!closed.by_deadline);
    assert_eq!(suite.strikes(&["ana", "bob"]), [0, 0]);
    assert_eq!(suite.proposer(&["ana", "bob"]), "bob");
}

#[test]
fn proposal_cannot_be_withdrawn_or_replaced() {
    let mut suite = Suite::running(&["ana", "bob"], |_| ());
    suite.propose("ana", "weights").unwrap();
    assert_eq!(
        suite.propose("ana", "other"),
        Err(E::WrongPhase(Phase::Voting))
    );
    assert_eq!(suite.decline("ana"), Err(E::WrongPhase(Phase::Voting)));
}

#[test]
fn vote_before_a_proposal_is_refused() {
    let mut suite = Suite::running(&["ana", "bob"], |_| ());
    assert_eq!(
        suite.vote("bob", true),
        Err(E::WrongPhase(Phase::Proposing))
    );
}

#[test]
fn second_ballot_of_a_voter_is_refused() {
    let mut suite = Suite::running(&THREE, |_| ());
    suite.propose("ana", "weights").unwrap();
    suite.vote("bob", false).unwrap();
    assert_eq!(
        suite.vote("bob", true),
        Err(E::AlreadyVoted(suite.account("bob")))
    );
    assert_eq!(suite.ballot_state(0, "bob"), BallotState::Rejected);
    assert_eq!((suite.round().approvals, suite.round().rejections), (0, 1));
}

#[test]
fn votes_of_proposer_and_outsiders_are_refused() {
    let mut suite = Suite::running(&["ana", "bob"], |p| p.late_join = true);
    suite.join("late").unwrap();
    suite.propose("ana", "weights").unwrap();
    assert_eq!(
        suite.vote("ana", true),
        Err(E::NotEligible(suite.account("ana")))
    );
    assert_eq!(
        suite.vote("late", true),
        Err(E::NotEligible(suite.account("late")))
    );
    assert_eq!(
        suite.vote("stranger", true),
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
        assert_eq!(suite.vote_in(round, "bob", true), Err(E::WrongRound(1)));
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
    let last = suite.vote("ana", true).unwrap();
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
    let msg = ExecuteMsg::Vote {
        experiment: suite.id(),
        round: 0,
        approve: false,
        vote_score: u64::MAX.into(),
        test_score: 0x7ff8_0000_0000_0000u64.into(),
    };
    let cast = suite.send("bob", &msg).unwrap();
    assert_eq!(
        cast.attribute("vote_cast", "vote_score"),
        u64::MAX.to_string()
    );
    assert_eq!(
        cast.attribute("vote_cast", "test_score"),
        "9221120237041090560"
    );
}

#[test]
fn cancelling_abandons_the_current_round() {
    let mut suite = Suite::running(&THREE, |_| ());
    suite.propose("ana", "weights").unwrap();
    suite.vote("bob", true).unwrap();
    suite.pass_time(4);
    let cancelled = suite.cancel("creator").unwrap();
    assert_eq!(cancelled.names(), ["round_closed", "experiment_cancelled"]);
    assert_eq!(
        cancelled.attributes("round_closed")[2..],
        [
            "outcome=abandoned",
            "approvals=1",
            "rejections=0",
            "eligible=2"
        ]
    );
    let closed = suite.round_at(0);
    assert_eq!(
        (closed.outcome, closed.closed_at),
        (Outcome::Abandoned, Some(suite.now()))
    );
    let e = suite.experiment();
    assert_eq!(
        (e.status, e.ended_at),
        (Status::Cancelled, Some(suite.now()))
    );
    assert_eq!(e.current, Some(content("initial")));
}

#[test]
fn cancelling_while_enrolling_closes_no_round() {
    let mut suite = Suite::enrolled(&["ana"], |_| ());
    assert_eq!(
        suite.cancel("creator").unwrap().names(),
        ["experiment_cancelled"]
    );
    assert_eq!(
        suite.cancel("creator"),
        Err(E::WrongStatus(Status::Cancelled))
    );
}
