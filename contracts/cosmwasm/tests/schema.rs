//! The committed schema matches the messages, and the examples in MESSAGES.md are valid.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;

use collective_learning::msg::{ExecuteMsg, InstantiateMsg, QueryMsg};
use cosmwasm_schema::generate_api;
use serde_json::Value;

fn read(path: &str) -> String {
    fs::read_to_string(format!("{}/{path}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

#[test]
fn committed_schema_is_up_to_date() {
    let api = generate_api! {
        instantiate: InstantiateMsg,
        execute: ExecuteMsg,
        query: QueryMsg,
    };
    let now = api.render().to_string().unwrap() + "\n";
    let hint = "run `cargo run --example schema` and commit the result";
    assert!(read("schema/collective-learning.json") == now, "{hint}");
}

#[test]
fn schema_contains_every_call_and_query() {
    let schema: Value = serde_json::from_str(&read("schema/collective-learning.json")).unwrap();
    let names = |part: &str| -> Vec<String> {
        let variants = schema[part]["oneOf"].as_array().unwrap();
        let required = variants.iter().map(|variant| &variant["required"][0]);
        required
            .map(|name| name.as_str().unwrap().to_string())
            .collect()
    };
    let calls = [
        "create",
        "admit",
        "join",
        "set_encryption_key",
        "leave",
        "remove",
        "start",
        "cancel",
        "propose",
        "decline",
        "vote",
        "commit",
        "reveal",
        "vote_signed",
        "advance",
        "announce",
    ];
    let queries = [
        "experiment",
        "experiments",
        "learner",
        "learners",
        "round",
        "rounds",
        "ballot",
        "ballots",
        "current_weights",
        "duty",
        "agenda",
        "domain",
    ];
    assert_eq!(names("execute"), calls);
    assert_eq!(names("query"), queries);
}

/// Returns the fenced blocks of a language in a page.
fn read_blocks(page: &str, language: &str) -> Vec<String> {
    let fence = format!("```{language}\n");
    let parts = page.split(&fence).skip(1);
    parts
        .map(|part| part.split("```").next().unwrap().to_string())
        .collect()
}

/// Parses a sequence of JSON values, with sample values in place of dots.
fn parse_values(block: &str) -> Vec<Value> {
    let word = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    let filled = block
        .replace("…32 bytes…", word)
        .replace("…16 bytes for each judged file…", word)
        .replace("…33 bytes…", word)
        .replace("…64 bytes, r ‖ s, low s…", word)
        .replace("\"…\"", &format!("\"{word}\""));
    let stream = serde_json::Deserializer::from_str(&filled).into_iter();
    stream
        .map(|value| value.expect("JSON in MESSAGES.md"))
        .collect()
}

#[test]
fn documented_calls_are_valid() {
    let page = read("MESSAGES.md");
    let execute = &read_blocks(&page, "json")[1];
    let calls = parse_values(execute);
    assert_eq!(calls.len(), 16);
    for call in calls {
        serde_json::from_value::<ExecuteMsg>(call.clone())
            .unwrap_or_else(|e| panic!("{call}: {e}"));
    }
}

#[test]
fn documented_queries_are_valid() {
    let page = read("MESSAGES.md");
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `{"));
    let queries = rows.map(|row| format!("{{{}", row.split("` |").next().unwrap()));
    let queries = queries.collect::<Vec<_>>();
    assert_eq!(queries.len(), 12);
    for query in queries {
        serde_json::from_str::<QueryMsg>(&query).unwrap_or_else(|e| panic!("{query}: {e}"));
    }
}

#[test]
fn unknown_fields_are_refused() {
    let odd = r#"{"leave": {"experiment": "1", "force": true}}"#;
    assert!(serde_json::from_str::<ExecuteMsg>(odd).is_err());
    assert!(serde_json::from_str::<InstantiateMsg>(r#"{"admin": "wasm1"}"#).is_err());
}
