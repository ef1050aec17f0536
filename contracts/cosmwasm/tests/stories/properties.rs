//! Tally and selection agree with simple restatements of the rules, on random cases.

use collective_learning::types::{Merge, Outcome, Phase, Selection, Status};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::suite::{RoundFacts, Suite, NO, WINDOW};

/// The behaviour of a voter in a round.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Voter {
    Approves,
    Rejects,
    Absent,
}

fn voters() -> impl Strategy<Value = Vec<Voter>> {
    let one = prop_oneof![
        Just(Voter::Approves),
        Just(Voter::Rejects),
        Just(Voter::Absent)
    ];
    vec(one, 1..8)
}

fn names(count: usize) -> Vec<String> {
    (0..count)
        .map(|number| format!("learner {number}"))
        .collect()
}

fn count(voters: &[Voter], of: Voter) -> u32 {
    voters.iter().filter(|voter| **voter == of).count() as u32
}

/// Returns a running experiment with a proposal and this many voters.
fn begin_vote(voters: &[Voter], bps: u32, settle_early: bool, reveal_window: u32) -> Suite {
    let names = names(voters.len() + 1);
    let refs = names.iter().map(String::as_str).collect::<Vec<_>>();
    let mut suite = Suite::running(&refs, |p| {
        (p.approval_bps, p.settle_early, p.reveal_window) = (bps, settle_early, reveal_window);
        p.rounds = 1;
    });
    suite.propose("learner 0", "weights").unwrap();
    suite
}

