//! Checks of arguments, made once at the border.

use cosmwasm_std::{Addr, Api, Binary};

use crate::error::ContractError;
use crate::types::{
    ContentRef, Merge, Params, ALL_BPS, CODEC_DAG_PB, CODEC_RAW, MAX_LEARNERS, MAX_PROPOSERS,
};

type Checked<T> = Result<T, ContractError>;

/// Checks that a value has 32 bytes.
pub(crate) fn word(bytes: &Binary, name: &'static str) -> Checked<[u8; 32]> {
    bytes
        .to_array()
        .map_err(|_| ContractError::InvalidParameter(name))
}

/// Checks an address.
pub(crate) fn account(api: &dyn Api, text: &str, name: &'static str) -> Checked<Addr> {
    api.addr_validate(text)
        .map_err(|_| ContractError::InvalidParameter(name))
}

/// Checks that the digests of a content reference have 32 bytes.
pub(crate) fn reference(content: ContentRef, name: &'static str) -> Checked<ContentRef> {
    word(&content.digest, name)?;
    word(&content.sha256, name)?;
    Ok(content)
}

/// Checks the bounds of all parameters, in the order of docs/protocol.md.
pub(crate) fn params(mut params: Params) -> Checked<Params> {
    params.spec = reference(params.spec, "spec")?;
    params.initial = params
        .initial
        .map(|initial| reference(initial, "initial"))
        .transpose()?
        .filter(|initial| !is_empty(initial));
    let first_broken = bounds(&params).into_iter().find(|(_, holds)| !holds);
    match first_broken {
        Some((name, _)) => Err(ContractError::InvalidParameter(name)),
        None => Ok(params),
    }
}

fn bounds(p: &Params) -> [(&'static str, bool); 12] {
    let learners = p.min_learners..=MAX_LEARNERS;
    // The mean of independently initialised networks is useless.
    let needs_initial = p.merge == Merge::Mean && p.proposers > 1;
    [
        ("name", is_readable(&p.name, 64)),
        ("spec", is_well_formed(&p.spec)),
        ("initial", p.initial.as_ref().is_none_or(is_well_formed)),
        ("rounds", (1..u32::MAX).contains(&p.rounds)),
        ("min_learners", p.min_learners >= 2),
        ("max_learners", learners.contains(&p.max_learners)),
        ("approval_bps", (1..=ALL_BPS).contains(&p.approval_bps)),
        ("propose_window", p.propose_window >= 1),
        ("vote_window", p.vote_window >= 1),
        ("proposers", (1..=MAX_PROPOSERS).contains(&p.proposers)),
        ("initial", p.initial.is_some() || !needs_initial),
        ("max_strikes", p.max_strikes <= u16::MAX.into()),
    ]
}

/// Returns whether a text has 1 to `most` bytes and no control characters.
pub(crate) fn is_readable(text: &str, most: usize) -> bool {
    (1..=most).contains(&text.len()) && !text.chars().any(char::is_control)
}

/// Returns whether it can refer to a file. The digest of a raw CID is the file's own hash.
pub(crate) fn is_well_formed(content: &ContentRef) -> bool {
    if content.size.is_zero() || is_zero(&content.digest) || is_zero(&content.sha256) {
        return false;
    }
    match content.codec {
        CODEC_DAG_PB => true,
        CODEC_RAW => content.digest == content.sha256,
        _ => false,
    }
}

fn is_empty(content: &ContentRef) -> bool {
    content.codec == 0
        && content.size.is_zero()
        && is_zero(&content.digest)
        && is_zero(&content.sha256)
}

fn is_zero(bytes: &Binary) -> bool {
    bytes.iter().all(|byte| *byte == 0)
}
