//! Votes on several proposals.

use collective_learning::types::{BallotState, Merge, Outcome, Params, Phase};
use collective_learning::ContractError as E;

use crate::suite::worlds::FIVE;
use crate::suite::{content, salt, RoundFacts, Suite, NO, WINDOW};

/// Returns a vote of five learners on proposals of ana, bob and cy. Two of four approvals pass.
fn begin_vote(change: impl FnOnce(&mut Params)) -> Suite {
    let mut suite = Suite::running(&FIVE, |p| {
        p.proposers = 3;
        change(p);
    });
    for name in ["ana", "bob", "cy"] {
        suite.propose(name, name).unwrap();
    }
    suite
}

fn vote_all(suite: &mut Suite, ballots: &[(&str, u16)]) {
    for (name, approvals) in ballots {
        suite.vote(name, *approvals).unwrap();
    }
}

#[test]
fn every_learner_votes_and_all_that_pass_are_accepted() {
    let mut suite = begin_vote(|_| ());
    vote_all(
        &mut suite,
        &[("ana", 0b110), ("bob", 0b101), ("cy", NO), ("dan", 0b001)],
    );
    assert_eq!(suite.round().tally(), (vec![2, 1, 2], 4));
    let last = suite.vote("eve", NO).unwrap();
    assert_eq!(last.names(), ["vote_cast", "round_closed", "round_started"]);
    assert_eq!(
        last.attributes("round_closed")[2..],
        [
            "outcome=accepted",
            "accepted=5",
            "approvals=2,1,2",
            "eligible=4"
        ]
    );
    let round = suite.round_at(0);
    assert_eq!((round.accepted(), round.ballots), (vec![0, 2], 5));
    let e = suite.experiment();
    assert_eq!(e.current, [content("ana"), content("cy")]);
    assert_eq!(e.current_round, Some(0));
}

#[test]
fn ballot_is_recorded_as_a_bitmap() {
    let mut suite = begin_vote(|_| ());
    let cast = suite.vote("bob", 0b101).unwrap();
    assert_eq!(
        cast.attributes("vote_cast")[2..],
        [
            format!("learner={}", suite.account("bob")),
            "approvals=5".to_string(),
            format!("scores={}", suite.score_text(4)),
        ]
    );
    let ballot = suite.ballot(0, "bob");
    assert_eq!((ballot.state, ballot.approvals), (BallotState::Cast, 0b101));
    assert!(ballot.eligible);
}

#[test]
fn nobody_approves_its_own_proposal_or_an_empty_slot() {
    let mut suite = Suite::running(&FIVE, |p| p.proposers = 3);
    suite.propose("ana", "of ana").unwrap();
    suite.decline("bob").unwrap();
    suite.propose("cy", "of cy").unwrap();
    let refused = Err(E::InvalidParameter("approvals"));
    let bad = [
        ("ana", 0b001),
        ("ana", 0b101),
        ("cy", 0b100),
        ("dan", 0b010),
        ("dan", 0b111),
        ("dan", 0b1000),
        ("bob", 0b010),
        ("eve", u16::MAX),
    ];
    for (name, approvals) in bad {
        assert_eq!(suite.vote(name, approvals), refused, "{name} {approvals}");
    }
    let good = [("ana", 0b100), ("bob", 0b101), ("cy", 0b001), ("dan", NO)];
    vote_all(&mut suite, &good);
    assert_eq!(suite.round().tally(), (vec![2, 0, 2], 4));
}

#[test]
fn scores_cover_the_current_weights_and_every_proposal() {
    let mut suite = begin_vote(|_| ());
    let mut vote = suite.ballot_of(NO);
    for length in [0, 32, 48, 63, 65, 80] {
        vote.scores = vec![0; length].into();
        let refused = Err(E::InvalidParameter("scores"));
        assert_eq!(suite.cast("dan", &vote), refused, "{length}");
    }
    vote.scores = vec![0; 64].into();
    suite.cast("dan", &vote).unwrap();
}

