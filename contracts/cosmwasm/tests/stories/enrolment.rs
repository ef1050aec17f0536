//! Creation, admission, joining and start of experiments.

use collective_learning::msg::ExecuteMsg;
use collective_learning::types::{Admission, Params, Selection, Status};
use collective_learning::ContractError as E;
use cosmwasm_std::{coin, Binary};
use cw_multi_test::Executor;

use crate::suite::{content, params, Suite, WINDOW};

#[test]
fn new_experiment_is_enrolling_and_has_the_given_parameters() {
    let mut suite = Suite::new();
    let chosen = Params {
        name: "größe ✓ \"quoted\"".to_string(),
        approval_bps: 6_667,
        reveal_window: 7,
        selection: Selection::Random,
        admission: Admission::Allowlist,
        late_join: true,
        settle_early: true,
        max_strikes: 65_535,
        ..params()
    };
    let created = suite.create(|p| *p = chosen.clone()).unwrap();
    assert_eq!(created.names(), ["experiment_created"]);
    assert_eq!(
        created.attribute("experiment_created", "creator"),
        suite.account("creator").as_str()
    );
    let recorded = created.attribute("experiment_created", "params");
    assert_eq!(serde_json::from_str::<Params>(&recorded).unwrap(), chosen);

    let e = suite.experiment();
    assert_eq!((e.id.u64(), e.creator), (1, suite.account("creator")));
    assert_eq!(e.params, chosen);
    assert_eq!(
        (e.status, e.round, e.current_round),
        (Status::Enrolling, None, None)
    );
    assert_eq!(e.current, Some(content("initial")));
    assert_eq!(
        (e.created_at, e.started_at, e.ended_at),
        (suite.now(), None, None)
    );
    assert_eq!((e.active_learners, e.joined_learners), (0, 0));
    assert_eq!(e.seed, Binary::from([0; 32]));
}

#[test]
fn experiment_ids_count_from_one() {
    let mut suite = Suite::new();
    for id in 1..4 {
        suite.create(|_| ()).unwrap();
        assert_eq!(suite.experiment, id);
    }
}

#[test]
fn parameters_at_their_bounds_are_accepted() {
    let mut suite = Suite::new();
    suite
        .create(|p| {
            (p.rounds, p.approval_bps, p.propose_window, p.vote_window) = (1, 1, 1, 1);
            (p.min_learners, p.max_learners, p.initial) = (2, 2, None);
            p.name = "x".to_string();
        })
        .unwrap();
    suite
        .create(|p| {
            (p.propose_window, p.vote_window, p.reveal_window) = (u32::MAX, u32::MAX, u32::MAX);
            (p.rounds, p.min_learners, p.max_learners) = (u32::MAX - 1, 10_000, 10_000);
            (p.approval_bps, p.max_strikes, p.name) = (10_000, 65_535, "é".repeat(32));
        })
        .unwrap();
    assert_eq!(suite.experiment().params.rounds, u32::MAX - 1);
}

#[test]
fn error_names_the_parameter_out_of_bounds() {
    type Change = fn(&mut Params);
    let bad: [(&str, Change); 20] = [
        ("name", |p| p.name = String::new()),
        ("name", |p| p.name = "x".repeat(65)),
        ("name", |p| p.name = "é".repeat(33)),
        ("spec", |p| p.spec.size = 0u64.into()),
        ("spec", |p| p.spec.codec = 0x71),
        ("spec", |p| p.spec.digest = Binary::from([1; 31])),
        ("initial", |p| {
            p.initial.as_mut().unwrap().digest = Binary::from([1; 32])
        }),
        ("initial", |p| {
            p.initial.as_mut().unwrap().sha256 = Binary::from([0; 32])
        }),
        ("initial", |p| {
            p.initial.as_mut().unwrap().sha256 = Binary::from([1; 33])
        }),
        ("rounds", |p| p.rounds = 0),
        ("rounds", |p| p.rounds = u32::MAX),
        ("min_learners", |p| p.min_learners = 1),
        ("max_learners", |p| p.max_learners = 1),
        ("max_learners", |p| p.max_learners = 10_001),
        ("approval_bps", |p| p.approval_bps = 0),
        ("approval_bps", |p| p.approval_bps = 10_001),
        ("propose_window", |p| p.propose_window = 0),
        ("vote_window", |p| p.vote_window = 0),
        ("max_strikes", |p| p.max_strikes = 65_536),
        ("max_strikes", |p| p.max_strikes = u32::MAX),
    ];
    let mut suite = Suite::new();
    for (name, change) in bad {
        assert_eq!(suite.create(change), Err(E::InvalidParameter(name)));
    }
    suite.create(|_| ()).unwrap();
    assert_eq!(suite.experiment, 1, "a refused call uses no id");
}

