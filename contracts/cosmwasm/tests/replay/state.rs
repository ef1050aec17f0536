//! The whole state of an experiment from its queries, with people by name.

use collective_learning::msg::{BallotsResponse, LearnersResponse, QueryMsg};
use serde_json::{json, Value};

use crate::suite::Suite;
use crate::{name_of, PEOPLE};

/// Returns the state in the format of the traces.
pub fn read_state(suite: &Suite) -> Value {
    let e = suite.experiment();
    let mut state = json!({
        "experiment":
            [e.status, e.round, e.active_learners, e.joined_learners, e.cancel_requested],
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
        let missed = (m.missed_proposals, m.missed_ballots);
        json!([
            name,
            m.active,
            m.from_round,
            m.until_round,
            missed.0,
            missed.1
        ])
    });
    learners.collect()
}

fn row(suite: &Suite, index: u32) -> Value {
    let r = suite.round_at(index);
    let slots = r.slots.iter().map(|slot| {
        let proposer = name_of(suite, slot.proposer.as_str());
        let content = &slot.content;
        json!([
            proposer,
            slot.state,
            content,
            slot.proposed_at,
            slot.approvals,
            slot.accepted
        ])
    });
    let times = (r.started_at, r.voting_started_at, r.reveal_started_at);
    json!({
        "states": [r.index, r.phase, r.outcome],
        "slots": slots.collect::<Vec<_>>(),
        "counts": [r.eligible, r.needed, r.ballots, r.commitments],
        "proposals": r.proposals,
        "times": [times.0, times.1, times.2, r.closed_at, r.deadline],
        "by_deadline": r.by_deadline,
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
        .map(|row| json!([row.eligible, row.state, row.approvals]))
        .collect()
}
