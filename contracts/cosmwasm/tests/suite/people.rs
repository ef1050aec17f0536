//! Accounts with keys, contents and default parameters.

use std::cell::RefCell;
use std::collections::HashMap;

use collective_learning::msg::{ExecuteMsg, SignedBallot};
use collective_learning::signing::{ballot_text, commitment, sha256, sign_document, Domain, Vote};
use collective_learning::types::{Admission, ContentRef, Merge, Params, Selection, CODEC_RAW};
use cosmwasm_std::{Addr, Api, Binary, CanonicalAddr};
use k256::ecdsa::signature::hazmat::PrehashSigner;
use k256::ecdsa::{Signature, SigningKey};
use ripemd::{Digest, Ripemd160};

use super::{CallResult, RoundFacts, Suite};

/// Length of every window in seconds.
pub const WINDOW: u64 = 600;

thread_local! {
    /// Cached addresses, because deriving one takes milliseconds.
    static ACCOUNTS: RefCell<HashMap<String, Addr>> = RefCell::default();
}

/// A person with a key.
pub struct Person {
    key: SigningKey,
}

impl Person {
    pub fn named(name: &str) -> Self {
        let secret = sha256(&[b"person ", name.as_bytes()]);
        Self {
            key: SigningKey::from_slice(&secret).unwrap(),
        }
    }

    pub fn public_key(&self) -> Binary {
        Binary::from(self.key.verifying_key().to_encoded_point(true).as_bytes())
    }

    pub fn canonical(&self) -> CanonicalAddr {
        let bytes: [u8; 20] = Ripemd160::digest(sha256(&[&self.public_key()])).into();
        CanonicalAddr::from(bytes)
    }

    /// Returns a canonical ADR-036 signature over a text.
    pub fn sign(&self, address: &str, text: &str) -> Binary {
        let digest = sha256(&[sign_document(address, text).as_bytes()]);
        let signature: Signature = self.key.sign_prehash(&digest).unwrap();
        let low = signature.normalize_s().unwrap_or(signature);
        Binary::from(&low.to_bytes()[..])
    }
}

/// Returns a content reference with a raw CID, derived from a name.
pub fn content(name: &str) -> ContentRef {
    let digest = Binary::from(sha256(&[name.as_bytes()]));
    ContentRef {
        codec: CODEC_RAW,
        digest: digest.clone(),
        sha256: digest,
        size: (name.len() as u64).into(),
    }
}

/// Returns the fixed salt of a person.
pub fn salt(name: &str) -> [u8; 32] {
    sha256(&[b"salt of ", name.as_bytes()])
}

/// Returns the default parameters.
pub fn params() -> Params {
    Params {
        name: "a story".to_string(),
        spec: content("spec"),
        initial: Some(content("initial")),
        rounds: 10,
        min_learners: 2,
        max_learners: 10,
        approval_bps: 5_000,
        propose_window: WINDOW as u32,
        vote_window: WINDOW as u32,
        reveal_window: 0,
        selection: Selection::RoundRobin,
        proposers: 1,
        merge: Merge::Mean,
        admission: Admission::Open,
        late_join: false,
        settle_early: false,
        max_strikes: 0,
        patience: 0,
    }
}

impl Suite {
    pub fn account(&self, name: &str) -> Addr {
        let derive = || {
            let canonical = Person::named(name).canonical();
            self.app.api().addr_humanize(&canonical).unwrap()
        };
        let name = name.to_string();
        ACCOUNTS.with_borrow_mut(|known| known.entry(name).or_insert_with(derive).clone())
    }

    pub fn domain(&self) -> Domain {
        Domain {
            chain_id: self.app.block_info().chain_id,
            contract: self.contract.clone(),
        }
    }

    /// Returns a ballot on the proposals of the current round, each score being another number.
    pub fn ballot_of(&self, approvals: u16) -> Vote {
        let files = 1 + self.round().proposed() as u64;
        let scores = (1..=2 * files).flat_map(u64::to_be_bytes);
        Vote {
            experiment: self.experiment,
            round: self.current(),
            proposals: self.digest(),
            approvals,
            scores: scores.collect::<Vec<_>>().into(),
        }
    }

    /// Returns the scores of such a ballot on one proposal or more as the text in an event.
    pub fn score_text(&self, files: u64) -> String {
        (1..=2 * files)
            .map(|score| format!("{score:016x}"))
            .collect()
    }

    /// Returns a person's commitment in the current round.
    pub fn commitment(&self, name: &str, approvals: u16) -> [u8; 32] {
        self.commitment_to(name, &self.ballot_of(approvals))
    }

    /// Returns a person's commitment to a ballot.
    pub fn commitment_to(&self, name: &str, vote: &Vote) -> [u8; 32] {
        let (separator, account) = (self.domain().separator(), Person::named(name).canonical());
        commitment(&separator, &account, vote, &salt(name))
    }

    /// Returns a person's signed ballot in the current round.
    pub fn sign_ballot(&self, name: &str, approvals: u16) -> SignedBallot {
        self.sign_ballot_as(name, name, &self.domain(), &self.ballot_of(approvals))
    }

    /// Returns a ballot of `learner`, signed by `signer` for a domain.
    pub fn sign_ballot_as(
        &self,
        signer: &str,
        learner: &str,
        domain: &Domain,
        vote: &Vote,
    ) -> SignedBallot {
        let learner = self.account(learner).into_string();
        let text = ballot_text(domain, &learner, vote);
        let signer = Person::named(signer);
        SignedBallot {
            approvals: vote.approvals,
            scores: vote.scores.clone(),
            public_key: signer.public_key(),
            signature: signer.sign(&learner, &text),
            learner,
        }
    }

    /// Submits these ballots from a stranger's account.
    pub fn submit_ballots(&mut self, ballots: &[SignedBallot]) -> CallResult {
        let digest = self.digest();
        self.submit_ballots_on(digest, ballots)
    }

    pub fn submit_ballots_on(
        &mut self,
        proposals: [u8; 32],
        ballots: &[SignedBallot],
    ) -> CallResult {
        let msg = ExecuteMsg::VoteSigned {
            experiment: self.id(),
            round: self.current(),
            proposals: proposals.into(),
            ballots: ballots.to_vec(),
        };
        self.send("stranger", &msg)
    }
}
