//! The errors of the protocol, with the values that explain them.

use std::fmt;

use cosmwasm_std::{Addr, StdError};

use crate::bytes::hex;
use crate::types::{Phase, Status};

/// A refused call; it changed nothing.
///
/// Its text is `colearn:NAME(JSON)`, where JSON is the array of its values, so that clients can find
/// it inside the chain's own message. `Std` is any error outside the protocol.
#[derive(Debug, PartialEq)]
pub enum ContractError {
    Std(StdError),
    UnknownExperiment(u64),
    InvalidParameter(&'static str),
    NotCreator(Addr),
    NotAdmitted(Addr),
    AlreadyJoined(Addr),
    ExperimentFull(u32),
    WrongExperiment([u8; 32]),
    NotALearner(Addr),
    WrongStatus(Status),
    WrongPhase(Phase),
    WrongRound(u32),
    NotProposer(Addr),
    NotEligible(Addr),
    AlreadyVoted(Addr),
    WrongProposals([u8; 32]),
    BadReveal(Addr),
    Unchanged(),
    NotRemovable(u32),
    DeadlinePassed(u64),
    DeadlineNotPassed(u64),
}

impl fmt::Display for ContractError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use ContractError as E;
        match self {
            E::Std(error) => error.fmt(f),
            E::UnknownExperiment(id) => number(f, "UnknownExperiment", *id),
            E::InvalidParameter(name) => text(f, "InvalidParameter", name),
            E::NotCreator(account) => text(f, "NotCreator", account.as_str()),
            E::NotAdmitted(account) => text(f, "NotAdmitted", account.as_str()),
            E::AlreadyJoined(account) => text(f, "AlreadyJoined", account.as_str()),
            E::ExperimentFull(most) => number(f, "ExperimentFull", (*most).into()),
            E::WrongExperiment(hash) => text(f, "WrongExperiment", &hex(hash)),
            E::NotALearner(account) => text(f, "NotALearner", account.as_str()),
            E::WrongStatus(status) => text(f, "WrongStatus", status.name()),
            E::WrongPhase(phase) => text(f, "WrongPhase", phase.name()),
            E::WrongRound(current) => number(f, "WrongRound", (*current).into()),
            E::NotProposer(account) => text(f, "NotProposer", account.as_str()),
            E::NotEligible(account) => text(f, "NotEligible", account.as_str()),
            E::AlreadyVoted(account) => text(f, "AlreadyVoted", account.as_str()),
            E::WrongProposals(digest) => text(f, "WrongProposals", &hex(digest)),
            E::BadReveal(account) => text(f, "BadReveal", account.as_str()),
            E::Unchanged() => f.write_str("colearn:Unchanged([])"),
            E::NotRemovable(strikes) => number(f, "NotRemovable", (*strikes).into()),
            E::DeadlinePassed(deadline) => number(f, "DeadlinePassed", *deadline),
            E::DeadlineNotPassed(deadline) => number(f, "DeadlineNotPassed", *deadline),
        }
    }
}

fn number(f: &mut fmt::Formatter<'_>, name: &str, value: u64) -> fmt::Result {
    write!(f, "colearn:{name}([{value}])")
}

/// Addresses, names and hexadecimal text contain no character that JSON escapes.
fn text(f: &mut fmt::Formatter<'_>, name: &str, value: &str) -> fmt::Result {
    write!(f, "colearn:{name}([\"{value}\"])")
}

impl std::error::Error for ContractError {}

impl From<StdError> for ContractError {
    fn from(error: StdError) -> Self {
        Self::Std(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_read_by_machines() {
        use ContractError as E;
        let ana = || Addr::unchecked("wasm1ana");
        let texts = [
            (
                E::UnknownExperiment(u64::MAX),
                "UnknownExperiment([18446744073709551615])",
            ),
            (E::InvalidParameter("name"), r#"InvalidParameter(["name"])"#),
            (E::NotCreator(ana()), r#"NotCreator(["wasm1ana"])"#),
            (E::NotAdmitted(ana()), r#"NotAdmitted(["wasm1ana"])"#),
            (E::AlreadyJoined(ana()), r#"AlreadyJoined(["wasm1ana"])"#),
            (E::ExperimentFull(5), "ExperimentFull([5])"),
            (E::NotALearner(ana()), r#"NotALearner(["wasm1ana"])"#),
            (
                E::WrongStatus(Status::Running),
                r#"WrongStatus(["running"])"#,
            ),
            (E::WrongPhase(Phase::Voting), r#"WrongPhase(["voting"])"#),
            (E::WrongRound(u32::MAX), "WrongRound([4294967295])"),
            (E::NotProposer(ana()), r#"NotProposer(["wasm1ana"])"#),
            (E::NotEligible(ana()), r#"NotEligible(["wasm1ana"])"#),
            (E::AlreadyVoted(ana()), r#"AlreadyVoted(["wasm1ana"])"#),
            (E::BadReveal(ana()), r#"BadReveal(["wasm1ana"])"#),
            (E::Unchanged(), "Unchanged([])"),
            (E::NotRemovable(1), "NotRemovable([1])"),
            (E::DeadlinePassed(9), "DeadlinePassed([9])"),
            (E::DeadlineNotPassed(9), "DeadlineNotPassed([9])"),
        ];
        for (error, text) in texts {
            assert_eq!(error.to_string(), format!("colearn:{text}"));
        }
        let word = format!(r#"(["{}"])"#, "0a".repeat(32));
        let words = [
            (E::WrongExperiment([10; 32]), "WrongExperiment"),
            (E::WrongProposals([10; 32]), "WrongProposals"),
        ];
        for (error, name) in words {
            assert_eq!(error.to_string(), format!("colearn:{name}{word}"));
        }
        let std = StdError::generic_err("disk");
        assert_eq!(E::from(std).to_string(), "Generic error: disk");
    }
}