#[test]
fn parameters_are_checked_in_order() {
    let mut suite = Suite::new();
    let names = [
        "name",
        "rounds",
        "min_learners",
        "max_learners",
        "approval_bps",
        "vote_window",
    ];
    for (fixed, name) in names.iter().enumerate() {
        let called = suite.create(|p| {
            p.vote_window = 0;
            p.approval_bps = if fixed < 5 { 0 } else { 1 };
            p.max_learners = if fixed < 4 { 10_001 } else { 2 };
            p.min_learners = if fixed < 3 { 0 } else { 2 };
            p.rounds = if fixed < 2 { 0 } else { 1 };
            p.name = if fixed < 1 { "" } else { "x" }.to_string();
        });
        assert_eq!(called, Err(E::InvalidParameter(name)));
    }
}

#[test]
fn zero_content_means_no_initial_weights() {
    let suite = Suite::enrolling(|p| {
        let initial = p.initial.as_mut().unwrap();
        (initial.codec, initial.size) = (0, 0u64.into());
        (initial.digest, initial.sha256) = ([0; 32].into(), [0; 32].into());
    });
    assert_eq!(suite.experiment().params.initial, None);
    assert_eq!(suite.experiment().current, None);
}

#[test]
fn learners_get_indexes_in_order_of_joining() {
    let mut suite = Suite::enrolling(|_| ());
    let encryption_key = Binary::from([7; 32]);
    let msg = ExecuteMsg::Join {
        experiment: suite.id(),
        encryption_key: encryption_key.clone(),
    };
    let joined = suite.send("ana", &msg).unwrap();
    let ana = suite.account("ana");
    assert_eq!(
        joined.attributes("learner_joined"),
        [
            "experiment=1".to_string(),
            format!("learner={ana}"),
            "index=0".to_string(),
            format!("encryption_key={}", "07".repeat(32)),
        ]
    );
    assert_eq!(
        suite
            .join("bob")
            .unwrap()
            .attribute("learner_joined", "index"),
        "1"
    );

    let row = suite.learner("ana");
    assert_eq!((row.account, row.index, row.active), (ana, 0, true));
    assert_eq!((row.from_round, row.until_round, row.strikes), (0, None, 0));
    assert_eq!(row.encryption_key, encryption_key);
    assert_eq!(suite.learner("bob").encryption_key, Binary::from([0; 32]));
    assert_eq!(suite.experiment().active_learners, 2);
}

#[test]
fn account_cannot_join_twice_even_after_leaving() {
    let mut suite = Suite::enrolled(&["ana"], |_| ());
    let joined = Err(E::AlreadyJoined(suite.account("ana")));
    assert_eq!(suite.join("ana"), joined);
    suite.leave("ana").unwrap();
    assert_eq!(suite.join("ana"), joined);
}

