//! The order of checks; each test violates several of them at once.

use collective_learning::msg::ExecuteMsg;
use collective_learning::types::{Phase, Status};
use collective_learning::ContractError as E;
use cosmwasm_std::{Binary, Uint64};

use crate::suite::{content, Suite, NO, WINDOW, YES};

/// Returns every call that names a round, for this round.
fn calls_of_round(experiment: Uint64, round: u32) -> Vec<ExecuteMsg> {
    let (vote_score, test_score) = (0u64.into(), 0u64.into());
    let (approvals, scores) = (u16::MAX, Binary::default());
    let bytes = Binary::from([0; 32]);
    let proposals = Binary::from([1; 32]);
    let malformed = {
        let mut c = content("w");
        c.codec = 0;
        c
    };
    vec![
        ExecuteMsg::Propose {
            experiment,
            round,
            content: malformed,
            vote_score,
            test_score,
        },
        ExecuteMsg::Decline { experiment, round },
        ExecuteMsg::Vote {
            experiment,
            round,
            proposals: proposals.clone(),
            approvals,
            scores: scores.clone(),
        },
        ExecuteMsg::Commit {
            experiment,
            round,
            proposals: proposals.clone(),
            commitment: bytes.clone(),
        },
        ExecuteMsg::Reveal {
            experiment,
            round,
            approvals,
            scores,
            salt: bytes,
        },
        ExecuteMsg::VoteSigned {
            experiment,
            round,
            proposals,
            ballots: vec![],
        },
    ]
}

/// Returns every other call on an experiment.
fn calls_of_experiment(suite: &Suite, experiment: Uint64) -> Vec<ExecuteMsg> {
    let learner = suite.account("stranger").into_string();
    vec![
        ExecuteMsg::Admit {
            experiment,
            accounts: vec![],
        },
        ExecuteMsg::Join {
            experiment,
            hash: Binary::from([0; 32]),
            encryption_key: Binary::from([0; 32]),
        },
        ExecuteMsg::SetEncryptionKey {
            experiment,
            encryption_key: Binary::from([0; 32]),
        },
        ExecuteMsg::Leave { experiment },
        ExecuteMsg::Remove {
            experiment,
            learner,
        },
        ExecuteMsg::Start { experiment },
        ExecuteMsg::Cancel { experiment },
        ExecuteMsg::Advance { experiment },
    ]
}

#[test]
fn experiment_is_checked_first() {
    let mut suite = Suite::enrolling(|_| ());
    let unknown = 9u64.into();
    for msg in [
        calls_of_round(unknown, 0),
        calls_of_experiment(&suite, unknown),
    ]
    .concat()
    {
        assert_eq!(
            suite.send("stranger", &msg),
            Err(E::UnknownExperiment(9)),
            "{msg:?}"
        );
    }
}

#[test]
fn status_is_checked_second() {
    let mut suite = Suite::enrolled(&["ana", "bob"], |_| ());
    let (experiment, stranger) = (suite.id(), suite.account("stranger").into_string());
    let remove = ExecuteMsg::Remove {
        experiment,
        learner: stranger,
    };
    for msg in [calls_of_round(experiment, 5), vec![remove]].concat() {
        assert_eq!(
            suite.send("stranger", &msg),
            Err(E::WrongStatus(Status::Enrolling)),
            "{msg:?}"
        );
    }
    assert_eq!(suite.advance(), Err(E::WrongStatus(Status::Enrolling)));
}

#[test]
fn every_call_is_refused_after_the_end() {
    let mut cancelled = Suite::enrolled(&["ana", "bob"], |_| ());
    cancelled.cancel("creator").unwrap();
    let mut completed = Suite::running(&["ana", "bob"], |p| p.rounds = 1);
    completed.lapse_phase();
    for (suite, over) in [
        (&mut cancelled, Status::Cancelled),
        (&mut completed, Status::Completed),
    ] {
        let experiment = suite.id();
        for msg in [
            calls_of_round(experiment, 0),
            calls_of_experiment(suite, experiment),
        ]
        .concat()
        {
            for name in ["creator", "ana", "stranger"] {
                assert_eq!(suite.send(name, &msg), Err(E::WrongStatus(over)), "{msg:?}");
            }
        }
    }
}