/// Returns the smallest number of approvals that reaches the share; at least one.
fn needed(eligible: u32, bps: u32) -> u32 {
    (1..).find(|n| n * 10_000 >= eligible * bps).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..Default::default() })]

    #[test]
    fn open_ballots_are_counted_by_the_rules(
        voters in voters(), bps in 1u32..=10_000, settle_early: bool,
    ) {
        let eligible = voters.len() as u32;
        let mut suite = begin_vote(&voters, bps, settle_early, 0);
        prop_assert_eq!(suite.round().needed, needed(eligible, bps));
        let (mut approvals, mut rejections) = (0, 0);
        for (place, voter) in voters.iter().enumerate() {
            if *voter == Voter::Absent {
                continue;
            }
            let approve = *voter == Voter::Approves;
            suite.vote(&format!("learner {}", place + 1), approve.into()).unwrap();
            approvals += u32::from(approve);
            rejections += u32::from(!approve);
            let left = eligible - approvals - rejections;
            let fixed = approvals >= needed(eligible, bps) || approvals + left < needed(eligible, bps);
            let closed = left == 0 || (settle_early && fixed);
            prop_assert_eq!(suite.round().phase == Phase::Closed, closed);
            if closed {
                break;
            }
        }
        if suite.round().phase != Phase::Closed {
            suite.lapse_phase();
        }
        let round = suite.round();
        prop_assert_eq!(round.tally(), (vec![approvals], approvals + rejections));
        let accepted = approvals >= needed(eligible, bps);
        let outcome = if accepted { Outcome::Accepted } else { Outcome::Rejected };
        prop_assert_eq!(round.outcome, outcome);
        prop_assert_eq!(suite.experiment().current_round, accepted.then_some(0));
    }

    #[test]
    fn secret_ballots_give_the_same_outcome_as_open_ones(
        voters in voters(), bps in 1u32..=10_000, settle_early: bool, reversed: bool,
    ) {
        let mut suite = begin_vote(&voters, bps, settle_early, WINDOW as u32);
        let mut order = (0..voters.len()).filter(|i| voters[*i] != Voter::Absent).collect::<Vec<_>>();
        for place in &order {
            let approve = voters[*place] == Voter::Approves;
            suite.commit(&format!("learner {}", place + 1), approve.into()).unwrap();
        }
        if suite.round().phase == Phase::Voting {
            suite.lapse_phase();
        }
        if reversed {
            order.reverse();
        }
        for place in order {
            if suite.round().phase == Phase::Revealing {
                let approve = voters[place] == Voter::Approves;
                suite.reveal(&format!("learner {}", place + 1), approve.into()).unwrap();
            }
        }
        if suite.round().phase == Phase::Revealing {
            suite.lapse_phase();
        }
        let accepted = count(&voters, Voter::Approves) >= needed(voters.len() as u32, bps);
        let outcome = if accepted { Outcome::Accepted } else { Outcome::Rejected };
        prop_assert_eq!(suite.round().outcome, outcome);
        prop_assert_eq!(suite.round().commitments, voters.len() as u32 - count(&voters, Voter::Absent));
    }

    #[test]
    fn missed_duties_are_counted_in_a_row(
        rounds in vec((any::<bool>(), vec(any::<bool>(), 3)), 1..12),
    ) {
        let names = ["a", "b", "c"];
        let mut suite = Suite::running(&names, |p| p.rounds = 20);
        let (mut proposals, mut ballots) = ([0; 3], [0; 3]);
        for (number, (proposes, votes)) in rounds.iter().enumerate() {
            let proposer = number % 3;
            if !proposes {
                suite.lapse_phase();
                proposals[proposer] += 1;
            } else {
                suite.propose(names[proposer], &format!("weights {number}")).unwrap();
                proposals[proposer] = 0;
                let voters = (0..3).filter(|place| *place != proposer);
                for place in voters {
                    ballots[place] += 1;
                    if votes[place] {
                        suite.vote(names[place], NO).unwrap();
                        ballots[place] = 0;
                    }
                }
                if suite.current() == number as u32 {
                    suite.lapse_phase();
                }
            }
            for (place, name) in names.iter().enumerate() {
                prop_assert_eq!(suite.missed(name), (proposals[place], ballots[place]));
            }
        }
    }

    #[test]
    fn round_robin_follows_the_active_list_after_leaving(
        leavers in vec(any::<prop::sample::Index>(), 0..6),
    ) {
        let names = names(8);
        let mut active = names.clone();
        let refs = names.iter().map(String::as_str).collect::<Vec<_>>();
        let mut suite = Suite::enrolled(&refs, |p| p.rounds = 100);
        for leaver in leavers {
            let place = leaver.index(active.len());
            suite.leave(&active.swap_remove(place)).unwrap();
        }
        suite.start().unwrap();
        for turn in 0..2 * active.len() {
            let expected = &active[turn % active.len()];
            prop_assert_eq!(suite.proposer(&refs), expected.as_str());
            suite.decline(expected).unwrap();
        }
    }

    #[test]
    fn random_selection_gives_every_learner_one_turn_in_a_cycle(
        leavers in vec(any::<prop::sample::Index>(), 0..5), pauses in vec(0u64..1_000, 7),
    ) {
        let names = names(7);
        let mut active = names.clone();
        let refs = names.iter().map(String::as_str).collect::<Vec<_>>();
        let mut suite = Suite::enrolled(&refs, |p| p.selection = Selection::Random);
        for leaver in leavers {
            let place = leaver.index(active.len());
            suite.leave(&active.swap_remove(place)).unwrap();
        }
        suite.start().unwrap();
        let mut turns = vec![];
        for pause in &pauses[..active.len()] {
            let proposer = suite.proposer(&refs).to_string();
            suite.pass_time(pause % WINDOW);
            suite.decline(&proposer).unwrap();
            turns.push(proposer);
        }
        turns.sort_unstable();
        active.sort_unstable();
        prop_assert_eq!(turns, active);
        prop_assert_eq!(suite.experiment().status, Status::Running);
    }

    #[test]
    fn plural_rounds_are_counted_by_the_rules(
        ballots in vec(proptest::option::of(0u16..8), 5), bps in 1u32..=10_000,
        settle_early: bool, best: bool,
    ) {
        let names = names(5);
        let refs = names.iter().map(String::as_str).collect::<Vec<_>>();
        let mut suite = Suite::running(&refs, |p| {
            (p.proposers, p.approval_bps, p.settle_early) = (3, bps, settle_early);
            (p.merge, p.rounds) = (if best { Merge::Best } else { Merge::Mean }, 1);
        });
        for name in &refs[..3] {
            suite.propose(name, name).unwrap();
        }
        let (mut counts, needed) = ([0, 0, 0], needed(4, bps));
        let (mut cast, mut closed) = (0, false);
        for (place, ballot) in ballots.iter().enumerate() {
            let Some(ballot) = ballot.filter(|_| !closed) else {
                continue;
            };
            let allowed = ballot & !(1 << place);
            suite.vote(refs[place], allowed).unwrap();
            cast += 1;
            let left = 5 - cast;
            for (slot, count) in counts.iter_mut().enumerate() {
                *count += u32::from(allowed >> slot & 1);
            }
            let passed = counts.iter().filter(|count| **count >= needed).count();
            let fixed = counts.iter().all(|count| *count >= needed || count + left < needed);
            closed = left == 0 || settle_early && fixed && !(best && passed > 1);
            prop_assert_eq!(suite.round().phase == Phase::Closed, closed);
        }
        if !closed {
            suite.lapse_phase();
        }
        let mut accepted = (0..3).filter(|slot| counts[*slot] >= needed).collect::<Vec<_>>();
        if best {
            accepted.sort_by_key(|slot| (std::cmp::Reverse(counts[*slot]), *slot));
            accepted.truncate(1);
        }
        let round = suite.round();
        prop_assert_eq!(round.tally(), (counts.to_vec(), cast));
        prop_assert_eq!(round.outcome == Outcome::Accepted, !accepted.is_empty());
        prop_assert_eq!(round.accepted(), accepted);
    }
}
