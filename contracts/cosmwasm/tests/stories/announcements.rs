//! Announcements of files, which decide nothing.

use collective_learning::types::{ContentRef, Status};
use collective_learning::ContractError as E;

use crate::suite::{content, Suite};

#[test]
fn announcement_is_an_event() {
    let mut suite = Suite::enrolled(&["ana"], |_| ());
    let announced = suite
        .announce("ana", " \"keys\" ✓ ", content("file"))
        .unwrap();
    let digest = content("file").digest;
    let hex = digest
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect::<String>();
    assert_eq!(
        announced.attributes("announced"),
        [
            "experiment=1".to_string(),
            format!("learner={}", suite.account("ana")),
            r#"topic=" \"keys\" ✓ ""#.to_string(),
            "codec=85".to_string(),
            format!("digest={hex}"),
            format!("sha256={hex}"),
            "size=4".to_string(),
        ]
    );
    assert_eq!(announced.names(), ["announced"]);
}

#[test]
fn learners_announce_in_every_status() {
    let mut suite = Suite::enrolled(&["ana", "bob"], |p| p.rounds = 1);
    let announce = |suite: &mut Suite| suite.announce("ana", "delta", content("file"));
    announce(&mut suite).unwrap();
    suite.start().unwrap();
    announce(&mut suite).unwrap();
    suite.lapse_phase();
    assert_eq!(suite.experiment().status, Status::Completed);
    announce(&mut suite).unwrap();

    let mut suite = Suite::enrolled(&["ana", "bob"], |_| ());
    suite.cancel("creator").unwrap();
    announce(&mut suite).unwrap();
}

#[test]
fn only_active_learners_announce() {
    let mut suite = Suite::enrolled(&["ana", "bob"], |_| ());
    suite.leave("ana").unwrap();
    for name in ["ana", "creator", "stranger"] {
        let refused = Err(E::NotALearner(suite.account(name)));
        assert_eq!(suite.announce(name, "", content("file")), refused);
    }
    suite.experiment = 7;
    let unknown = Err(E::UnknownExperiment(7));
    assert_eq!(suite.announce("bob", "", content("file")), unknown);
}

#[test]
fn topic_and_content_are_checked_in_this_order() {
    let mut suite = Suite::enrolled(&["ana"], |_| ());
    let empty = ContentRef {
        size: 0u64.into(),
        ..content("file")
    };
    let long = "x".repeat(33);
    for topic in ["", &long, "tab\t", "\u{9f}", &"é".repeat(17)] {
        let refused = Err(E::InvalidParameter("topic"));
        assert_eq!(suite.announce("ana", topic, empty.clone()), refused);
    }
    let refused = Err(E::InvalidParameter("content"));
    assert_eq!(suite.announce("ana", "x", empty), refused);
    suite
        .announce("ana", &"é".repeat(16), content("file"))
        .unwrap();
}
