//! The hash that names an experiment, and the digest that names the proposals of a round.

use cosmwasm_std::{CanonicalAddr, StdResult, Storage};

use crate::bytes::sha256;
use crate::slots::{slots_in, Slots};
use crate::state::PROPOSALS;
use crate::types::{Admission, ContentRef, Merge, Params, Selection};

/// Returns the hash over an experiment's creator and all its parameters, which were checked before.
pub(crate) fn experiment_hash(creator: &CanonicalAddr, params: &Params) -> [u8; 32] {
    let short = |number: u32| (number as u16).to_be_bytes();
    let selection = match params.selection {
        Selection::RoundRobin => 0,
        Selection::Random => 1,
    };
    let merge = match params.merge {
        Merge::Mean => 0,
        Merge::Best => 1,
    };
    let admission = match params.admission {
        Admission::Open => 0,
        Admission::Allowlist => 1,
    };
    sha256(&[
        &[creator.len() as u8],
        creator.as_slice(),
        &content_bytes(Some(&params.spec)),
        &content_bytes(params.initial.as_ref()),
        &params.rounds.to_be_bytes(),
        &short(params.min_learners),
        &short(params.max_learners),
        &short(params.approval_bps),
        &params.propose_window.to_be_bytes(),
        &params.vote_window.to_be_bytes(),
        &params.reveal_window.to_be_bytes(),
        &[selection, params.proposers as u8, merge, admission],
        &[params.late_join.into(), params.settle_early.into()],
        &short(params.max_strikes),
        &params.patience.to_be_bytes(),
        params.name.as_bytes(),
    ])
}

/// Returns a content reference in 73 bytes, all zero where there is none.
fn content_bytes(content: Option<&ContentRef>) -> Vec<u8> {
    let Some(content) = content else {
        return vec![0; 73];
    };
    let size = content.size.to_be_bytes();
    [
        &[content.codec as u8],
        &content.digest[..],
        &content.sha256,
        &size,
    ]
    .concat()
}

/// Returns the digest of a round's proposals: the sha256 of the only file, or the hash over the slots
/// and files.
pub(crate) fn proposals_digest(
    storage: &dyn Storage,
    (id, round): (u64, u32),
    slots: &Slots,
) -> StdResult<[u8; 32]> {
    let mut listed = vec![];
    for slot in slots_in(slots.proposed) {
        let file = PROPOSALS.load(storage, (id, round, slot))?.content.sha256;
        if slots.proposals() == 1 {
            return file.to_array();
        }
        listed.push(slot);
        listed.extend_from_slice(&file);
    }
    Ok(sha256(&[&listed]))
}
