//! Accounts with keys, contents and default parameters.

use std::cell::RefCell;
use std::collections::HashMap;

use collective_learning::msg::{
    BallotResponse, DutyResponse, ExecuteMsg, ExperimentResponse, LearnerResponse, QueryMsg,
    RoundResponse, SignedBallot,
};
use collective_learning::signing::{ballot_text, commitment, sha256, sign_document, Domain, Vote};
use collective_learning::types::{
    Admission, BallotState, ContentRef, Duty, Params, Selection, CODEC_RAW,
};
use cosmwasm_std::{Addr, Api, Binary, CanonicalAddr};
use k256::ecdsa::signature::hazmat::PrehashSigner;
use k256::ecdsa::{Signature, SigningKey};
use ripemd::{Digest, Ripemd160};

use super::{CallResult, Suite, SCORES};

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
        admission: Admission::Open,
        late_join: false,
        settle_early: false,
        max_strikes: 0,
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

    pub fn ballot_of(&self, approve: bool, scores: (u64, u64)) -> Vote {
        Vote {
            experiment: self.experiment,
            round: self.current(),
            approve,
            vote_score: scores.0,
            test_score: scores.1,
        }
    }

    /// Returns a person's commitment in the current round.
    pub fn commitment(&self, name: &str, approve: bool) -> [u8; 32] {
        let vote = self.ballot_of(approve, SCORES);
        let separator = self.domain().separator();
        commitment(
            &separator,
            &Person::named(name).canonical(),
            &vote,
            &salt(name),
        )
    }

    /// Returns a person's signed ballot in the current round.
    pub fn sign_ballot(&self, name: &str, approve: bool) -> SignedBallot {
        let vote = self.ballot_of(approve, SCORES);
        self.sign_ballot_as(name, name, &self.domain(), &vote)
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
            approve: vote.approve,
            vote_score: vote.vote_score.into(),
            test_score: vote.test_score.into(),
            public_key: signer.public_key(),
            signature: signer.sign(&learner, &text),
            learner,
        }
    }

    /// Submits these ballots from a stranger's account.
    pub fn submit_ballots(&mut self, ballots: &[SignedBallot]) -> CallResult {
        let (experiment, round) = (self.id(), self.current());
        let ballots = ballots.to_vec();
        self.send(
            "stranger",
            &ExecuteMsg::VoteSigned {
                experiment,
                round,
                ballots,
            },
        )
    }

    pub fn experiment(&self) -> ExperimentResponse {
        self.ask(&QueryMsg::Experiment {
            experiment: self.id(),
        })
    }

    /// Returns the current round; the last one once the experiment has ended, 0 before the start.
    pub fn current(&self) -> u32 {
        self.experiment().round.unwrap_or(0)
    }

    pub fn round(&self) -> RoundResponse {
        self.round_at(self.current())
    }

    pub fn round_at(&self, round: u32) -> RoundResponse {
        self.ask(&QueryMsg::Round {
            experiment: self.id(),
            round,
        })
    }

    pub fn learner(&self, name: &str) -> LearnerResponse {
        let account = self.account(name).into_string();
        self.ask(&QueryMsg::Learner {
            experiment: self.id(),
            account,
        })
    }

    pub fn strikes(&self, names: &[&str]) -> Vec<u32> {
        names
            .iter()
            .map(|name| self.learner(name).strikes)
            .collect()
    }

    pub fn ballot(&self, round: u32, name: &str) -> BallotResponse {
        let account = self.account(name).into_string();
        self.ask(&QueryMsg::Ballot {
            experiment: self.id(),
            round,
            account,
        })
    }

    pub fn ballot_state(&self, round: u32, name: &str) -> BallotState {
        self.ballot(round, name).state
    }

    pub fn duty(&self, name: &str) -> Duty {
        let account = self.account(name).into_string();
        let experiment = self.id();
        self.ask::<DutyResponse>(&QueryMsg::Duty {
            experiment,
            account,
        })
        .duty
    }

    pub fn duties(&self, names: &[&str]) -> Vec<Duty> {
        names.iter().map(|name| self.duty(name)).collect()
    }

    /// Returns the current proposer.
    pub fn proposer<'a>(&self, names: &[&'a str]) -> &'a str {
        let proposer = self.round().proposer;
        let found = names.iter().find(|name| self.account(name) == proposer);
        found.expect("the proposer is one of these")
    }
}