#[test]
fn round_then_phase_then_deadline_are_checked() {
    let mut suite = Suite::running(&["ana", "bob"], |_| ());
    let deadline = suite.pass_deadline();
    let experiment = suite.id();
    for msg in calls_of_round(experiment, 1) {
        assert_eq!(
            suite.send("stranger", &msg),
            Err(E::WrongRound(0)),
            "{msg:?}"
        );
    }
    for (place, msg) in calls_of_round(experiment, 0).iter().enumerate() {
        let proposing = place < 2;
        let expected = match proposing {
            true => E::DeadlinePassed(deadline),
            false => E::WrongPhase(Phase::Proposing),
        };
        assert_eq!(suite.send("stranger", msg), Err(expected), "{msg:?}");
    }
}

#[test]
fn deadline_is_checked_before_caller_and_content() {
    let mut suite = Suite::running(&["ana", "bob"], |_| ());
    suite.propose("ana", "weights").unwrap();
    let deadline = suite.pass_deadline();
    assert_eq!(
        suite.vote("stranger", YES),
        Err(E::DeadlinePassed(deadline))
    );
    assert_eq!(suite.submit_ballots(&[]), Err(E::DeadlinePassed(deadline)));
}

#[test]
fn caller_is_checked_before_content() {
    let mut suite = Suite::running(&["ana", "bob"], |p| p.reveal_window = WINDOW as u32);
    assert_eq!(
        suite.propose("bob", "initial"),
        Err(E::NotProposer(suite.account("bob")))
    );
    let propose = &calls_of_round(suite.id(), 0)[0];
    assert_eq!(
        suite.send("ana", propose),
        Err(E::InvalidParameter("content"))
    );
    suite.propose("ana", "weights").unwrap();
    assert_eq!(
        suite.commit_bytes("ana", &[0; 32]),
        Err(E::NotEligible(suite.account("ana")))
    );
    let stranger = suite.account("stranger");
    assert_eq!(
        suite.commit_bytes("stranger", &[0; 32]),
        Err(E::NotALearner(stranger))
    );
}

#[test]
fn voter_then_digest_then_ballot_are_checked() {
    let mut suite = Suite::running(&["ana", "bob", "cy"], |_| ());
    suite.propose("ana", "weights").unwrap();
    let mut vote = suite.ballot_of(0b11);
    let digest = vote.proposals;
    (vote.proposals, vote.scores) = ([1; 32], Binary::default());
    let cases = [
        ("stranger", E::NotALearner(suite.account("stranger"))),
        ("ana", E::NotEligible(suite.account("ana"))),
        ("bob", E::WrongProposals(digest)),
    ];
    for (name, refused) in cases {
        assert_eq!(suite.cast(name, &vote), Err(refused));
    }
    vote.proposals = digest;
    let refused = Err(E::InvalidParameter("approvals"));
    assert_eq!(suite.cast("bob", &vote), refused);
    vote.approvals = YES;
    let refused = Err(E::InvalidParameter("scores"));
    assert_eq!(suite.cast("bob", &vote), refused);
    suite.vote("bob", NO).unwrap();
    vote.proposals = [1; 32];
    let refused = Err(E::AlreadyVoted(suite.account("bob")));
    assert_eq!(suite.cast("bob", &vote), refused);
}

#[test]
fn join_checks_the_status_before_the_hash() {
    let mut suite = Suite::running(&["ana", "bob"], |_| ());
    let zero = || Binary::from([0; 32]);
    let refused = Err(E::WrongStatus(Status::Running));
    assert_eq!(suite.join_with("cy", zero(), zero()), refused);
}

#[test]
fn creator_is_checked_before_content() {
    let mut suite = Suite::enrolled(&["ana"], |_| ());
    assert_eq!(
        suite.start_by("ana"),
        Err(E::NotCreator(suite.account("ana")))
    );
    assert_eq!(suite.start(), Err(E::InvalidParameter("min_learners")));
}

#[test]
fn malformed_content_is_refused_before_unchanged_content() {
    let mut suite = Suite::running(&["ana", "bob"], |_| ());
    let mut content = content("initial");
    content.size = 0u64.into();
    assert_eq!(
        suite.propose_in(0, "ana", content),
        Err(E::InvalidParameter("content"))
    );
}

#[test]
fn refused_call_changes_nothing() {
    let mut suite = Suite::running(&["ana", "bob"], |_| ());
    let before = (suite.experiment(), suite.round(), suite.learner("bob"));
    for msg in [calls_of_round(suite.id(), 0), calls_of_round(suite.id(), 1)].concat() {
        suite.send("bob", &msg).unwrap_err();
    }
    suite.join("bob").unwrap_err();
    suite.remove("ana", "bob").unwrap_err();
    assert_eq!(
        (suite.experiment(), suite.round(), suite.learner("bob")),
        before
    );
}