#[test]
fn only_admitted_accounts_join_with_an_allowlist() {
    let mut suite = Suite::enrolling(|p| p.admission = Admission::Allowlist);
    assert_eq!(suite.join("ana"), Err(E::NotAdmitted(suite.account("ana"))));
    let admitted = suite.admit("creator", &["ana", "bob"]).unwrap();
    assert_eq!(admitted.names(), ["learner_admitted", "learner_admitted"]);
    suite.join("ana").unwrap();
    assert_eq!(suite.experiment().active_learners, 1);
}

#[test]
fn admitting_an_account_twice_emits_one_event() {
    let mut suite = Suite::enrolling(|p| p.admission = Admission::Allowlist);
    assert_eq!(
        suite.admit("creator", &["cy", "cy"]).unwrap().names().len(),
        1
    );
    assert!(suite.admit("creator", &["cy"]).unwrap().names().is_empty());
    assert!(suite.admit("creator", &[]).unwrap().names().is_empty());
}

#[test]
fn only_the_creator_admits_and_only_with_an_allowlist() {
    let mut suite = Suite::enrolling(|_| ());
    let stranger = suite.account("ana");
    assert_eq!(suite.admit("ana", &["ana"]), Err(E::NotCreator(stranger)));
    assert_eq!(
        suite.admit("creator", &["ana"]),
        Err(E::InvalidParameter("admission"))
    );
}

#[test]
fn creator_can_admit_accounts_to_a_running_experiment() {
    let mut suite = Suite::enrolling(|p| {
        p.admission = Admission::Allowlist;
        p.late_join = true;
    });
    suite.admit("creator", &["ana", "bob"]).unwrap();
    suite.join("ana").unwrap();
    suite.join("bob").unwrap();
    suite.start().unwrap();
    suite.admit("creator", &["cy"]).unwrap();
    suite.join("cy").unwrap();
    assert_eq!(suite.learner("cy").from_round, 1);
}

#[test]
fn creator_can_start_once_enough_learners_have_joined() {
    let mut suite = Suite::enrolled(&["ana"], |_| ());
    assert_eq!(suite.start(), Err(E::InvalidParameter("min_learners")));
    suite.join("bob").unwrap();
    let started = suite.start().unwrap();
    assert_eq!(started.names(), ["experiment_started", "round_started"]);
    assert_eq!(
        started.attributes("round_started"),
        [
            "experiment=1".to_string(),
            "round=0".to_string(),
            format!("proposer={}", suite.account("ana")),
            "eligible=1".to_string(),
            "needed=1".to_string(),
            format!("deadline={}", suite.now() + WINDOW),
        ]
    );
    let e = suite.experiment();
    assert_eq!(
        (e.status, e.started_at, e.round),
        (Status::Running, Some(suite.now()), Some(0))
    );
}

#[test]
fn learners_that_left_do_not_count_for_the_start() {
    let mut suite = Suite::enrolled(&["ana", "bob"], |_| ());
    suite.leave("bob").unwrap();
    assert_eq!(suite.start(), Err(E::InvalidParameter("min_learners")));
}

#[test]
fn only_the_creator_starts_and_only_once() {
    let mut suite = Suite::enrolled(&["ana", "bob"], |_| ());
    assert_eq!(
        suite.start_by("ana"),
        Err(E::NotCreator(suite.account("ana")))
    );
    suite.start().unwrap();
    assert_eq!(suite.start(), Err(E::WrongStatus(Status::Running)));
}

#[test]
fn experiment_starts_by_itself_when_it_is_full() {
    let mut suite = Suite::enrolled(&["ana"], |p| p.max_learners = 2);
    let joined = suite.join("bob").unwrap();
    assert_eq!(
        joined.names(),
        ["learner_joined", "experiment_started", "round_started"]
    );
    assert_eq!(suite.experiment().status, Status::Running);
}

#[test]
fn late_joining_is_refused_unless_allowed() {
    let mut suite = Suite::running(&["ana", "bob"], |_| ());
    assert_eq!(suite.join("cy"), Err(E::WrongStatus(Status::Running)));
}