#[test]
fn ballot_on_other_proposals_is_refused() {
    let mut suite = begin_vote(|_| ());
    let mut vote = suite.ballot_of(0b001);
    let digest = vote.proposals;
    let files = ["ana", "bob", "cy"].map(content);
    for other in [[0; 32], files[0].sha256.to_array().unwrap()] {
        vote.proposals = other;
        assert_eq!(suite.cast("dan", &vote), Err(E::WrongProposals(digest)));
    }
    vote.proposals = digest;
    suite.cast("dan", &vote).unwrap();
}

#[test]
fn proposer_of_the_only_proposal_is_not_a_voter() {
    let mut suite = Suite::running(&FIVE, |p| p.proposers = 3);
    suite.decline("ana").unwrap();
    suite.propose("bob", "of bob").unwrap();
    suite.lapse_phase(); // cy misses its proposal
    let refused = Err(E::NotEligible(suite.account("bob")));
    assert_eq!(suite.vote("bob", NO), refused);
    assert!(!suite.ballot(0, "bob").eligible);
    vote_all(&mut suite, &[("ana", 0b010), ("cy", 0b010), ("dan", NO)]);
    let last = suite.vote("eve", NO).unwrap();
    assert_eq!(last.attribute("round_closed", "approvals"), "0,2,0");
    assert_eq!(suite.round_at(0).accepted(), [1]);
    assert_eq!(suite.experiment().current, [content("of bob")]);
}

#[test]
fn share_is_of_all_learners_but_one_for_every_proposal() {
    let mut suite = begin_vote(|p| p.approval_bps = 7_500); // 3 of 4
    let ballots = [
        ("ana", 0b110),
        ("bob", 0b101),
        ("cy", 0b011),
        ("dan", 0b011),
    ];
    vote_all(&mut suite, &ballots);
    suite.vote("eve", NO).unwrap();
    let round = suite.round_at(0);
    assert_eq!((round.eligible, round.needed), (4, 3));
    assert_eq!(round.approvals(), [3, 3, 2]);
    assert_eq!(round.accepted(), [0, 1]);
}

#[test]
fn rejected_if_no_proposal_passes() {
    let mut suite = begin_vote(|_| ());
    vote_all(&mut suite, &[("ana", 0b010), ("bob", 0b100), ("cy", 0b001)]);
    suite.vote("dan", NO).unwrap();
    let last = suite.vote("eve", NO).unwrap();
    assert_eq!(
        last.attributes("round_closed")[2..],
        [
            "outcome=rejected",
            "accepted=0",
            "approvals=1,1,1",
            "eligible=4"
        ]
    );
    assert_eq!(suite.experiment().current, [content("initial")]);
}

#[test]
fn best_accepts_the_proposal_with_the_most_approvals() {
    let mut suite = begin_vote(|p| p.merge = Merge::Best);
    let ballots = [
        ("ana", 0b110),
        ("bob", 0b101),
        ("cy", 0b010),
        ("dan", 0b011),
    ];
    vote_all(&mut suite, &ballots);
    suite.vote("eve", 0b001).unwrap();
    let round = suite.round_at(0);
    assert_eq!(round.approvals(), [3, 3, 2]);
    assert_eq!(round.accepted(), [0], "the lowest slot of a tie");
    assert_eq!(suite.experiment().current, [content("ana")]);
}

#[test]
fn best_accepts_a_higher_slot_with_more_approvals() {
    let mut suite = begin_vote(|p| p.merge = Merge::Best);
    let ballots = [
        ("ana", 0b110),
        ("bob", 0b101),
        ("cy", 0b001),
        ("dan", 0b100),
    ];
    vote_all(&mut suite, &ballots);
    suite.lapse_phase();
    let round = suite.round_at(0);
    assert_eq!(
        (round.approvals(), round.accepted()),
        (vec![2, 1, 3], vec![2])
    );
}

