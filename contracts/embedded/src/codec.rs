//! Packed bytes: arguments are read, answers are written.

use revm::context::result::{EVMError, ExecutionResult, ResultGas};
use revm::context::{BlockEnv, TxEnv};
use revm::primitives::{Address, Log, TxKind, B256, U256};
use revm::state::AccountInfo;

use crate::chain::{Failure, Job};

const SUCCESS: u8 = 0;
const REVERTED: u8 = 1;
const HALTED: u8 = 2;
const REFUSED: u8 = 3;

/// Reads the fields of an argument in order. It panics if the argument is too short.
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    fn take<const N: usize>(&mut self) -> [u8; N] {
        let (field, rest) = self.rest.split_at(N);
        self.rest = rest;
        field.try_into().unwrap()
    }

    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub fn address(&mut self) -> Address {
        Address::from(self.take::<20>())
    }

    pub fn word(&mut self) -> U256 {
        U256::from_be_bytes(self.take::<32>())
    }

    pub fn number(&mut self) -> u64 {
        u64::from_be_bytes(self.take())
    }

    fn price(&mut self) -> u128 {
        u128::from_be_bytes(self.take())
    }

    /// Read a transaction of type 2 and its block; the rest of the argument is its data.
    pub fn transaction(&mut self) -> Job {
        let chain_id = self.number();
        let caller = self.address();
        let is_creation = self.take::<1>()[0] != 0;
        let to = self.address();
        let kind = if is_creation {
            TxKind::Create
        } else {
            TxKind::Call(to)
        };
        let value = self.word();
        let (gas_limit, gas_price, tip) = (self.number(), self.price(), self.price());
        let nonce = self.number();
        let block = BlockEnv {
            number: U256::from(self.number()),
            timestamp: U256::from(self.number()),
            gas_limit: self.number(),
            basefee: self.number(),
            prevrandao: Some(B256::from(self.take::<32>())),
            ..BlockEnv::default()
        };
        let transaction = TxEnv {
            tx_type: 2,
            caller,
            gas_limit,
            gas_price,
            gas_priority_fee: Some(tip),
            kind,
            value,
            nonce,
            chain_id: Some(chain_id),
            data: self.rest.to_vec().into(),
            ..TxEnv::default()
        };
        Job {
            chain_id,
            transaction,
            block,
        }
    }
}

pub fn write_account(info: &AccountInfo) -> Vec<u8> {
    let mut answer = info.balance.to_be_bytes::<32>().to_vec();
    answer.extend(info.nonce.to_be_bytes());
    if let Some(code) = &info.code {
        answer.extend(code.original_byte_slice());
    }
    answer
}

/// Write the number of slots, and the account and the key of each.
pub fn write_slots(slots: &[(Address, U256)]) -> Vec<u8> {
    let mut answer = (slots.len() as u32).to_be_bytes().to_vec();
    for (address, slot) in slots {
        answer.extend(address);
        answer.extend(slot.to_be_bytes::<32>());
    }
    answer
}

/// Write status, gas used, gas without refunds, created address, logs and output.
pub fn write_outcome(outcome: Result<ExecutionResult, Failure>) -> Vec<u8> {
    match outcome {
        Ok(ExecutionResult::Success {
            gas, logs, output, ..
        }) => {
            let created = output.address().copied().unwrap_or_default();
            write(SUCCESS, &gas, created, &logs, output.data())
        }
        Ok(ExecutionResult::Revert { gas, output, .. }) => {
            write(REVERTED, &gas, Address::ZERO, &[], &output)
        }
        Ok(ExecutionResult::Halt { gas, reason, .. }) => write(
            HALTED,
            &gas,
            Address::ZERO,
            &[],
            format!("{reason:?}").as_bytes(),
        ),
        Err(EVMError::Transaction(reason)) => write(
            REFUSED,
            &ResultGas::default(),
            Address::ZERO,
            &[],
            reason.to_string().as_bytes(),
        ),
        Err(error) => panic!("{error}"),
    }
}

fn write(status: u8, gas: &ResultGas, created: Address, logs: &[Log], output: &[u8]) -> Vec<u8> {
    let mut answer = vec![status];
    answer.extend(gas.tx_gas_used().to_be_bytes());
    answer.extend(gas.total_gas_spent().max(gas.floor_gas()).to_be_bytes());
    answer.extend(created);
    answer.extend((logs.len() as u32).to_be_bytes());
    for log in logs {
        answer.extend(log.address);
        answer.push(log.topics().len() as u8);
        log.topics().iter().for_each(|topic| answer.extend(topic));
        answer.extend((log.data.data.len() as u32).to_be_bytes());
        answer.extend(&log.data.data);
    }
    answer.extend(output);
    answer
}
