//! Admission, joining and start of experiments.

use collective_learning::types::{Admission, Status};
use collective_learning::ContractError as E;
use cosmwasm_std::Binary;

use crate::suite::{Suite, WINDOW};

#[test]
fn learners_get_indexes_in_order_of_joining() {
    let mut suite = Suite::enrolling(|_| ());
    let encryption_key = Binary::from([7; 32]);
    let hash = suite.experiment().hash;
    let joined = suite
        .join_with("ana", hash, encryption_key.clone())
        .unwrap();
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
    assert_eq!((row.from_round, row.until_round), (0, None));
    assert_eq!((row.missed_proposals, row.missed_ballots), (0, 0));
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
            format!("proposers={}", suite.account("ana")),
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
fn join_names_the_hash_of_the_experiment() {
    let mut suite = Suite::enrolled(&["ana"], |p| p.admission = Admission::Open);
    let hash = suite.experiment().hash;
    let right = || hash.to_array::<32>().unwrap();
    suite.create(|p| p.name = "another".to_string()).unwrap();
    let other = suite.experiment().hash;
    assert_ne!(hash, other);
    suite.experiment = 1;
    let key = || Binary::from([0; 32]);
    let refused = Err(E::WrongExperiment(right()));
    assert_eq!(suite.join_with("bob", other.clone(), key()), refused);
    assert_eq!(suite.join_with("ana", other, key()), refused);
    suite.join_with("bob", hash, key()).unwrap();
}

#[test]
fn learner_can_replace_its_encryption_key() {
    let mut suite = Suite::enrolled(&["ana", "bob", "cy"], |_| ());
    let set = suite.set_encryption_key("ana", &[5; 32]).unwrap();
    assert!(set.names().is_empty());
    suite.start().unwrap();
    suite.set_encryption_key("bob", &[6; 32]).unwrap();
    let keys = ["ana", "bob"].map(|name| suite.learner(name).encryption_key);
    assert_eq!(keys, [Binary::from([5; 32]), Binary::from([6; 32])]);

    suite.leave("cy").unwrap();
    for name in ["cy", "stranger"] {
        let refused = Err(E::NotALearner(suite.account(name)));
        assert_eq!(suite.set_encryption_key(name, &[7; 32]), refused);
    }
    let over = Err(E::WrongStatus(Status::Cancelled));
    suite.cancel("creator").unwrap();
    assert_eq!(suite.set_encryption_key("bob", &[7; 32]), over);
}
