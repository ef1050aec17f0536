//! Lists are paged and have at most 100 rows.

use collective_learning::msg::{
    BallotsResponse, ExperimentsResponse, LearnersResponse, QueryMsg, RoundsResponse,
};

use crate::suite::Suite;

fn crowd() -> Suite {
    let mut suite = Suite::enrolling(|p| (p.max_learners, p.rounds) = (200, 200));
    for number in 0..120 {
        suite.join(&format!("learner {number}")).unwrap();
    }
    suite.start().unwrap();
    for _ in 0..105 {
        suite.lapse_phase();
    }
    suite
}

#[test]
fn learners_ballots_and_rounds_come_in_pages() {
    let suite = crowd();
    let (experiment, round) = (suite.id(), 7);
    let pages = [
        ((None, None), 0..100),
        ((Some(100), None), 100..120),
        ((Some(3), Some(4)), 3..7),
        ((Some(0), Some(u32::MAX)), 0..100),
        ((Some(119), Some(50)), 119..120),
        ((Some(120), None), 0..0),
        ((Some(u64::MAX), Some(100)), 0..0),
        ((None, Some(0)), 0..0),
    ];
    for ((start, limit), expected) in pages {
        let learners: LearnersResponse = suite.ask(&QueryMsg::Learners {
            experiment,
            start,
            limit,
        });
        let indexes = learners
            .learners
            .iter()
            .map(|row| row.index)
            .collect::<Vec<_>>();
        assert_eq!(indexes, expected.clone().collect::<Vec<u32>>());

        let ballots: BallotsResponse = suite.ask(&QueryMsg::Ballots {
            experiment,
            round,
            start,
            limit,
        });
        let accounts = ballots.ballots.iter().map(|row| &row.learner);
        assert!(accounts.eq(learners.learners.iter().map(|row| &row.account)));

        let rounds: RoundsResponse = suite.ask(&QueryMsg::Rounds {
            experiment,
            start,
            limit,
        });
        let indexes = rounds
            .rounds
            .iter()
            .map(|row| row.index)
            .collect::<Vec<_>>();
        let begun = expected.start.min(106)..expected.end.min(106);
        assert_eq!(indexes, begun.collect::<Vec<u32>>());
    }
}

#[test]
fn experiments_come_in_pages() {
    let mut suite = Suite::new();
    for _ in 0..103 {
        suite.create(|_| ()).unwrap();
    }
    let ids = |start, limit| -> Vec<u64> {
        let rows: ExperimentsResponse = suite.ask(&QueryMsg::Experiments { start, limit });
        rows.experiments.iter().map(|row| row.id.u64()).collect()
    };
    assert_eq!(ids(None, None), (1..101).collect::<Vec<_>>());
    assert_eq!(ids(Some(100), Some(9)), [101, 102, 103]);
    assert_eq!(ids(Some(2), Some(2)), [3, 4]);
    assert!(ids(Some(103), None).is_empty());
}

#[test]
fn lists_without_entries_are_empty() {
    let suite = Suite::enrolling(|_| ());
    let experiment = suite.id();
    let (start, limit) = (None, None);
    let rounds: RoundsResponse = suite.ask(&QueryMsg::Rounds {
        experiment,
        start,
        limit,
    });
    let learners: LearnersResponse = suite.ask(&QueryMsg::Learners {
        experiment,
        start,
        limit,
    });
    assert!(rounds.rounds.is_empty() && learners.learners.is_empty());
}
