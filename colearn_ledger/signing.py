"""Signing domains and off-chain ballots: EIP-712 typed data, the same on every ledger."""

from __future__ import annotations

from eth_account import Account as EthAccount
from eth_account.messages import SignableMessage, encode_typed_data

from colearn_ledger.protocol import (
    Account,
    ExperimentId,
    SignedBallot,
    SigningDomain,
    Vote,
    score_to_bits,
)
from colearn_ledger.wallet import Wallet

__all__ = ["ballot_message", "ballot_signer", "is_canonical", "sign_ballot", "signing_domain"]

_HALF_ORDER = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0
"""Half the order of secp256k1; a larger s is the malleable twin of a signature (EIP-2)."""

_BALLOT_TYPE = {
    "Ballot": [
        {"name": "experiment", "type": "uint64"},
        {"name": "round", "type": "uint32"},
        {"name": "learner", "type": "address"},
        {"name": "approve", "type": "bool"},
        {"name": "voteScore", "type": "uint64"},
        {"name": "testScore", "type": "uint64"},
    ]
}


def signing_domain(chain_id: int, contract: Account) -> SigningDomain:
    """Return the EIP-712 domain ``CollectiveLearning`` version ``1`` of a contract."""
    unsigned = encode_typed_data(_domain_data(chain_id, contract), {"Empty": []}, {})
    return SigningDomain(chain_id, contract, bytes(unsigned.header))


def ballot_message(
    domain: SigningDomain, experiment: ExperimentId, round_index: int, learner: Account, vote: Vote
) -> SignableMessage:
    """Return the typed data of a ballot, ready to be signed."""
    message = {
        "experiment": experiment,
        "round": round_index,
        "learner": learner,
        "approve": vote.approve,
        "voteScore": score_to_bits(vote.scores.vote_score),
        "testScore": score_to_bits(vote.scores.test_score),
    }
    return encode_typed_data(_domain_data(domain.chain_id, domain.contract), _BALLOT_TYPE, message)


def sign_ballot(
    wallet: Wallet, domain: SigningDomain, experiment: ExperimentId, round_index: int, vote: Vote
) -> SignedBallot:
    """Return the wallet's ballot in a round, for any account to carry."""
    message = ballot_message(domain, experiment, round_index, wallet.address, vote)
    return SignedBallot(wallet.address, vote, wallet.sign_message(message))


def ballot_signer(
    domain: SigningDomain, experiment: ExperimentId, round_index: int, ballot: SignedBallot
) -> Account | None:
    """Return who signed a ballot, ``None`` when the signature is none or a malleable one."""
    if not is_canonical(ballot.signature):
        return None
    message = ballot_message(domain, experiment, round_index, ballot.learner, ballot.vote)
    try:
        return Account(EthAccount.recover_message(message, signature=ballot.signature))
    except Exception:  # noqa: BLE001 - eth-keys, eth-utils and coincurve each raise their own
        return None


def is_canonical(signature: bytes) -> bool:
    """Tell whether a signature has 65 bytes, a low s, and v of 27 or 28."""
    return (
        len(signature) == 65
        and int.from_bytes(signature[32:64], "big") <= _HALF_ORDER
        and signature[64] in (27, 28)
    )


def _domain_data(chain_id: int, contract: Account) -> dict[str, object]:
    return {
        "name": "CollectiveLearning",
        "version": "1",
        "chainId": chain_id,
        "verifyingContract": contract,
    }
