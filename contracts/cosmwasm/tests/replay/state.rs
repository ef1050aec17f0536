//! The whole state of an experiment from its queries, with people by name.

use collective_learning::msg::{BallotsResponse, LearnersResponse, QueryMsg};
use serde_json::{json, Value};

use crate::suite::Suite;
use crate::{name_of, PEOPLE};

/// Returns the state in the format of the traces.
pub fn read_state(suite: &Suite) -> Value {
    let e = suite.experiment();
    let mut state = json!({
        "experiment": [e.status, e.round, e.active_learners, e.joined_learners],
        "current": [e.current, e.current_round],
        "times": [e.created_at, e.started_at, e.ended_at],
        "learners": learners(suite),
        "duties": suite.duties(&PEOPLE[..7]),
    });
    if let Some(round) = e.round {
        let rows = (round.saturating_sub(1)..=round).map(|index| row(suite, index));
        state["rounds"] = rows.collect();
    }
    state
}

fn learners(suite: &Suite) -> Vec<Value> {
    let (experiment, start, limit) = (suite.id(), None, None);
    let rows: LearnersResponse = suite.ask(&QueryMsg::Learners {
        experiment,
        start,
        limit,
    });
    let learners = rows.learners.iter().map(|m| {
        let name = name_of(suite, m.account.as_str());
        json!([name, m.active, m.from_round, m.until_round, m.strikes])
    });
    learners.collect()
}

fn row(suite: &Suite, index: u32) -> Value {
    let r = suite.round_at(index);
    json!({
        "states": [r.index, r.phase, r.outcome, name_of(suite, r.proposer.as_str())],
        "counts": [r.eligible, r.needed, r.approvals, r.rejections, r.commitments],
        "times": [r.started_at, r.proposed_at, r.reveal_started_at, r.closed_at, r.deadline],
        "by_deadline": r.by_deadline,
        "content": r.content,
        "ballots": ballots(suite, index),
    })
}

fn ballots(suite: &Suite, round: u32) -> Vec<Value> {
    let (experiment, start, limit) = (suite.id(), None, None);
    let rows: BallotsResponse = suite.ask(&QueryMsg::Ballots {
        experiment,
        round,
        start,
        limit,
    });
    let ballots = rows.ballots.iter();
    ballots
        .map(|row| json!([row.eligible, row.state]))
        .collect()
}
