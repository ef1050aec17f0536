//! Converts the calls of a trace to messages.
//!
//! Names become addresses. Ballots are hashed and signed again.

use collective_learning::msg::{ExecuteMsg, SignedBallot};
use collective_learning::signing::{commitment, Vote};
use cosmwasm_std::Binary;
use serde_json::{json, Map, Value};

use crate::suite::{Person, Suite};

/// Returns the message of a call.
pub fn message(suite: &Suite, call: &str, given: &Value) -> ExecuteMsg {
    let mut arguments = given.as_object().unwrap().clone();
    if call != "create" {
        arguments.insert("experiment".to_string(), "1".into());
    }
    match call {
        "admit" => {
            let names = given["accounts"].as_array().unwrap().iter();
            let accounts = names.map(|name| suite.account(text(name)).to_string());
            arguments.insert("accounts".to_string(), accounts.collect());
        }
        "join" => {
            let wrong = arguments.remove("wrong") == Some(true.into());
            let hash = match wrong {
                true => Binary::from([0; 32]),
                false => suite.experiment().hash,
            };
            arguments.insert("hash".to_string(), json!(hash));
        }
        "remove" => {
            let learner = suite.account(text(&given["learner"]));
            arguments.insert("learner".to_string(), learner.as_str().into());
        }
        "commit" => arguments = commit(suite, given),
        "vote_signed" => {
            let ballots = given["ballots"].as_array().unwrap().iter();
            let ballots = ballots.map(|ballot| json!(sign_ballot(suite, given, ballot)));
            arguments.insert("ballots".to_string(), ballots.collect());
        }
        _ => (),
    }
    serde_json::from_value(json!({ call: arguments })).unwrap()
}

fn commit(suite: &Suite, given: &Value) -> Map<String, Value> {
    let vote = vote(given, given);
    let salt = bytes(&given["salt"]);
    let account = Person::named(text(&given["of"])).canonical();
    let hash = match given["zero"].as_bool().unwrap() {
        true => [0; 32],
        false => commitment(&suite.domain().separator(), &account, &vote, &salt),
    };
    let arguments = json!({
        "experiment": "1", "round": given["round"], "proposals": given["proposals"],
        "commitment": Binary::from(hash),
    });
    arguments.as_object().unwrap().clone()
}

fn sign_ballot(suite: &Suite, batch: &Value, given: &Value) -> SignedBallot {
    let (signer, learner) = (text(&given["signer"]), text(&given["learner"]));
    suite.sign_ballot_as(signer, learner, &suite.domain(), &vote(batch, given))
}

/// Returns the ballot in `given` on the proposals and in the round of a call.
fn vote(call: &Value, given: &Value) -> Vote {
    Vote {
        experiment: 1,
        round: call["round"].as_u64().unwrap() as u32,
        proposals: bytes(&call["proposals"]).to_array().unwrap(),
        approvals: given["approvals"].as_u64().unwrap() as u16,
        scores: bytes(&given["scores"]),
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

fn bytes(value: &Value) -> Binary {
    Binary::from_base64(text(value)).unwrap()
}
