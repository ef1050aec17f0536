//! The EVM of the embedded chain: revm, with a state that Python changes through a few functions.
//!
//! Arguments are packed bytes that the caller writes to a buffer from [`allocate`]. A function
//! takes their length and returns the address (upper 32 bits) and the length (lower 32 bits) of its
//! answer, which stays valid until the next call. Numbers are big-endian. Nothing here reads a clock or makes entropy.

mod chain;
mod codec;

use chain::Chain;
use codec::Reader;

/// The instance's chain and buffers. A wasm instance has one thread.
struct Instance {
    chain: Chain,
    input: Vec<u8>,
    output: Vec<u8>,
}

static mut INSTANCE: Option<Instance> = None;

fn instance() -> &'static mut Instance {
    // SAFETY: a wasm instance has one thread, and each exported function takes the reference once
    let slot = unsafe { &mut *core::ptr::addr_of_mut!(INSTANCE) };
    slot.get_or_insert_with(|| Instance {
        chain: Chain::default(),
        input: vec![],
        output: vec![],
    })
}

fn answer(length: usize, run: impl FnOnce(&mut Chain, Reader) -> Vec<u8>) -> u64 {
    let instance = instance();
    instance.output = run(&mut instance.chain, Reader::new(&instance.input[..length]));
    (instance.output.as_ptr() as u64) << 32 | instance.output.len() as u64
}

/// Return a new buffer of `size` bytes for the arguments of all later calls.
#[no_mangle]
pub extern "C" fn allocate(size: usize) -> *mut u8 {
    let instance = instance();
    instance.input = vec![0; size];
    instance.input.as_mut_ptr()
}

/// Set an account's balance: address, balance.
#[no_mangle]
pub extern "C" fn set_balance(length: usize) -> u64 {
    answer(length, |chain, mut reader| {
        chain.set_balance(reader.address(), reader.word());
        vec![]
    })
}

/// Set an account's code: address, code.
#[no_mangle]
pub extern "C" fn set_code(length: usize) -> u64 {
    answer(length, |chain, mut reader| {
        chain.set_code(reader.address(), reader.rest().to_vec().into());
        vec![]
    })
}

/// Set slots of an account's storage: address, and a slot and its value for each.
#[no_mangle]
pub extern "C" fn set_storage(length: usize) -> u64 {
    answer(length, |chain, mut reader| {
        let address = reader.address();
        while !reader.rest().is_empty() {
            chain.set_slot(address, reader.word(), reader.word());
        }
        vec![]
    })
}

/// Return an account's balance, nonce and code: address.
#[no_mangle]
pub extern "C" fn account(length: usize) -> u64 {
    answer(length, |chain, mut reader| {
        codec::write_account(&chain.account(reader.address()))
    })
}

/// Execute a transaction in a new block and keep its effects: chain id, transaction, block.
#[no_mangle]
pub extern "C" fn transact(length: usize) -> u64 {
    answer(length, |chain, mut reader| {
        codec::write_outcome(chain.transact(reader.transaction()))
    })
}

/// Execute a call after a block's transactions and discard its effects: the block whose state
/// counts, chain id, transaction, block.
#[no_mangle]
pub extern "C" fn call(length: usize) -> u64 {
    answer(length, |chain, mut reader| {
        let height = reader.number();
        codec::write_outcome(chain.call(height, reader.transaction()))
    })
}

/// Execute a call on the present state and discard its effects; the answer begins with the slots of
/// storage that it read: chain id, transaction, block.
#[no_mangle]
pub extern "C" fn trace(length: usize) -> u64 {
    answer(length, |chain, mut reader| {
        let (outcome, slots) = chain.trace(reader.transaction());
        let mut answer = codec::write_slots(&slots);
        answer.extend(codec::write_outcome(outcome));
        answer
    })
}
