//! What a call finds outside the state.

use cosmwasm_std::{Addr, Env};

use crate::selection;
use crate::signing::Domain;

/// Caller, time and chance, so that the rules themselves read no chain.
#[derive(Clone, Debug)]
pub(crate) struct Transaction {
    pub(crate) caller: Addr,
    /// Of the block, seconds since the epoch.
    pub(crate) time: u64,
    pub(crate) entropy: [u8; 32],
    pub(crate) domain: Domain,
}

impl Transaction {
    /// Of a call in this environment.
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

/// What signatures are bound to in this environment.
pub(crate) fn domain(env: &Env) -> Domain {
    Domain {
        chain_id: env.block.chain_id.clone(),
        contract: env.contract.address.clone(),
    }
}