#[test]
fn settling_early_waits_until_every_proposal_is_fixed() {
    let mut suite = begin_vote(|p| p.settle_early = true);
    vote_all(&mut suite, &[("ana", 0b010), ("cy", 0b010)]);
    // Slot 1 has passed; slots 0 and 2 can still get two of three ballots.
    vote_all(&mut suite, &[("dan", NO)]);
    assert_eq!(suite.round().phase, Phase::Voting);
    let last = suite.vote("eve", NO).unwrap();
    assert_eq!(last.attribute("round_closed", "accepted"), "2");
    assert_eq!(suite.round_at(0).ballots, 4);
    assert_eq!(suite.strikes(&FIVE), [0; 5]);
}

#[test]
fn settling_early_closes_once_all_have_passed() {
    let mut suite = begin_vote(|p| p.settle_early = true);
    vote_all(&mut suite, &[("dan", 0b111), ("ana", 0b110)]);
    let last = suite.vote("eve", 0b001).unwrap();
    assert_eq!(last.attribute("round_closed", "accepted"), "7");
    assert_eq!(
        suite.experiment().current,
        ["ana", "bob", "cy"].map(content)
    );
}

#[test]
fn settling_early_with_best_waits_while_two_have_passed() {
    let mut suite = begin_vote(|p| (p.settle_early, p.merge) = (true, Merge::Best));
    vote_all(
        &mut suite,
        &[("dan", 0b011), ("eve", 0b011), ("cy", NO), ("ana", NO)],
    );
    assert_eq!(suite.round().phase, Phase::Voting, "slot 0 or slot 1");
    suite.vote("bob", 0b001).unwrap();
    assert_eq!(suite.round_at(0).accepted(), [0]);
}

#[test]
fn settling_early_with_best_closes_once_one_has_passed_and_no_other_can() {
    let mut suite = begin_vote(|p| (p.settle_early, p.merge) = (true, Merge::Best));
    vote_all(&mut suite, &[("dan", 0b010), ("eve", 0b010), ("cy", NO)]);
    let last = suite.vote("ana", NO).unwrap();
    assert_eq!(last.attribute("round_closed", "accepted"), "2");
}

#[test]
fn missed_ballots_of_a_plural_round() {
    let mut suite = begin_vote(|_| ());
    suite.vote("dan", 0b001).unwrap();
    suite.lapse_phase();
    assert_eq!(suite.round_at(0).outcome, Outcome::Rejected);
    for (name, missed) in [("ana", 1), ("bob", 1), ("cy", 1), ("dan", 0), ("eve", 1)] {
        assert_eq!(suite.missed(name), (0, missed), "{name}");
    }
    // Next come dan, eve and ana. A proposal does not clear a missed ballot.
    suite.propose("ana", "more").unwrap();
    assert_eq!(suite.missed("ana"), (0, 1));
    suite.lapse_phase();
    suite.lapse_phase(); // ana was the only proposer, so it had no vote
    for (name, missed) in [
        ("ana", (0, 1)),
        ("bob", (0, 2)),
        ("dan", (1, 1)),
        ("eve", (1, 2)),
    ] {
        assert_eq!(suite.missed(name), missed, "{name}");
    }
}

#[test]
fn secret_ballots_on_several_proposals() {
    let mut suite = begin_vote(|p| p.reveal_window = WINDOW as u32);
    let ballots = [("ana", 0b110), ("bob", 0b101), ("cy", 0b011), ("dan", NO)];
    for (name, approvals) in ballots {
        suite.commit(name, approvals).unwrap();
    }
    let last = suite.commit("eve", 0b100).unwrap();
    assert_eq!(last.names(), ["vote_committed", "reveal_started"]);
    let wrong = suite.reveal("eve", 0b110);
    assert_eq!(wrong, Err(E::BadReveal(suite.account("eve"))));
    for (name, approvals) in ballots {
        suite.reveal(name, approvals).unwrap();
    }
    assert_eq!(suite.round().tally(), (vec![2, 2, 2], 4));
    suite.reveal("eve", 0b100).unwrap();
    let round = suite.round_at(0);
    assert_eq!((round.tally(), round.commitments), ((vec![2, 2, 3], 5), 5));
}

