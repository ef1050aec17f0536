//! The state of a chain, and how each block changed it.

use core::convert::Infallible;

use revm::context::result::{EVMError, ExecutionResult};
use revm::context::{BlockEnv, CfgEnv, TxEnv};
use revm::database::{CacheDB, EmptyDB};
use revm::primitives::hardfork::SpecId;
use revm::primitives::{Address, Bytes, U256};
use revm::state::{AccountInfo, Bytecode, EvmState};
use revm::{Context, Database, DatabaseCommit, DatabaseRef, ExecuteEvm, MainBuilder, MainContext};

const FORK: SpecId = SpecId::PRAGUE;

/// The refusal of a transaction.
pub type Failure = EVMError<Infallible>;

/// A transaction and the block that it is executed in.
pub struct Job {
    pub chain_id: u64,
    pub transaction: TxEnv,
    pub block: BlockEnv,
}

/// An account before a block, and the slots of its storage that the block changed.
struct Before {
    address: Address,
    info: AccountInfo,
    slots: Vec<(U256, U256)>,
}

#[derive(Default)]
pub struct Chain {
    state: CacheDB<EmptyDB>,
    /// What blocks 1, 2, … changed, to read the state as of an earlier block.
    history: Vec<Vec<Before>>,
}

impl Chain {
    pub fn set_balance(&mut self, address: Address, balance: U256) {
        let info = AccountInfo {
            balance,
            ..self.account(address)
        };
        self.state.insert_account_info(address, info);
    }

    pub fn account(&self, address: Address) -> AccountInfo {
        let info = self.state.basic_ref(address).unwrap().unwrap_or_default();
        let code = self.state.code_by_hash_ref(info.code_hash).unwrap();
        AccountInfo {
            code: Some(code),
            ..info
        }
    }

    pub fn set_code(&mut self, address: Address, code: Bytes) {
        let info = AccountInfo::from_bytecode(Bytecode::new_legacy(code));
        self.state.insert_account_info(address, info);
    }

    pub fn set_slot(&mut self, address: Address, slot: U256, value: U256) {
        self.state
            .insert_account_storage(address, slot, value)
            .unwrap();
    }

    /// Execute a call on the present state, without effects, and also return the slots that it read.
    pub fn trace(&mut self, job: Job) -> (Result<ExecutionResult, Failure>, Vec<(Address, U256)>) {
        match execute(&mut self.state, job, true) {
            Ok((result, read)) => {
                let slots = read.iter().flat_map(|(address, account)| {
                    account.storage.keys().map(|slot| (*address, *slot))
                });
                (Ok(result), slots.collect())
            }
            Err(failure) => (Err(failure), vec![]),
        }
    }

    /// Execute a transaction as a block of its own. A refused transaction makes no block.
    pub fn transact(&mut self, job: Job) -> Result<ExecutionResult, Failure> {
        let (result, changes) = execute(&mut self.state, job, false)?;
        let before = changes.iter().map(|(address, account)| Before {
            address: *address,
            info: self.account(*address),
            slots: account
                .changed_storage_slots()
                .map(|(slot, value)| (*slot, value.original_value))
                .collect(),
        });
        self.history.push(before.collect());
        self.state.commit(changes);
        Ok(result)
    }

    /// Execute a call on the state after block `height`, without fees and without effects.
    pub fn call(&mut self, height: u64, job: Job) -> Result<ExecutionResult, Failure> {
        if height >= self.history.len() as u64 {
            return Ok(execute(&mut self.state, job, true)?.0);
        }
        let mut past = CacheDB::new(&self.state);
        for block in self.history[height as usize..].iter().rev() {
            for account in block {
                past.insert_account_info(account.address, account.info.clone());
                for (slot, value) in &account.slots {
                    past.insert_account_storage(account.address, *slot, *value)
                        .unwrap();
                }
            }
        }
        Ok(execute(&mut past, job, true)?.0)
    }
}

fn execute<State>(
    state: &mut State,
    job: Job,
    is_call: bool,
) -> Result<(ExecutionResult, EvmState), Failure>
where
    State: Database<Error = Infallible>,
{
    let mut settings = CfgEnv::new_with_spec(FORK).with_chain_id(job.chain_id);
    settings.disable_nonce_check = is_call;
    settings.disable_eip3607 = is_call;
    settings.disable_base_fee = is_call;
    let context = Context::mainnet()
        .with_cfg(settings)
        .with_block(job.block)
        .with_db(state);
    let executed = context.build_mainnet().transact(job.transaction)?;
    Ok((executed.result, executed.state))
}
