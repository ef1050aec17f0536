"""Transactions as a Cosmos chain takes them: bytes that are built, signed and hashed here."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cosmpy.protos.cosmos.bank.v1beta1.tx_pb2 import MsgSend
from cosmpy.protos.cosmos.base.v1beta1.coin_pb2 import Coin
from cosmpy.protos.cosmos.crypto.secp256k1.keys_pb2 import PubKey
from cosmpy.protos.cosmos.tx.signing.v1beta1.signing_pb2 import SIGN_MODE_DIRECT
from cosmpy.protos.cosmos.tx.v1beta1.tx_pb2 import (
    AuthInfo,
    Fee,
    ModeInfo,
    SignDoc,
    SignerInfo,
    TxBody,
    TxRaw,
)
from cosmpy.protos.cosmwasm.wasm.v1.tx_pb2 import (
    MsgExecuteContract,
    MsgInstantiateContract,
    MsgStoreCode,
)
from google.protobuf.any_pb2 import Any as AnyMessage

from colearn_ledger.keys.wallet import Wallet
from colearn_ledger.protocol import Account

__all__ = [
    "Action",
    "Signing",
    "call_of",
    "executing",
    "instantiating",
    "name_of",
    "paying",
    "signed",
    "storing",
]

Action = bytes
"""A message of the chain, packed: what a transaction does."""


@dataclass(frozen=True, slots=True)
class Signing:
    """What a signature covers beside the action.

    Args:
        chain_id: the chain's.
        number: the account's.
        sequence: the transaction's place in the account's order.
        gas: what it may use at most.
        fee: what is paid for that.
        denomination: of the fee.
    """

    chain_id: str
    number: int
    sequence: int
    gas: int
    fee: int
    denomination: str


def executing(sender: Account, contract: Account, message: Mapping[str, Any]) -> Action:
    """Call a contract."""
    return _packed(MsgExecuteContract(sender=sender, contract=contract, msg=_json(message)))


def storing(sender: Account, wasm: bytes) -> Action:
    """Store a contract's code."""
    return _packed(MsgStoreCode(sender=sender, wasm_byte_code=gzip.compress(wasm, 9, mtime=0)))


def instantiating(sender: Account, code: int, label: str) -> Action:
    """Make a contract of stored code, without an admin."""
    message = MsgInstantiateContract(sender=sender, code_id=code, label=label, msg=b"{}")
    return _packed(message)


def paying(sender: Account, to: Account, amount: int, denomination: str) -> Action:
    """Send coins."""
    coins = [Coin(amount=str(amount), denom=denomination)]
    return _packed(MsgSend(from_address=sender, to_address=to, amount=coins))


def call_of(actions: tuple[Action, ...]) -> str:
    """Return what tells a call from others, whatever its fee and place."""
    return hashlib.sha256(
        b"".join(hashlib.sha256(action).digest() for action in actions)
    ).hexdigest()


def signed(wallet: Wallet, actions: tuple[Action, ...], signing: Signing) -> bytes:
    """Return a transaction's bytes, signed by a wallet."""
    body = TxBody(messages=[AnyMessage.FromString(action) for action in actions])
    fee = Fee(gas_limit=signing.gas)
    if signing.fee:
        fee.amount.append(Coin(amount=str(signing.fee), denom=signing.denomination))
    key = AnyMessage()
    key.Pack(PubKey(key=wallet.cosmos_public_key), type_url_prefix="/")
    mode = ModeInfo(single=ModeInfo.Single(mode=SIGN_MODE_DIRECT))
    signer = SignerInfo(public_key=key, mode_info=mode, sequence=signing.sequence)
    parts = {
        "body_bytes": body.SerializeToString(deterministic=True),
        "auth_info_bytes": AuthInfo(signer_infos=[signer], fee=fee).SerializeToString(
            deterministic=True
        ),
    }
    document = SignDoc(**parts, chain_id=signing.chain_id, account_number=signing.number)
    signature = wallet.sign_for_cosmos(document.SerializeToString(deterministic=True))
    return bytes(TxRaw(**parts, signatures=[signature]).SerializeToString(deterministic=True))


def name_of(raw: bytes) -> str:
    """Return a transaction's hash, upper-case hexadecimal."""
    return hashlib.sha256(raw).hexdigest().upper()


def _json(message: Mapping[str, Any]) -> bytes:
    return json.dumps(message, separators=(",", ":"), ensure_ascii=False).encode()


def _packed(message: Any) -> Action:
    packed = AnyMessage()
    packed.Pack(message, type_url_prefix="/")
    return bytes(packed.SerializeToString(deterministic=True))
