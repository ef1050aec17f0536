//! Rounds with several proposers, until the vote begins.

use collective_learning::signing::sha256;
use collective_learning::types::{BallotState, Duty, Merge, Outcome, Phase, SlotState, Status};
use collective_learning::ContractError as E;

use crate::suite::worlds::{FIVE, THREE};
use crate::suite::{content, RoundFacts, Suite, NO, SCORES, WINDOW};

/// Returns a running experiment of five learners, of whom three propose in each round.
fn begin_round() -> Suite {
    Suite::running(&FIVE, |p| p.proposers = 3)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn proposers_take_turns_in_slots() {
    let mut suite = Suite::enrolled(&FIVE, |p| p.proposers = 3);
    let started = suite.start().unwrap();
    let accounts = ["ana", "bob", "cy"].map(|name| suite.account(name).into_string());
    assert_eq!(
        started.attributes("round_started")[2..],
        [
            format!("proposers={}", accounts.join(",")),
            "eligible=4".to_string(),
            "needed=2".to_string(),
            format!("deadline={}", suite.now() + WINDOW),
        ]
    );
    for turns in [["dan", "eve", "ana"], ["bob", "cy", "dan"]] {
        suite.lapse_phase();
        assert_eq!(suite.proposers(&FIVE), turns);
    }
}

#[test]
fn a_short_list_has_fewer_proposers() {
    let mut suite = Suite::running(&THREE, |p| (p.proposers, p.late_join) = (16, true));
    assert_eq!(suite.proposers(&THREE), THREE);
    suite.leave("bob").unwrap();
    suite.join("dan").unwrap();
    suite.join("eve").unwrap();
    suite.lapse_phase();
    assert_eq!(suite.proposers(&FIVE), ["eve", "ana", "cy", "dan"]);
}

#[test]
fn last_proposal_begins_the_vote() {
    let mut suite = begin_round();
    let first = suite.propose("cy", "of cy").unwrap();
    assert_eq!(first.names(), ["weights_proposed"]);
    assert_eq!(first.attribute("weights_proposed", "slot"), "2");
    suite.pass_time(5);
    assert_eq!(suite.propose("ana", "of ana").unwrap().names().len(), 1);
    let round = suite.round();
    assert_eq!((round.phase, round.proposals), (Phase::Proposing, None));
    let last = suite.propose("bob", "of bob").unwrap();
    assert_eq!(last.names(), ["weights_proposed", "voting_started"]);

    let files = ["of ana", "of bob", "of cy"].map(|name| content(name).sha256);
    let digest = sha256(&[&[0], &files[0], &[1], &files[1], &[2], &files[2]]);
    assert_eq!(
        last.attributes("voting_started")[2..],
        [
            format!("proposals={}", hex(&digest)),
            format!("deadline={}", suite.now() + WINDOW),
        ]
    );
    let round = suite.round();
    assert_eq!(
        (round.phase, round.states()),
        (Phase::Voting, vec![SlotState::Proposed; 3])
    );
    assert_eq!(suite.digest(), digest);
    let times = round.slots.iter().map(|slot| slot.proposed_at.unwrap());
    let now = suite.now();
    assert_eq!(times.collect::<Vec<_>>(), [now, now, now - 5]);
    assert_eq!(round.voting_started_at, Some(now));
    assert_eq!(round.content(1), Some(content("of bob")));
}

#[test]
fn order_of_slots_is_in_the_digest() {
    let mut suite = begin_round();
    suite.decline("bob").unwrap();
    suite.propose("cy", "first").unwrap();
    suite.propose("ana", "second").unwrap();
    let (first, second) = (content("first").sha256, content("second").sha256);
    assert_eq!(suite.digest(), sha256(&[&[0], &second, &[2], &first]));
}

#[test]
fn digest_of_a_single_proposal_is_its_sha256() {
    let mut suite = begin_round();
    suite.decline("bob").unwrap();
    suite.decline("ana").unwrap();
    let last = suite.propose("cy", "alone").unwrap();
    assert_eq!(last.names(), ["weights_proposed", "voting_started"]);
    assert_eq!(suite.digest(), *content("alone").sha256);
}

#[test]
fn declining_fills_a_slot() {
    let mut suite = begin_round();
    suite.propose("ana", "of ana").unwrap();
    let declined = suite.decline("bob").unwrap();
    assert_eq!(declined.names(), ["proposal_declined"]);
    assert_eq!(
        declined.attributes("proposal_declined")[2..],
        [
            format!("proposer={}", suite.account("bob")),
            "slot=1".to_string()
        ]
    );
    let last = suite.decline("cy").unwrap();
    assert_eq!(last.names(), ["proposal_declined", "voting_started"]);
    let states = [
        SlotState::Proposed,
        SlotState::Declined,
        SlotState::Declined,
    ];
    assert_eq!(suite.round().states(), states);
    assert_eq!(suite.strikes(&FIVE), [0; 5]);
}

#[test]
fn round_closes_when_everybody_declines() {
    let mut suite = begin_round();
    suite.decline("cy").unwrap();
    suite.decline("ana").unwrap();
    let last = suite.decline("bob").unwrap();
    assert_eq!(
        last.names(),
        ["proposal_declined", "round_closed", "round_started"]
    );
    assert_eq!(
        last.attributes("round_closed")[2..],
        [
            "outcome=no_proposal",
            "accepted=0",
            "approvals=0,0,0",
            "eligible=4"
        ]
    );
    assert!(!suite.round_at(0).by_deadline);
}

#[test]
fn slot_is_filled_once() {
    let mut suite = begin_round();
    suite.propose("ana", "of ana").unwrap();
    suite.decline("bob").unwrap();
    for name in ["ana", "bob", "dan", "stranger"] {
        let refused = Err(E::NotProposer(suite.account(name)));
        assert_eq!(suite.propose(name, "again"), refused);
        assert_eq!(suite.decline(name), refused);
    }
}

#[test]
fn equal_proposals_are_allowed() {
    let mut suite = begin_round();
    for name in ["ana", "bob", "cy"] {
        suite.propose(name, "the same").unwrap();
    }
    assert_eq!(suite.round().proposed(), 3);
}

#[test]
fn open_slots_are_missed_at_the_deadline_and_the_vote_begins() {
    let mut suite = begin_round();
    suite.propose("bob", "of bob").unwrap();
    suite.decline("cy").unwrap();
    let advanced = suite.lapse_phase();
    assert_eq!(advanced.names(), ["voting_started"]);
    let round = suite.round();
    let states = [SlotState::Missed, SlotState::Proposed, SlotState::Declined];
    assert_eq!(
        (round.phase, round.states()),
        (Phase::Voting, states.to_vec())
    );
    assert!(!round.by_deadline);
    assert_eq!(suite.missed("ana"), (1, 0));
    assert_eq!(suite.strikes(&["bob", "cy", "dan"]), [0, 0, 0]);
    assert_eq!(
        suite.propose("ana", "late"),
        Err(E::WrongPhase(Phase::Voting))
    );
}

#[test]
fn all_open_slots_are_missed_if_nobody_proposes() {
    let mut suite = begin_round();
    let closed = suite.lapse_phase();
    assert_eq!(closed.names(), ["round_closed", "round_started"]);
    let round = suite.round_at(0);
    assert_eq!(round.states(), [SlotState::Missed; 3]);
    assert_eq!(
        (round.outcome, round.by_deadline),
        (Outcome::NoProposal, true)
    );
    assert_eq!(suite.strikes(&FIVE), [1, 1, 1, 0, 0]);
}

#[test]
fn leaving_declines_an_open_slot() {
    let mut suite = begin_round();
    suite.propose("ana", "of ana").unwrap();
    suite.propose("bob", "of bob").unwrap();
    let left = suite.leave("cy").unwrap();
    assert_eq!(left.names(), ["learner_left", "voting_started"]);
    assert_eq!(suite.round().states()[2], SlotState::Declined);
    assert_eq!(suite.strikes(&["cy"]), [0]);
    assert!(suite.ballot(0, "cy").eligible);
    suite.vote("cy", 0b11).unwrap();
}

#[test]
fn leaving_does_not_end_the_phase_while_a_slot_is_open() {
    let mut suite = begin_round();
    assert_eq!(suite.leave("ana").unwrap().names(), ["learner_left"]);
    let refused = Err(E::NotProposer(suite.account("ana")));
    assert_eq!(suite.propose("ana", "late"), refused);
    suite.leave("dan").unwrap();
    suite.leave("eve").unwrap();
    suite.decline("bob").unwrap();
    let left = suite.leave("cy").unwrap();
    assert_eq!(
        left.names(),
        ["learner_left", "round_closed", "experiment_cancelled"]
    );
    assert_eq!(suite.experiment().status, Status::Cancelled);
}

#[test]
fn proposals_of_learners_that_left_stay() {
    let mut suite = begin_round();
    suite.propose("ana", "legacy").unwrap();
    assert_eq!(suite.leave("ana").unwrap().names(), ["learner_left"]);
    suite.propose("bob", "of bob").unwrap();
    suite.decline("cy").unwrap();
    let states = [
        SlotState::Proposed,
        SlotState::Proposed,
        SlotState::Declined,
    ];
    assert_eq!(suite.round().states(), states);
    suite.vote("ana", 0b10).unwrap();
    assert_eq!(suite.ballot_state(0, "ana"), BallotState::Cast);
}

#[test]
fn removal_declines_an_open_slot() {
    let mut suite = Suite::running(&FIVE, |p| (p.proposers, p.max_strikes) = (3, 1));
    suite.lapse_phase(); // ana, bob and cy miss; dan, eve and ana are next
    suite.propose("dan", "of dan").unwrap();
    suite.propose("eve", "of eve").unwrap();
    let removed = suite.remove("stranger", "ana").unwrap();
    assert_eq!(removed.names(), ["learner_removed", "voting_started"]);
}

#[test]
fn slots_are_fixed_when_the_round_begins() {
    let mut suite = Suite::running(&FIVE, |p| (p.proposers, p.late_join) = (3, true));
    suite.leave("bob").unwrap(); // eve takes its position
    suite.join("late").unwrap();
    assert_eq!(suite.proposers(&FIVE), ["ana", "bob", "cy"]);
    for name in ["eve", "late"] {
        let refused = Err(E::NotProposer(suite.account(name)));
        assert_eq!(suite.propose(name, "weights"), refused);
    }
}

#[test]
fn duties_of_several_proposers() {
    let mut suite = begin_round();
    let duties = [
        Duty::Propose,
        Duty::Propose,
        Duty::Propose,
        Duty::Wait,
        Duty::Wait,
    ];
    assert_eq!(suite.duties(&FIVE), duties);
    suite.propose("ana", "of ana").unwrap();
    suite.decline("bob").unwrap();
    let duties = [
        Duty::Wait,
        Duty::Wait,
        Duty::Propose,
        Duty::Wait,
        Duty::Wait,
    ];
    assert_eq!(suite.duties(&FIVE), duties);
    suite.propose("cy", "of cy").unwrap();
    assert_eq!(suite.duties(&FIVE), [Duty::Vote; 5]);
    suite.vote("ana", 0b100).unwrap();
    assert_eq!(suite.duty("ana"), Duty::Wait);
    suite.pass_deadline();
    assert_eq!(suite.duties(&FIVE), [Duty::Advance; 5]);
}

#[test]
fn current_weights_of_several_files_may_be_proposed_again() {
    let mut suite = Suite::running(&THREE, |p| (p.proposers, p.approval_bps) = (3, 1));
    for name in THREE {
        suite.propose(name, name).unwrap();
    }
    for (name, approvals) in [("ana", 0b010), ("bob", 0b001), ("cy", NO)] {
        suite.vote(name, approvals).unwrap();
    }
    assert_eq!(suite.experiment().current, [content("ana"), content("bob")]);
    suite.propose("cy", "ana").unwrap(); // a part of the mean, not the mean
    suite.decline("ana").unwrap();
    suite.decline("bob").unwrap();
    suite.vote("ana", NO).unwrap();
    suite.vote("bob", 0b100).unwrap();
    assert_eq!(suite.experiment().current, [content("ana")]);
    assert_eq!(suite.propose("ana", "ana"), Err(E::Unchanged()));
}

#[test]
fn sixteen_proposals_fit_in_a_round() {
    let names = (0..17).map(|number| format!("learner {number}"));
    let names = names.collect::<Vec<_>>();
    let refs = names.iter().map(String::as_str).collect::<Vec<_>>();
    let mut suite = Suite::running(&refs, |p| {
        (p.proposers, p.max_learners, p.merge) = (16, 20, Merge::Best);
    });
    for name in &refs[..16] {
        suite.propose(name, name).unwrap();
    }
    let all_but_own = |place: u32| !1u16.checked_shl(place).unwrap_or(0);
    for (place, name) in (0..).zip(&refs) {
        suite.vote(name, all_but_own(place)).unwrap();
    }
    let round = suite.round_at(0);
    assert_eq!(round.tally(), (vec![16; 16], 17));
    assert_eq!(round.accepted(), [0]);
}

#[test]
fn scores_of_a_proposal_are_only_in_its_event() {
    let mut suite = begin_round();
    let proposed = suite.propose("bob", "of bob").unwrap();
    let scores = [("vote_score", SCORES.0), ("test_score", SCORES.1)];
    for (name, bits) in scores {
        let recorded = proposed.attribute("weights_proposed", name);
        assert_eq!(recorded, bits.to_string());
    }
}