#[test]
fn late_learners_take_part_from_the_next_round_on() {
    let mut suite = Suite::running(&["ana", "bob"], |p| p.late_join = true);
    suite.join("cy").unwrap();
    assert_eq!(suite.learner("cy").from_round, 1);
    assert!(!suite.ballot(0, "cy").eligible);
    assert_eq!(suite.round().eligible, 1);
    suite.decline("ana").unwrap();
    assert_eq!(suite.round().eligible, 2);
    assert!(suite.ballot(1, "cy").eligible);
}

#[test]
fn max_learners_limits_the_active_learners() {
    let mut suite = Suite::enrolled(&["ana", "bob", "cy"], |p| {
        (p.max_learners, p.late_join) = (3, true);
    });
    assert_eq!(suite.join("dan"), Err(E::ExperimentFull(3)));
    suite.leave("cy").unwrap();
    let joined = suite.join("dan").unwrap();
    assert_eq!(
        joined.names(),
        ["learner_joined"],
        "full again, but already started"
    );
    assert_eq!(suite.current(), 0);
    assert_eq!(
        (
            suite.experiment().active_learners,
            suite.learner("dan").index
        ),
        (3, 3)
    );
}

#[test]
fn join_errors_come_in_order() {
    let mut suite = Suite::enrolling(|p| {
        (p.max_learners, p.late_join, p.admission) = (2, true, Admission::Allowlist);
    });
    suite.admit("creator", &["ana", "bob", "cy"]).unwrap();
    suite.join("ana").unwrap();
    suite.join("bob").unwrap();
    assert_eq!(
        suite.join("ana"),
        Err(E::AlreadyJoined(suite.account("ana")))
    );
    assert_eq!(suite.join("dan"), Err(E::NotAdmitted(suite.account("dan"))));
    assert_eq!(suite.join("cy"), Err(E::ExperimentFull(2)));
}

#[test]
fn malformed_arguments_are_refused_first() {
    let mut suite = Suite::new();
    let experiment = 99u64.into(); // unknown; that would be the next error
    let join = ExecuteMsg::Join {
        experiment,
        encryption_key: Binary::from([1; 31]),
    };
    assert_eq!(
        suite.send("ana", &join),
        Err(E::InvalidParameter("encryption_key"))
    );
    let admit = ExecuteMsg::Admit {
        experiment,
        accounts: vec!["nobody".to_string()],
    };
    assert_eq!(
        suite.send("ana", &admit),
        Err(E::InvalidParameter("accounts"))
    );
    let remove = ExecuteMsg::Remove {
        experiment,
        learner: "COSMWASM1".to_string(),
    };
    assert_eq!(
        suite.send("ana", &remove),
        Err(E::InvalidParameter("account"))
    );
    let commit = ExecuteMsg::Commit {
        experiment,
        round: 0,
        commitment: Binary::from([1; 33]),
    };
    assert_eq!(
        suite.send("ana", &commit),
        Err(E::InvalidParameter("commitment"))
    );
    let leave = ExecuteMsg::Leave { experiment };
    assert_eq!(suite.send("ana", &leave), Err(E::UnknownExperiment(99)));
}

#[test]
fn funds_are_refused() {
    let mut suite = Suite::enrolling(|_| ());
    let ana = suite.account("ana");
    let mint = cw_multi_test::BankSudo::Mint {
        to_address: ana.to_string(),
        amount: vec![coin(5, "stake")],
    };
    suite.app.sudo(mint.into()).unwrap();
    let msg = ExecuteMsg::Leave {
        experiment: suite.id(),
    };
    let contract = suite.contract.clone();
    let called = suite
        .app
        .execute_contract(ana, contract, &msg, &[coin(5, "stake")]);
    let error = called.unwrap_err().downcast::<E>().unwrap();
    assert_eq!(error, E::InvalidParameter("funds"));
}
