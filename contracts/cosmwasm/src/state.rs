//! The storage layout.
//!
//! | map | key | value |
//! |---|---|---|
//! | `COUNT` | | the number of experiments |
//! | `EXPERIMENTS` | experiment | its creator, hash and parameters, which never change |
//! | `PROGRESS` | experiment | its status, round and counts |
//! | `ADMITTED` | experiment, account | set if the account is on the allowlist |
//! | `MEMBERS` | experiment, account | a learner's index, electorates and missed duties |
//! | `ROSTER` | experiment, index | a learner's account and encryption key |
//! | `ACTIVE` | experiment, position | the active list: a learner's index |
//! | `ROUNDS` | experiment, round | a round's stage and slots |
//! | `PROPOSALS` | experiment, round, slot | a proposal |
//! | `TALLIES` | experiment, round | the ballots counted so far, once there is one |
//! | `COMMITMENTS` | experiment, round, index | a learner's commitment |
//! | `BALLOTS` | experiment, round, index | a learner's ballot: the bitmap of the slots it approves |
//! | `SALTS` | experiment, round | XOR of the revealed salts, with random selection only |
//! | `MISSES` | experiment, number | the round of the number-th vote that closed by its deadline |
//!
//! No call iterates over a map: each touches a number of keys that depends on the slots of a round,
//! never on the number of learners. A chain charges about 30 gas per byte written, hence the short
//! names and rows (JSON arrays), and a tally beside the round: a ballot rewrites only the tally.

use cosmwasm_std::{Addr, Binary, Empty, Storage};
use cw_storage_plus::{Item, Map};
use serde::{Deserialize, Serialize};

use crate::bytes::Word;
use crate::error::ContractError;
use crate::members::Member;
use crate::round::Round;
use crate::slots::slots_in;
use crate::tally::Tally;
use crate::types::{ContentRef, Params, Status};

pub(crate) const COUNT: Item<u64> = Item::new("n");
pub(crate) const EXPERIMENTS: Map<u64, Experiment> = Map::new("e");
pub(crate) const PROGRESS: Map<u64, Progress> = Map::new("p");
pub(crate) const ADMITTED: Map<(u64, &Addr), Empty> = Map::new("l");
pub(crate) const MEMBERS: Map<(u64, &Addr), Member> = Map::new("m");
pub(crate) const ROSTER: Map<(u64, u32), Entry> = Map::new("i");
pub(crate) const ACTIVE: Map<(u64, u32), u32> = Map::new("a");
pub(crate) const ROUNDS: Map<(u64, u32), Round> = Map::new("r");
pub(crate) const PROPOSALS: Map<(u64, u32, u8), Proposal> = Map::new("c");
pub(crate) const TALLIES: Map<(u64, u32), Tally> = Map::new("t");
pub(crate) const COMMITMENTS: Map<(u64, u32, u32), Word> = Map::new("h");
pub(crate) const BALLOTS: Map<(u64, u32, u32), u16> = Map::new("b");
pub(crate) const SALTS: Map<(u64, u32), Word> = Map::new("s");
pub(crate) const MISSES: Map<(u64, u32), u32> = Map::new("d");

