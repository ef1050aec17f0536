//! The signing domain of commitments, seeds and ballots, and the check of signed ballots (ADR-036).

use cosmwasm_std::{Addr, Api, Binary, CanonicalAddr};
use ripemd::{Digest, Ripemd160};

use crate::bytes::hex;
pub use crate::bytes::sha256;

const NAME: &[u8] = b"CollectiveLearning";
const VERSION: &[u8] = b"2";

/// Half the order of secp256k1. A signature with a larger s is the malleable twin of another one.
const HALF_ORDER: [u8; 32] = [
    0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0x5d, 0x57, 0x6e, 0x73, 0x57, 0xa4, 0x50, 0x1d, 0xdf, 0xe9, 0x2f, 0x46, 0x68, 0x1b, 0x20, 0xa0,
];

/// The signing domain: one contract on one chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Domain {
    pub chain_id: String,
    pub contract: Addr,
}

impl Domain {
    /// Returns the 32-byte domain separator.
    pub fn separator(&self) -> [u8; 32] {
        let (chain, contract) = (self.chain_id.as_bytes(), self.contract.as_bytes());
        sha256(&[NAME, &[0], VERSION, &[0], chain, &[0], contract])
    }
}

/// A voter's judgement of the proposals of a round.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vote {
    pub experiment: u64,
    pub round: u32,
    /// The digest of the proposals that it judges.
    pub proposals: [u8; 32],
    /// A bitmap of the slots that it approves.
    pub approvals: u16,
    /// IEEE-754 binary64 bits, big-endian: vote and test score of the current weights, then of each
    /// proposal in slot order.
    pub scores: Binary,
}

/// Returns the commitment to a secret ballot.
pub fn commitment(separator: &[u8], account: &CanonicalAddr, vote: &Vote, salt: &[u8]) -> [u8; 32] {
    sha256(&[
        separator,
        &vote.experiment.to_be_bytes(),
        &vote.round.to_be_bytes(),
        account.as_slice(),
        &vote.proposals,
        &vote.approvals.to_be_bytes(),
        &vote.scores,
        salt,
    ])
}

/// Returns the text of a ballot that a wallet shows to its user.
pub fn ballot_text(domain: &Domain, learner: &str, vote: &Vote) -> String {
    format!(
        concat!(
            r#"{{"approvals":{},"chain":"{}","contract":"{}","experiment":"{}","#,
            r#""learner":"{}","proposals":"{}","round":{},"scores":"{}"}}"#
        ),
        vote.approvals,
        domain.chain_id,
        domain.contract,
        vote.experiment,
        learner,
        hex(&vote.proposals),
        vote.round,
        hex(&vote.scores),
    )
}

/// Returns the ADR-036 document of a text. A wallet signs its sha256.
pub fn sign_document(signer: &str, text: &str) -> String {
    let data = Binary::from(text.as_bytes()).to_base64();
    format!(
        concat!(
            r#"{{"account_number":"0","chain_id":"","fee":{{"amount":[],"gas":"0"}},"memo":"","#,
            r#""msgs":[{{"type":"sign/MsgSignData","value":{{"data":"{}","signer":"{}"}}}}],"#,
            r#""sequence":"0"}}"#
        ),
        data, signer
    )
}

/// Returns whether the learner signed the ballot with its own key and a canonical signature.
pub(crate) fn is_signed(
    api: &dyn Api,
    domain: &Domain,
    learner: &Addr,
    vote: &Vote,
    (public_key, signature): (&[u8], &[u8]),
) -> bool {
    if public_key.len() != 33 || signature.len() != 64 || signature[32..] > HALF_ORDER[..] {
        return false;
    }
    if !owns_key(api, learner, public_key) {
        return false;
    }
    let text = ballot_text(domain, learner.as_str(), vote);
    let digest = sha256(&[sign_document(learner.as_str(), &text).as_bytes()]);
    api.secp256k1_verify(&digest, signature, public_key)
        .unwrap_or(false)
}

/// Returns whether the key belongs to the account, under the chain's own prefix.
fn owns_key(api: &dyn Api, account: &Addr, public_key: &[u8]) -> bool {
    let bytes: [u8; 20] = Ripemd160::digest(sha256(&[public_key])).into();
    let owner = api.addr_humanize(&CanonicalAddr::from(bytes));
    owner.is_ok_and(|owner| owner == *account)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn domain() -> Domain {
        Domain {
            chain_id: "colearn-1".to_string(),
            contract: Addr::unchecked("wasm1contract"),
        }
    }

    fn vote() -> Vote {
        Vote {
            experiment: 1,
            round: 0,
            proposals: [0xab; 32],
            approvals: 5,
            scores: Binary::from([0x3f; 48]),
        }
    }

    #[test]
    fn the_separator_is_bound_to_chain_and_contract() {
        let expected = sha256(&[b"CollectiveLearning\x002\x00colearn-1\x00wasm1contract"]);
        assert_eq!(domain().separator(), expected);
    }

    #[test]
    fn a_ballot_reads_as_sorted_json() {
        let expected = format!(
            concat!(
                r#"{{"approvals":5,"chain":"colearn-1","contract":"wasm1contract","experiment":"1","#,
                r#""learner":"wasm1ana","proposals":"{}","round":0,"scores":"{}"}}"#
            ),
            "ab".repeat(32),
            "3f".repeat(48),
        );
        assert_eq!(ballot_text(&domain(), "wasm1ana", &vote()), expected);
    }

    #[test]
    fn the_document_around_it_is_the_one_of_adr_036() {
        let expected = concat!(
            r#"{"account_number":"0","chain_id":"","fee":{"amount":[],"gas":"0"},"memo":"","#,
            r#""msgs":[{"type":"sign/MsgSignData","value":{"data":"dGV4dA==","signer":"wasm1ana"}}],"#,
            r#""sequence":"0"}"#
        );
        assert_eq!(sign_document("wasm1ana", "text"), expected);
    }

    #[test]
    fn everything_is_in_a_commitment() {
        let separator = domain().separator();
        let account = CanonicalAddr::from([7u8; 20]);
        let of = |change: fn(&mut Vote)| {
            let mut changed = vote();
            change(&mut changed);
            commitment(&separator, &account, &changed, &[1; 32])
        };
        let plain = of(|_| ());
        let other = CanonicalAddr::from([8u8; 20]);
        let others = [
            of(|vote| vote.experiment = 2),
            of(|vote| vote.round = 1),
            of(|vote| vote.proposals = [0; 32]),
            of(|vote| vote.approvals = 4),
            of(|vote| vote.scores = Binary::from([0; 48])),
            commitment(&separator, &account, &vote(), &[2; 32]),
            commitment(&[0; 32], &account, &vote(), &[1; 32]),
            commitment(&separator, &other, &vote(), &[1; 32]),
        ];
        assert!(!others.contains(&plain));
        let expected = sha256(&[
            &separator,
            &[0, 0, 0, 0, 0, 0, 0, 1],
            &[0; 4],
            &[7; 20],
            &[0xab; 32],
            &[0, 5],
            &[0x3f; 48],
            &[1; 32],
        ]);
        assert_eq!(plain, expected);
    }
}
