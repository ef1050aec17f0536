//! Converts the calls of a trace to messages: names become addresses, ballots are hashed and signed again.

use collective_learning::msg::{ExecuteMsg, SignedBallot};
use collective_learning::signing::{commitment, Vote};
use cosmwasm_std::Binary;
use serde_json::{json, Map, Value};

use crate::suite::{Person, Suite};

/// Returns the message of a call.
pub fn message(suite: &Suite, call: &str, format_event: &Value) -> ExecuteMsg {
    let mut arguments = format_event.as_object().unwrap().clone();
    if call != "create" {
        arguments.insert("experiment".to_string(), "1".into());
    }
    match call {
        "admit" => {
            let names = format_event["accounts"].as_array().unwrap().iter();
            let accounts = names.map(|name| suite.account(name.as_str().unwrap()).to_string());
            arguments.insert("accounts".to_string(), accounts.collect());
        }
        "remove" => {
            let learner = suite.account(format_event["learner"].as_str().unwrap());
            arguments.insert("learner".to_string(), learner.as_str().into());
        }
        "commit" => arguments = commit(suite, format_event),
        "vote_signed" => {
            let ballots = format_event["ballots"].as_array().unwrap().iter();
            let ballots =
                ballots.map(|ballot| json!(signed(suite, &format_event["round"], ballot)));
            arguments.insert("ballots".to_string(), ballots.collect());
        }
        _ => (),
    }
    serde_json::from_value(json!({ call: arguments })).unwrap()
}

fn commit(suite: &Suite, format_event: &Value) -> Map<String, Value> {
    let vote = vote(&format_event["round"], format_event);
    let salt = Binary::from_base64(format_event["salt"].as_str().unwrap()).unwrap();
    let account = Person::named(format_event["of"].as_str().unwrap()).canonical();
    let hash = match format_event["zero"].as_bool().unwrap() {
        true => [0; 32],
        false => commitment(&suite.domain().separator(), &account, &vote, &salt),
    };
    let arguments = json!({
        "experiment": "1", "round": format_event["round"], "commitment": Binary::from(hash),
    });
    arguments.as_object().unwrap().clone()
}

fn signed(suite: &Suite, round: &Value, format_event: &Value) -> SignedBallot {
    let (signer, learner) = (
        format_event["signer"].as_str().unwrap(),
        format_event["learner"].as_str().unwrap(),
    );
    suite.signed_as(signer, learner, &suite.domain(), &vote(round, format_event))
}

fn vote(round: &Value, format_event: &Value) -> Vote {
    let bits = |name: &str| format_event[name].as_str().unwrap().parse().unwrap();
    Vote {
        experiment: 1,
        round: round.as_u64().unwrap() as u32,
        approve: format_event["approve"].as_bool().unwrap(),
        vote_score: bits("vote_score"),
        test_score: bits("test_score"),
    }
}
