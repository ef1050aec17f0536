//! The context of a call.

use cosmwasm_std::{Addr, Env};

use crate::selection;
use crate::signing::Domain;

/// Caller, time and entropy of a call, so that the rules need no chain.
#[derive(Clone, Debug)]
pub(crate) struct Transaction {
    pub(crate) caller: Addr,
    /// The block time in seconds since the epoch.
    pub(crate) time: u64,
    pub(crate) entropy: [u8; 32],
    pub(crate) domain: Domain,
}

impl Transaction {
    /// Returns the context of a call in this environment.
    pub(crate) fn new(env: &Env, caller: Addr) -> Self {
        let index = env
            .transaction
            .as_ref()
            .map(|transaction| transaction.index);
        Self {
            caller,
            time: env.block.time.seconds(),
            entropy: selection::entropy(&env.block, index),
            domain: domain(env),
        }
    }
}

/// Returns the signing domain of this environment.
pub(crate) fn domain(env: &Env) -> Domain {
    Domain {
        chain_id: env.block.chain_id.clone(),
        contract: env.contract.address.clone(),
    }
}
