//! Writes the JSON Schema of all messages to `schema/collective-learning.json`.

#![allow(clippy::unwrap_used)]

use std::fs;

use collective_learning::msg::{ExecuteMsg, InstantiateMsg, QueryMsg};
use cosmwasm_schema::generate_api;

fn main() {
    let api = generate_api! {
        instantiate: InstantiateMsg,
        execute: ExecuteMsg,
        query: QueryMsg,
    };
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/schema");
    fs::create_dir_all(folder).unwrap();
    let text = api.render().to_string().unwrap() + "\n";
    fs::write(format!("{folder}/collective-learning.json"), text).unwrap();
}