#[test]
fn committed_approval_of_the_own_proposal_cannot_be_revealed() {
    let mut suite = begin_vote(|p| p.reveal_window = WINDOW as u32);
    suite.commit("ana", 0b001).unwrap();
    suite.lapse_phase();
    let own = suite.ballot_of(0b001);
    let revealed = suite.reveal_with("ana", &own, &salt("ana"));
    assert_eq!(revealed, Err(E::InvalidParameter("approvals")));
}

#[test]
fn too_few_commitments_for_any_proposal_close_the_round() {
    let mut suite = begin_vote(|p| {
        (p.settle_early, p.reveal_window) = (true, WINDOW as u32);
    });
    suite.commit("ana", 0b110).unwrap();
    let closed = suite.lapse_phase();
    assert_eq!(closed.attribute("round_closed", "outcome"), "rejected");
    assert_eq!(suite.round_at(0).reveal_started_at, None);
}

#[test]
fn signed_ballots_on_several_proposals() {
    let mut suite = begin_vote(|_| ());
    suite.vote("dan", NO).unwrap();
    let ballots = [
        ("ana", 0b110),
        ("bob", 0b010),
        ("cy", 0b1000),
        ("eve", 0b100),
    ];
    let ballots = ballots.map(|(name, approvals)| suite.sign_ballot(name, approvals));
    let submitted = suite.submit_ballots(&ballots).unwrap();
    assert_eq!(
        submitted.names(),
        ["vote_cast", "ballot_skipped", "ballot_skipped", "vote_cast"],
        "bob's approves its own proposal, cy's a slot that does not exist"
    );
    assert_eq!(
        submitted.attribute("ballot_skipped", "reason"),
        "invalid_ballot"
    );
    assert_eq!(suite.round().tally(), (vec![0, 1, 2], 3));
    assert_eq!(suite.ballot_state(0, "bob"), BallotState::None);
    suite.vote("bob", 0b101).unwrap();
}

#[test]
fn voters_that_leave_may_still_vote_and_miss_nothing() {
    let mut suite = begin_vote(|_| ());
    for name in ["bob", "eve"] {
        suite.leave(name).unwrap();
    }
    assert_eq!(suite.round().eligible, 4);
    suite.vote("bob", 0b101).unwrap();
    suite.vote("dan", 0b101).unwrap();
    suite.lapse_phase();
    assert_eq!(suite.round_at(0).accepted(), [0, 2]);
    assert_eq!(suite.strikes(&FIVE), [1, 0, 1, 0, 0]);
}

#[test]
fn next_round_replaces_all_current_weights() {
    let mut suite = begin_vote(|p| p.approval_bps = 1);
    for (name, approvals) in [("ana", 0b110), ("bob", NO), ("cy", NO), ("dan", NO)] {
        suite.vote(name, approvals).unwrap();
    }
    suite.vote("eve", NO).unwrap();
    assert_eq!(suite.experiment().current, [content("bob"), content("cy")]);
    for name in ["dan", "eve", "ana"] {
        suite.propose(name, &format!("next of {name}")).unwrap();
    }
    suite.lapse_phase();
    assert_eq!(suite.experiment().current_round, Some(0), "rejected");
    suite.propose("bob", "better").unwrap();
    suite.lapse_phase();
    suite.vote("ana", 0b001).unwrap();
    suite.lapse_phase();
    let e = suite.experiment();
    assert_eq!(
        (e.current, e.current_round),
        (vec![content("better")], Some(2))
    );
}