/// Declares a struct that is stored as the JSON array of its fields, without their names.
macro_rules! row {
    ($(#[$about:meta])* $name:ident {
        $($(#[$field_about:meta])* $field:ident: $type:ty,)+
    }) => {
        $(#[$about])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub(crate) struct $name {
            $($(#[$field_about])* pub(crate) $field: $type,)+
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                ($(&self.$field,)+).serialize(to)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let ($($field,)+) = <($($type,)+)>::deserialize(from)?;
                Ok(Self { $($field,)+ })
            }
        }
    };
}
pub(crate) use row;

/// The immutable part of an experiment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Experiment {
    pub(crate) creator: Addr,
    pub(crate) created_at: u64,
    /// The experiment's hash, 32 bytes.
    pub(crate) hash: Binary,
    pub(crate) params: Params,
}

row! {
    /// The mutable part of an experiment.
    Progress {
        status: Status,
        /// The current round, or the last one once the experiment has ended.
        round: Option<u32>,
        joined: u32,
        active: u32,
        /// With round robin, the position after that of the last slot; 0 before round 0.
        turn: u32,
        /// With random selection, how many members were drawn in this cycle. They are at the
        /// beginning of the active list.
        drawn: u32,
        /// How many votes closed by their deadline so far.
        misses: u32,
        /// The round that accepted the current weights, and the bitmap of their slots.
        accepted: Option<(u32, u16)>,
        cancel_requested: bool,
        started_at: Option<u64>,
        ended_at: Option<u64>,
        /// The seed of the current round; zero with round robin.
        seed: Word,
    }
}

impl Progress {
    /// Returns the progress of a new experiment.
    pub(crate) fn new() -> Self {
        Self {
            status: Status::Enrolling,
            round: None,
            joined: 0,
            active: 0,
            turn: 0,
            drawn: 0,
            misses: 0,
            accepted: None,
            cancel_requested: false,
            started_at: None,
            ended_at: None,
            seed: Word::default(),
        }
    }

    /// Returns the first round that a change of the active list affects.
    pub(crate) fn next_round(&self) -> u32 {
        self.round.map_or(0, |current| current + 1)
    }

    /// Returns how many rounds in a row closed without an accepted proposal, if the current one did.
    pub(crate) fn fruitless_rounds(&self) -> u32 {
        let accepted = self.accepted.map_or(0, |(round, _)| round + 1);
        self.next_round() - accepted
    }

    /// Checks that the status is one of these.
    pub(crate) fn must_be(&self, allowed: &[Status]) -> Result<(), ContractError> {
        if allowed.contains(&self.status) {
            return Ok(());
        }
        Err(ContractError::WrongStatus(self.status))
    }
}

/// A learner's account, and the key for files that only it may read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    #[serde(rename = "a")]
    pub(crate) account: Addr,
    #[serde(rename = "k")]
    pub(crate) encryption_key: Binary,
}

row! {
    /// A proposal.
    Proposal {
        content: ContentRef,
        proposed_at: u64,
    }
}

/// Loads the progress of an experiment, or fails with `UnknownExperiment`.
pub(crate) fn existing(storage: &dyn Storage, id: u64) -> Result<Progress, ContractError> {
    let progress = PROGRESS.may_load(storage, id)?;
    progress.ok_or(ContractError::UnknownExperiment(id))
}

/// Returns the proposals that make up the current weights, in slot order; the initial weights before
/// the first acceptance.
pub(crate) fn current_weights(
    storage: &dyn Storage,
    id: u64,
    accepted: Option<(u32, u16)>,
) -> Result<Vec<ContentRef>, ContractError> {
    let Some((round, slots)) = accepted else {
        let initial = EXPERIMENTS.load(storage, id)?.params.initial;
        return Ok(initial.into_iter().collect());
    };
    slots_in(slots)
        .map(|slot| Ok(PROPOSALS.load(storage, (id, round, slot))?.content))
        .collect()
}

#[cfg(test)]
mod tests {
    use cosmwasm_std::{from_json, to_json_string};

    use super::*;

    #[test]
    fn progress_is_stored_as_a_row_and_comes_back() {
        let mut progress = Progress::new();
        let stored = to_json_string(&progress).unwrap();
        let expected = r#"["enrolling",null,0,0,0,0,0,null,false,null,null,null]"#;
        assert_eq!(stored, expected);
        assert_eq!(from_json::<Progress>(stored).unwrap(), progress);
        (progress.seed, progress.round) = (Word([9; 32]), Some(4));
        progress.accepted = Some((3, 5));
        let stored = to_json_string(&progress).unwrap();
        assert_eq!(from_json::<Progress>(stored).unwrap(), progress);
    }

    #[test]
    fn changes_of_the_active_list_count_from_the_next_round_on() {
        let mut progress = Progress::new();
        assert_eq!(progress.next_round(), 0);
        progress.round = Some(4);
        assert_eq!(progress.next_round(), 5);
    }

    #[test]
    fn fruitless_rounds_count_from_the_last_acceptance() {
        let mut progress = Progress::new();
        progress.round = Some(4);
        assert_eq!(progress.fruitless_rounds(), 5);
        progress.accepted = Some((2, 1));
        assert_eq!(progress.fruitless_rounds(), 2);
        progress.accepted = Some((4, 1));
        assert_eq!(progress.fruitless_rounds(), 0);
    }
}
