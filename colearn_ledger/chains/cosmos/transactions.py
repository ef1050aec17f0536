"""Build, sign and hash the transactions of a Cosmos chain."""

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

Action = bytes
"""A packed message of the chain: one action of a transaction."""


@dataclass(frozen=True, slots=True)
class Signing:
    """The fields that a signature covers in addition to the actions.

    Args:
        chain_id: the chain's id.
        number: the account's number.
        sequence: the transaction's position among those of the account.
        gas: the most gas it may use.
        fee: the fee for that gas.
        denomination: the unit of the fee.
    """

    chain_id: str
    number: int
    sequence: int
    gas: int
    fee: int
    denomination: str


def execute_action(sender: Account, contract: Account, message: Mapping[str, Any]) -> Action:
    """Return an action that calls a contract."""
    return _pack(MsgExecuteContract(sender=sender, contract=contract, msg=_to_json(message)))


def store_action(sender: Account, wasm: bytes) -> Action:
    """Return an action that stores a contract's code."""
    return _pack(MsgStoreCode(sender=sender, wasm_byte_code=gzip.compress(wasm, 9, mtime=0)))


def instantiate_action(sender: Account, code: int, label: str) -> Action:
    """Return an action that creates a contract from stored code, without an admin."""
    message = MsgInstantiateContract(sender=sender, code_id=code, label=label, msg=b"{}")
    return _pack(message)


def pay_action(sender: Account, to: Account, amount: int, denomination: str) -> Action:
    """Return an action that sends coins."""
    coins = [Coin(amount=str(amount), denom=denomination)]
    return _pack(MsgSend(from_address=sender, to_address=to, amount=coins))


def identify_call(actions: tuple[Action, ...]) -> str:
    """Return an identifier of actions that is independent of fee and sequence."""
    return hashlib.sha256(
        b"".join(hashlib.sha256(action).digest() for action in actions)
    ).hexdigest()


def sign_transaction(wallet: Wallet, actions: tuple[Action, ...], signing: Signing) -> bytes:
    """Return a transaction's bytes, signed by a wallet."""
    unsigned = _unsigned(wallet, actions, signing)
    document = SignDoc(
        body_bytes=unsigned.body_bytes,
        auth_info_bytes=unsigned.auth_info_bytes,
        chain_id=signing.chain_id,
        account_number=signing.number,
    )
    signature = wallet.sign_for_cosmos(document.SerializeToString(deterministic=True))
    unsigned.signatures.append(signature)
    return bytes(unsigned.SerializeToString(deterministic=True))


def unsigned_transaction(wallet: Wallet, actions: tuple[Action, ...], signing: Signing) -> bytes:
    """Return a transaction's bytes with an empty signature.

    Nodes simulate such a transaction, but no chain accepts it.
    """
    unsigned = _unsigned(wallet, actions, signing)
    unsigned.signatures.append(b"")
    return bytes(unsigned.SerializeToString(deterministic=True))


def _unsigned(wallet: Wallet, actions: tuple[Action, ...], signing: Signing) -> TxRaw:
    body = TxBody(messages=[AnyMessage.FromString(action) for action in actions])
    fee = Fee(gas_limit=signing.gas)
    if signing.fee:
        fee.amount.append(Coin(amount=str(signing.fee), denom=signing.denomination))
    key = AnyMessage()
    key.Pack(PubKey(key=wallet.cosmos_public_key), type_url_prefix="/")
    mode = ModeInfo(single=ModeInfo.Single(mode=SIGN_MODE_DIRECT))
    signer = SignerInfo(public_key=key, mode_info=mode, sequence=signing.sequence)
    auth = AuthInfo(signer_infos=[signer], fee=fee)
    return TxRaw(
        body_bytes=body.SerializeToString(deterministic=True),
        auth_info_bytes=auth.SerializeToString(deterministic=True),
    )


def read_actions(raw: bytes) -> tuple[Action, ...]:
    """Return the actions in a transaction's bytes.

    Raises:
        google.protobuf.message.DecodeError: the bytes are not a transaction.
    """
    body = TxBody.FromString(TxRaw.FromString(raw).body_bytes)
    return tuple(bytes(each.SerializeToString(deterministic=True)) for each in body.messages)


def hash_transaction(raw: bytes) -> str:
    """Return a transaction's hash in upper-case hexadecimal."""
    return hashlib.sha256(raw).hexdigest().upper()


def _to_json(message: Mapping[str, Any]) -> bytes:
    return json.dumps(message, separators=(",", ":"), ensure_ascii=False).encode()


def _pack(message: Any) -> Action:
    packed = AnyMessage()
    packed.Pack(message, type_url_prefix="/")
    return bytes(packed.SerializeToString(deterministic=True))
