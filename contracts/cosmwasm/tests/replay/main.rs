//! Replays traces of the reference.
//!
//! Every call must have the same result and leave the same state.
//! `tests/traces/record.py` writes them to `traces/`, or to the folder in COLEARN_TRACES.

#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../suite/mod.rs"]
mod suite;

mod calls;
mod state;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::{env, fs};

use collective_learning::ContractError;
use cosmwasm_std::{Event, Timestamp};
use serde::Deserialize;
use serde_json::Value;

use suite::{CallResult, Suite};

/// Minimum number of steps for a meaningful comparison.
const ENOUGH: usize = 20_000;

#[derive(Deserialize)]
struct Step {
    time: u64,
    by: String,
    call: String,
    arguments: Value,
    events: Option<Vec<(String, BTreeMap<String, String>)>>,
    error: Option<Refusal>,
    after: Value,
}

#[derive(Deserialize)]
struct Refusal {
    name: String,
    values: Vec<Value>,
}

/// All people in the traces.
const PEOPLE: [&str; 8] = [
    "ana", "bob", "cy", "dan", "eve", "late", "stranger", "creator",
];

#[test]
fn contract_gives_the_same_results_as_the_reference() {
    let folder = env::var("COLEARN_TRACES").map_or_else(
        |_| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("traces"),
        PathBuf::from,
    );
    let mut steps = 0;
    for entry in fs::read_dir(&folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        let traces: Vec<Vec<Step>> = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        for (number, trace) in traces.iter().enumerate() {
            let what = format!("{}, trace {number}", path.display());
            replay(trace, &what);
            steps += trace.len();
        }
    }
    println!("{steps} steps replayed");
    let hint = "run `.venv/bin/python -m tests.traces.record` at the repository's root first";
    assert!(
        steps >= ENOUGH,
        "{steps} steps in {}: {hint}",
        folder.display()
    );
}

fn replay(trace: &[Step], what: &str) {
    let mut suite = Suite::new();
    suite.experiment = 1;
    for (number, step) in trace.iter().enumerate() {
        let what = format!("{what}, step {number}: {} by {}", step.call, step.by);
        suite.app.update_block(|block| {
            block.height += 1;
            block.time = Timestamp::from_seconds(step.time);
        });
        let msg = calls::message(&suite, &step.call, &step.arguments);
        let called = suite.send(&step.by, &msg);
        compare(&suite, step, called, &what);
        assert_eq!(state::read_state(&suite), step.after, "{what}");
    }
}

fn compare(suite: &Suite, step: &Step, called: CallResult, what: &str) {
    match (&step.events, &step.error, called) {
        (Some(expected), None, Ok(happened)) => {
            let actual = happened
                .0
                .iter()
                .map(|event| format_event(suite, event))
                .collect::<Vec<_>>();
            assert_eq!(actual, *expected, "{what}");
        }
        (None, Some(expected), Err(error)) => {
            assert_eq!(error.to_string(), error_text(suite, expected), "{what}");
        }
        (_, _, called) => panic!("{what}: {called:?} and not {:?}", step.events),
    }
}

/// Formats an event with names in place of addresses, and without hashes of addresses.
fn format_event(suite: &Suite, event: &Event) -> (String, BTreeMap<String, String>) {
    let left_out = ["_contract_address", "commitment", "params"];
    let own = event
        .attributes
        .iter()
        .filter(|a| !left_out.contains(&a.key.as_str()));
    let pairs = own.map(|a| (a.key.clone(), name_of(suite, &a.value)));
    (
        event.ty.trim_start_matches("wasm-").to_string(),
        pairs.collect(),
    )
}

/// Returns the text of the expected error. Null stands for the experiment's hash, which depends on the
/// creator's address.
fn error_text(suite: &Suite, expected: &Refusal) -> String {
    let values = expected.values.iter().map(|value| match value {
        Value::String(name) if PEOPLE.contains(&name.as_str()) => {
            suite.account(name).to_string().into()
        }
        Value::Null => {
            let hash = suite.experiment().hash;
            let digits = hash.iter().map(|byte| format!("{byte:02x}"));
            digits.collect::<String>().into()
        }
        _ => value.clone(),
    });
    let values = serde_json::to_string(&values.collect::<Vec<Value>>()).unwrap();
    let text = format!("colearn:{}({values})", expected.name);
    assert!(!text.starts_with(&ContractError::Unchanged().to_string()) || values == "[]");
    text
}

/// Returns a text, which may be a list separated by commas, with names in place of addresses.
fn name_of(suite: &Suite, text: &str) -> String {
    let names = text.split(',').map(|part| {
        let mut people = PEOPLE.into_iter();
        let person = people.find(|name| suite.account(name).as_str() == part);
        person.unwrap_or(part)
    });
    names.collect::<Vec<_>>().join(",")
}
