"""Signing domains and signed ballots: EIP-712 typed data, and ADR-036 on Cosmos chains."""

from __future__ import annotations

import base64
import hashlib
import json
from contextlib import suppress

from coincurve import PublicKey
from coincurve.ecdsa import cdata_to_der, deserialize_compact
from eth_account import Account as EthAccount
from eth_account.messages import SignableMessage, encode_typed_data

from colearn_ledger.keys.wallet import Wallet, cosmos_address
from colearn_ledger.protocol import (
    Account,
    Basis,
    SignedBallot,
    SigningDomain,
    SigningScheme,
    Vote,
    encode_scores,
)
from colearn_ledger.text.address import decode_bech32

PUBLIC_KEY_BYTES = 33
"""Length of a compressed secp256k1 key; ADR-036 signatures of ballots begin with one."""

_HALF_ORDER = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0
"""Half the order of secp256k1; a signature with a larger s is malleable (EIP-2)."""

_BALLOT_TYPE = {
    "Ballot": [
        {"name": "experiment", "type": "uint64"},
        {"name": "round", "type": "uint32"},
        {"name": "learner", "type": "address"},
        {"name": "proposals", "type": "bytes32"},
        {"name": "approvals", "type": "uint16"},
        {"name": "scores", "type": "bytes"},
    ]
}


def signing_domain(chain_id: int, contract: Account) -> SigningDomain:
    """Return the EIP-712 domain ``CollectiveLearning`` version ``2`` of a contract."""
    unsigned = encode_typed_data(_domain_data(chain_id, contract), {"Empty": []}, {})
    return SigningDomain(f"eip155:{chain_id}", contract, bytes(unsigned.header))


def cosmos_domain(chain_id: str, contract: Account) -> SigningDomain:
    """Return the domain of a contract on a Cosmos chain."""
    parts = ("CollectiveLearning", "2", chain_id, contract)
    separator = hashlib.sha256(b"\0".join(part.encode() for part in parts)).digest()
    return SigningDomain(f"cosmos:{chain_id}", contract, separator)


def sign_ballot(wallet: Wallet, domain: SigningDomain, basis: Basis, vote: Vote) -> SignedBallot:
    """Return the wallet's signed ballot on the proposals of a round; any account may submit it."""
    learner = wallet.account_on(domain)
    if domain.scheme == SigningScheme.ADR036:
        document = ballot_document(domain, basis, learner, vote)
        signature = wallet.cosmos_public_key + wallet.sign_for_cosmos(document)
    else:
        message = ballot_message(domain, basis, learner, vote)
        signature = wallet.sign_message(message)
    return SignedBallot(learner, vote, signature)


def ballot_signer(domain: SigningDomain, basis: Basis, ballot: SignedBallot) -> Account | None:
    """Return the account that signed a ballot, ``None`` for an invalid or malleable signature."""
    if domain.scheme == SigningScheme.ADR036:
        return _cosmos_signer(domain, basis, ballot)
    if not is_canonical(ballot.signature):
        return None
    try:
        message = ballot_message(domain, basis, ballot.learner, ballot.vote)
        return Account(EthAccount.recover_message(message, signature=ballot.signature))
    except Exception:  # noqa: BLE001 - the libraries of eth_account each raise their own
        return None


# ------------------------------------------------------------------------- EIP-712


def ballot_message(
    domain: SigningDomain, basis: Basis, learner: Account, vote: Vote
) -> SignableMessage:
    """Return the EIP-712 typed data of a ballot, ready to be signed."""
    message = {
        "experiment": basis.experiment,
        "round": basis.round,
        "learner": learner,
        "proposals": basis.proposals,
        "approvals": vote.approvals,
        "scores": encode_scores(vote.scores),
    }
    return encode_typed_data(_domain_data(domain.chain_id, domain.contract), _BALLOT_TYPE, message)


def is_canonical(signature: bytes) -> bool:
    """Return whether a signature has 65 bytes, a low s, and v of 27 or 28."""
    return (
        len(signature) == 65
        and int.from_bytes(signature[32:64], "big") <= _HALF_ORDER
        and signature[64] in (27, 28)
    )


def _domain_data(chain_id: int | str, contract: Account) -> dict[str, object]:
    return {
        "name": "CollectiveLearning",
        "version": "2",
        "chainId": chain_id,
        "verifyingContract": contract,
    }


# ------------------------------------------------------------------------- ADR-036


def ballot_document(domain: SigningDomain, basis: Basis, learner: Account, vote: Vote) -> bytes:
    """Return the ADR-036 sign document of a ballot; its sha256 is signed."""
    ballot = {
        "approvals": vote.approvals,
        "chain": domain.chain_id,
        "contract": domain.contract,
        "experiment": str(basis.experiment),
        "learner": learner,
        "proposals": basis.proposals.hex(),
        "round": basis.round,
        "scores": encode_scores(vote.scores).hex(),
    }
    data = base64.b64encode(_canonical_json(ballot)).decode()
    return _canonical_json(
        {
            "account_number": "0",
            "chain_id": "",
            "fee": {"amount": [], "gas": "0"},
            "memo": "",
            "msgs": [{"type": "sign/MsgSignData", "value": {"data": data, "signer": learner}}],
            "sequence": "0",
        }
    )


def _canonical_json(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def _cosmos_signer(domain: SigningDomain, basis: Basis, ballot: SignedBallot) -> Account | None:
    """Return the account that made an ADR-036 signature, ``None`` if the signature is not valid."""
    key, signature = ballot.signature[:PUBLIC_KEY_BYTES], ballot.signature[PUBLIC_KEY_BYTES:]
    if len(signature) != 64:
        return None
    with suppress(ValueError):  # coincurve raises it too, for an invalid key or signature
        prefix, _ = decode_bech32(domain.contract)
        document = ballot_document(domain, basis, ballot.learner, ballot.vote)
        der = cdata_to_der(deserialize_compact(signature))
        if PublicKey(key).verify(der, document):  # refuses a high s
            return cosmos_address(prefix, key)
    return None
