//! Cancelling, and completion for lack of progress (patience).

use collective_learning::types::{Outcome, Phase, SlotState, Status};
use collective_learning::ContractError as E;

use crate::suite::worlds::THREE;
use crate::suite::{content, RoundFacts, Suite, NO, WINDOW, YES};

#[test]
fn cancelling_while_enrolling_closes_no_round() {
    let mut suite = Suite::enrolled(&["ana"], |_| ());
    let cancelled = suite.cancel("creator").unwrap();
    assert_eq!(cancelled.names(), ["experiment_cancelled"]);
    let over = Err(E::WrongStatus(Status::Cancelled));
    assert_eq!(suite.cancel("creator"), over);
    assert!(!suite.experiment().cancel_requested);
}

#[test]
fn cancelling_abandons_a_round_without_a_vote() {
    let mut suite = Suite::running(&THREE, |p| p.proposers = 2);
    suite.propose("ana", "weights").unwrap();
    suite.pass_time(4);
    let cancelled = suite.cancel("creator").unwrap();
    assert_eq!(cancelled.names(), ["round_closed", "experiment_cancelled"]);
    assert_eq!(
        cancelled.attributes("round_closed")[2..],
        [
            "outcome=abandoned",
            "accepted=0",
            "approvals=0,0",
            "eligible=2"
        ]
    );
    let round = suite.round_at(0);
    assert_eq!(round.outcome, Outcome::Abandoned);
    assert_eq!(round.states(), [SlotState::Proposed, SlotState::Open]);
    assert_eq!(
        (round.closed_at, round.proposals),
        (Some(suite.now()), None)
    );
    let e = suite.experiment();
    assert_eq!(
        (e.status, e.ended_at),
        (Status::Cancelled, Some(suite.now()))
    );
    assert_eq!(e.current, [content("initial")]);
}

#[test]
fn cancelling_during_a_vote_waits_for_its_outcome() {
    let mut suite = Suite::running(&THREE, |_| ());
    suite.propose("ana", "weights").unwrap();
    suite.vote("bob", YES).unwrap();
    let requested = suite.cancel("creator").unwrap();
    assert_eq!(requested.names(), ["cancel_requested"]);
    assert_eq!(requested.attributes("cancel_requested"), ["experiment=1"]);
    let e = suite.experiment();
    assert_eq!((e.status, e.cancel_requested), (Status::Running, true));
    assert_eq!(suite.round().phase, Phase::Voting);

    let last = suite.vote("cy", YES).unwrap();
    assert_eq!(
        last.names(),
        ["vote_cast", "round_closed", "experiment_cancelled"]
    );
    let e = suite.experiment();
    assert_eq!(
        (e.status, e.ended_at),
        (Status::Cancelled, Some(suite.now()))
    );
    assert_eq!(
        (e.current, e.current_round),
        (vec![content("weights")], Some(0))
    );
}

#[test]
fn cancel_is_requested_once() {
    let mut suite = Suite::running(&THREE, |_| ());
    suite.propose("ana", "weights").unwrap();
    assert_eq!(
        suite.cancel("ana"),
        Err(E::NotCreator(suite.account("ana")))
    );
    suite.cancel("creator").unwrap();
    for name in ["creator", "ana"] {
        let refused = Err(E::WrongStatus(Status::Running));
        assert_eq!(suite.cancel(name), refused);
    }
}

#[test]
fn cancelling_while_revealing_waits_for_the_deadline() {
    let mut suite = Suite::running(&THREE, |p| p.reveal_window = WINDOW as u32);
    suite.propose("ana", "weights").unwrap();
    suite.commit("bob", YES).unwrap();
    suite.commit("cy", YES).unwrap();
    suite.reveal("bob", YES).unwrap();
    assert_eq!(
        suite.cancel("creator").unwrap().names(),
        ["cancel_requested"]
    );
    let closed = suite.lapse_phase();
    assert_eq!(closed.names(), ["round_closed", "experiment_cancelled"]);
    assert_eq!(closed.attribute("round_closed", "outcome"), "accepted");
    assert_eq!(suite.strikes(&["cy"]), [1]);
}

#[test]
fn cancelling_the_vote_of_the_last_round_completes_the_experiment() {
    let mut suite = Suite::running(&["ana", "bob"], |p| p.rounds = 1);
    suite.propose("ana", "weights").unwrap();
    suite.cancel("creator").unwrap();
    let last = suite.vote("bob", YES).unwrap();
    assert_eq!(last.names()[2], "experiment_completed");
    let e = suite.experiment();
    assert_eq!((e.status, e.cancel_requested), (Status::Completed, true));
}

#[test]
fn requested_cancel_takes_precedence_over_patience() {
    let mut suite = Suite::running(&["ana", "bob"], |p| p.patience = 1);
    suite.propose("ana", "weights").unwrap();
    suite.cancel("creator").unwrap();
    let last = suite.vote("bob", NO).unwrap();
    assert_eq!(last.names()[2], "experiment_cancelled");
}

#[test]
fn experiment_completes_when_patience_is_exhausted() {
    let mut suite = Suite::running(&["ana", "bob"], |p| p.patience = 3);
    suite.propose("ana", "rejected").unwrap();
    suite.vote("bob", NO).unwrap();
    suite.decline("bob").unwrap();
    assert_eq!(suite.experiment().status, Status::Running);
    let last = suite.lapse_phase();
    assert_eq!(last.names(), ["round_closed", "experiment_completed"]);
    let e = suite.experiment();
    assert_eq!((e.status, e.round), (Status::Completed, Some(2)));
}

#[test]
fn accepted_proposal_restores_patience() {
    let mut suite = Suite::running(&["ana", "bob"], |p| p.patience = 2);
    suite.decline("ana").unwrap();
    suite.propose("bob", "weights").unwrap();
    suite.vote("ana", YES).unwrap();
    suite.decline("ana").unwrap();
    assert_eq!(suite.experiment().status, Status::Running);
    let last = suite.decline("bob").unwrap();
    assert_eq!(last.names()[2], "experiment_completed");
    assert_eq!(suite.experiment().current, [content("weights")]);
}

#[test]
fn patience_takes_precedence_over_a_lack_of_learners() {
    let mut suite = Suite::running(&["ana", "bob"], |p| p.patience = 1);
    let last = suite.leave("ana").unwrap();
    assert_eq!(
        last.names(),
        ["learner_left", "round_closed", "experiment_completed"]
    );
}

#[test]
fn without_patience_every_round_takes_place() {
    let mut suite = Suite::running(&["ana", "bob"], |p| (p.rounds, p.patience) = (5, 0));
    for _ in 0..4 {
        suite.lapse_phase();
        assert_eq!(suite.experiment().status, Status::Running);
    }
    assert_eq!(suite.lapse_phase().names()[1], "experiment_completed");
}
