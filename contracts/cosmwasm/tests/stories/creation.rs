//! Creation of experiments, and arguments that are refused before anything else.

use collective_learning::msg::ExecuteMsg;
use collective_learning::signing::sha256;
use collective_learning::types::{Admission, ContentRef, Merge, Params, Selection, Status};
use collective_learning::ContractError as E;
use cosmwasm_std::{coin, Binary};
use cw_multi_test::Executor;

use crate::suite::{content, params, Person, Suite};

#[test]
fn new_experiment_is_enrolling_and_has_the_given_parameters() {
    let mut suite = Suite::new();
    let chosen = Params {
        name: "größe ✓ \"quoted\"".to_string(),
        approval_bps: 6_667,
        reveal_window: 7,
        selection: Selection::Random,
        proposers: 16,
        merge: Merge::Best,
        admission: Admission::Allowlist,
        late_join: true,
        settle_early: true,
        max_strikes: 65_535,
        patience: u32::MAX,
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
    assert_eq!(e.current, [content("initial")]);
    assert!(!e.cancel_requested);
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
            (p.proposers, p.patience) = (16, u32::MAX);
        })
        .unwrap();
    assert_eq!(suite.experiment().params.rounds, u32::MAX - 1);
}

#[test]
fn error_names_the_parameter_out_of_bounds() {
    type Change = fn(&mut Params);
    let bad: [(&str, Change); 27] = [
        ("name", |p| p.name = String::new()),
        ("name", |p| p.name = "x".repeat(65)),
        ("name", |p| p.name = "é".repeat(33)),
        ("name", |p| p.name = "two\nlines".to_string()),
        ("name", |p| p.name = "\u{0}".to_string()),
        ("name", |p| p.name = "delete\u{7f}".to_string()),
        ("name", |p| p.name = "next line\u{85}".to_string()),
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
        ("proposers", |p| p.proposers = 0),
        ("proposers", |p| p.proposers = 17),
        ("initial", |p| (p.proposers, p.initial) = (2, None)),
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
        "proposers",
        "initial",
    ];
    for (fixed, name) in names.iter().enumerate() {
        let called = suite.create(|p| {
            (p.initial, p.max_strikes) = (None, u32::MAX);
            p.proposers = if fixed < 7 { 17 } else { 2 };
            p.vote_window = if fixed < 6 { 0 } else { 1 };
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
    assert_eq!(suite.experiment().current, []);
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

#[test]
fn malformed_arguments_are_refused_first() {
    let mut suite = Suite::new();
    let experiment = 99u64.into(); // unknown; that would be the next error
    let join = |hash: usize, key: usize| ExecuteMsg::Join {
        experiment,
        hash: vec![1; hash].into(),
        encryption_key: vec![1; key].into(),
    };
    for (msg, name) in [(join(31, 31), "hash"), (join(32, 31), "encryption_key")] {
        assert_eq!(suite.send("ana", &msg), Err(E::InvalidParameter(name)));
    }
    let set_key = ExecuteMsg::SetEncryptionKey {
        experiment,
        encryption_key: Binary::default(),
    };
    assert_eq!(
        suite.send("ana", &set_key),
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
    let commit = |proposals: usize| ExecuteMsg::Commit {
        experiment,
        round: 0,
        proposals: vec![1; proposals].into(),
        commitment: Binary::from([1; 33]),
    };
    for (msg, name) in [(commit(33), "proposals"), (commit(32), "commitment")] {
        assert_eq!(suite.send("ana", &msg), Err(E::InvalidParameter(name)));
    }
    let mut file = content("file");
    file.sha256 = Binary::default();
    let announce = ExecuteMsg::Announce {
        experiment,
        topic: String::new(),
        content: file,
    };
    assert_eq!(
        suite.send("ana", &announce),
        Err(E::InvalidParameter("content"))
    );
    let leave = ExecuteMsg::Leave { experiment };
    assert_eq!(suite.send("ana", &leave), Err(E::UnknownExperiment(99)));
}

/// Returns the 73 bytes of a content reference in an experiment's hash.
fn content_bytes(content: &ContentRef) -> Vec<u8> {
    let size = content.size.u64().to_be_bytes();
    let codec = [content.codec as u8];
    [&codec[..], &content.digest, &content.sha256, &size].concat()
}

#[test]
fn hash_is_over_the_creator_and_all_parameters() {
    let suite = Suite::enrolling(|p| {
        (p.name, p.rounds, p.approval_bps) = ("größe".to_string(), 0x01020304, 6_667);
        (p.min_learners, p.max_learners) = (3, 9_999);
        (p.propose_window, p.vote_window, p.reveal_window) = (1, 2, 3);
        (p.selection, p.merge, p.admission) =
            (Selection::Random, Merge::Best, Admission::Allowlist);
        (p.proposers, p.late_join, p.max_strikes, p.patience) = (16, true, 4, 5);
        p.initial = None;
    });
    let creator = Person::named("creator").canonical();
    let expected = [
        &[20][..],
        &creator,
        &content_bytes(&content("spec")),
        &[0; 73],
        &[1, 2, 3, 4],
        &[0, 3],
        &9_999u16.to_be_bytes(),
        &6_667u16.to_be_bytes(),
        &[0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3],
        &[1, 16, 1, 1, 1, 0],
        &[0, 4],
        &[0, 0, 0, 5],
        "größe".as_bytes(),
    ]
    .concat();
    assert_eq!(suite.experiment().hash, sha256(&[&expected]));

    let suite = Suite::enrolling(|p| p.settle_early = true);
    let expected = [
        &[20][..],
        &creator,
        &content_bytes(&content("spec")),
        &content_bytes(&content("initial")),
        &[0, 0, 0, 10, 0, 2, 0, 10],
        &5_000u16.to_be_bytes(),
        &[0, 0, 2, 88, 0, 0, 2, 88, 0, 0, 0, 0],
        &[0, 1, 0, 0, 0, 1],
        &[0; 6],
        b"a story",
    ]
    .concat();
    assert_eq!(suite.experiment().hash, sha256(&[&expected]));
}
