//! Collective learning on CosmWasm: the protocol of `docs/protocol.md`, to the letter.
//!
//! One instance serves any number of experiments. There is no admin, no migration and no way for
//! anybody to change an outcome. Wire format: `MESSAGES.md`.

mod active;
mod bytes;
pub mod contract;
mod error;
mod events;
mod experiments;
mod hashes;
mod learners;
mod members;
pub mod msg;
mod proposals;
mod queries;
mod round;
mod rounds;
mod selection;
pub mod signing;
mod slots;
mod state;
mod tally;
mod transaction;
pub mod types;
mod validation;
mod views;
mod voting;

pub use crate::error::ContractError;
