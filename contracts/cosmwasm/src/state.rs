//! The storage layout.
//!
//! | map | key | value |
//! |---|---|---|
//! | `COUNT` | | the number of experiments |
//! | `EXPERIMENTS` | experiment | its creator and parameters, which never change |
//! | `PROGRESS` | experiment | its status, round and counts |
//! | `ADMITTED` | experiment, account | set if the account is on the allowlist |
//! | `MEMBERS` | experiment, account | a learner's index, electorates and strikes |
//! | `ROSTER` | experiment, index | a learner's account and encryption key |
//! | `ACTIVE` | experiment, position | the active list: a learner's index |
//! | `ROUNDS` | experiment, round | a round's stage and tally |
//! | `PROPOSALS` | experiment, round | the proposal of the round |
//! | `BALLOTS` | experiment, round, index | a commitment or a ballot |
//! | `SALTS` | experiment, round | XOR of the revealed salts, with random selection only |
//! | `MISSES` | experiment, number | the round of the number-th vote that closed by its deadline |
//!
//! No call iterates over a map: each touches a fixed number of keys. A chain charges about 30 gas
//! per byte written, hence the short names, and rows (JSON arrays) where a ballot is counted.

use cosmwasm_std::{Addr, Empty, Storage};
use cw_storage_plus::{Item, Map};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::ContractError;
use crate::members::Member;
use crate::round::Round;
use crate::types::{ContentRef, Params, Status};

pub(crate) const COUNT: Item<u64> = Item::new("n");
pub(crate) const EXPERIMENTS: Map<u64, Experiment> = Map::new("e");
pub(crate) const PROGRESS: Map<u64, Progress> = Map::new("p");
pub(crate) const ADMITTED: Map<(u64, &Addr), Empty> = Map::new("l");
pub(crate) const MEMBERS: Map<(u64, &Addr), Member> = Map::new("m");
pub(crate) const ROSTER: Map<(u64, u32), Entry> = Map::new("i");
pub(crate) const ACTIVE: Map<(u64, u32), u32> = Map::new("a");
pub(crate) const ROUNDS: Map<(u64, u32), Round> = Map::new("r");
pub(crate) const PROPOSALS: Map<(u64, u32), Proposal> = Map::new("c");
pub(crate) const BALLOTS: Map<(u64, u32, u32), Recorded> = Map::new("b");
pub(crate) const SALTS: Map<(u64, u32), [u8; 32]> = Map::new("s");
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
        /// The position in the active list of the last proposer.
        position: u32,
        /// How many votes closed by their deadline so far.
        misses: u32,
        /// The round that accepted the current weights.
        accepted: Option<u32>,
        started_at: Option<u64>,
        ended_at: Option<u64>,
        seed: Seed,
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
            position: 0,
            misses: 0,
            accepted: None,
            started_at: None,
            ended_at: None,
            seed: Seed::default(),
        }
    }

    /// Returns the first round that a change of the active list affects.
    pub(crate) fn next_round(&self) -> u32 {
        self.round.map_or(0, |current| current + 1)
    }

    /// Checks that the status is one of these.
    pub(crate) fn must_be(&self, allowed: &[Status]) -> Result<(), ContractError> {
        if allowed.contains(&self.status) {
            return Ok(());
        }
        Err(ContractError::WrongStatus(self.status))
    }
}

/// The seed of the next selection; not stored while it is zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seed(pub(crate) [u8; 32]);

impl Serialize for Seed {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let set = self.0 != [0; 32];
        set.then(|| cosmwasm_std::Binary::from(self.0))
            .serialize(to)
    }
}

impl<'de> Deserialize<'de> for Seed {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let stored = Option::<cosmwasm_std::Binary>::deserialize(from)?;
        let bytes = stored.map_or(Ok([0; 32]), |bytes| bytes.to_array());
        bytes.map(Self).map_err(serde::de::Error::custom)
    }
}

/// The immutable part of a learner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    #[serde(rename = "a")]
    pub(crate) account: Addr,
    #[serde(rename = "k")]
    pub(crate) encryption_key: cosmwasm_std::Binary,
}

/// The proposal of a round.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Proposal {
    pub(crate) content: ContentRef,
    pub(crate) proposed_at: u64,
}

/// What is recorded of a learner in a round.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Recorded {
    #[serde(rename = "c")]
    Committed(cosmwasm_std::Binary),
    #[serde(rename = "a")]
    Approved,
    #[serde(rename = "r")]
    Rejected,
}

impl Recorded {
    /// A counted ballot.
    pub(crate) fn ballot(approve: bool) -> Self {
        if approve {
            Self::Approved
        } else {
            Self::Rejected
        }
    }

    /// Returns whether it is a counted ballot rather than a commitment.
    pub(crate) fn is_ballot(&self) -> bool {
        !matches!(self, Self::Committed(_))
    }
}

/// Loads the progress of an experiment, or fails with `UnknownExperiment`.
pub(crate) fn existing(storage: &dyn Storage, id: u64) -> Result<Progress, ContractError> {
    let progress = PROGRESS.may_load(storage, id)?;
    progress.ok_or(ContractError::UnknownExperiment(id))
}

/// Returns the current weights.
pub(crate) fn current_weights(
    storage: &dyn Storage,
    id: u64,
    accepted: Option<u32>,
    params: &Params,
) -> Result<Option<ContentRef>, ContractError> {
    match accepted {
        Some(round) => Ok(Some(PROPOSALS.load(storage, (id, round))?.content)),
        None => Ok(params.initial.clone()),
    }
}

#[cfg(test)]
mod tests {
    use cosmwasm_std::{from_json, to_json_string};

    use super::*;

    #[test]
    fn progress_is_stored_as_a_row_and_comes_back() {
        let mut progress = Progress::new();
        let stored = to_json_string(&progress).unwrap();
        assert_eq!(stored, r#"["enrolling",null,0,0,0,0,null,null,null,null]"#);
        assert_eq!(from_json::<Progress>(stored).unwrap(), progress);
        progress.seed = Seed([9; 32]);
        progress.round = Some(4);
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
    fn a_ballot_takes_three_bytes_and_a_commitment_is_none() {
        assert_eq!(to_json_string(&Recorded::ballot(true)).unwrap(), r#""a""#);
        assert_eq!(to_json_string(&Recorded::ballot(false)).unwrap(), r#""r""#);
        let committed = Recorded::Committed([1; 32].into());
        assert!(!committed.is_ballot() && Recorded::Approved.is_ballot());
        let stored = to_json_string(&committed).unwrap();
        assert_eq!(from_json::<Recorded>(stored).unwrap(), committed);
    }
}
