"""A wasmd with the contract and funded accounts whose transactions' gas is measured."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from cosmpy.protos.cosmos.bank.v1beta1.bank_pb2 import Input, Output
from cosmpy.protos.cosmos.bank.v1beta1.tx_pb2 import MsgMultiSend
from cosmpy.protos.cosmos.base.v1beta1.coin_pb2 import Coin
from google.protobuf.any_pb2 import Any as AnyMessage
from rich.progress import Progress

from colearn_ledger.chains.cosmos import CosmosConfig, CosmosLedger, CosmosSenderConfig
from colearn_ledger.chains.cosmos.deployment import deploy_contract
from colearn_ledger.chains.cosmos.encoder import Message
from colearn_ledger.chains.cosmos.node import Node
from colearn_ledger.chains.cosmos.records import Executed
from colearn_ledger.chains.cosmos.sender import Sender
from colearn_ledger.chains.cosmos.transactions import (
    Action,
    Signing,
    execute_action,
    sign_transaction,
)
from colearn_ledger.keys.wallet import Wallet
from colearn_ledger.networks.cosmos_access import CosmosAccess
from colearn_ledger.protocol import (
    Account,
    ContentRef,
)
from colearn_localnet.cosmos import CosmosChain
from colearn_localnet.errors import NodeFailed
from colearn_localnet.rpc import json_rpc

BLOCK_TIME = 0.1
FUNDS = 10_000_000
GAS = 500_000
"""Gas limit of a learner's transaction; the results are the gas used."""

CHUNK = 500
"""Most accounts paid or added as members by one transaction, and most pending transactions."""

PATIENCE = 60.0
"""Seconds to wait for transactions."""

Gas = dict[str, list[int]]
"""Gas of each transaction, by name of the call."""


@dataclass(slots=True)
class Learner:
    """An account with its key, its number on the chain and its next sequence number."""

    wallet: Wallet
    account: Account
    number: int = 0
    sequence: int = 0


class Bench:
    """A chain with the contract, an account that pays (the first one), and the learners' keys.

    Args:
        chain: a running chain.
        folder: folder for the journals.
        progress: shows the number of transactions in blocks.
    """

    def __init__(self, chain: CosmosChain, folder: Path, progress: Progress) -> None:
        self.chain, self.progress = chain, progress
        self.price = float(chain.gas_price.removesuffix(chain.denomination))
        terms = CosmosAccess(chain.grpc, chain.prefix, chain.denomination, self.price)
        sending = CosmosSenderConfig(journal=folder, gas_ceiling=200_000_000)
        config = CosmosConfig(chain_id=chain.chain_id, sending=sending, poll_seconds=0.02)
        self.bank = Wallet.from_key(chain.keys[0])
        self.payer = self.bank.cosmos_address(chain.prefix)
        self.node = Node(chain.grpc)
        self.sender = Sender(self.node, chain.chain_id, terms, sending)
        deployed = deploy_contract(terms, self.bank, config=config, timeout=PATIENCE)
        self.contract, self.code = deployed.contract, deployed.code
        self.ledger = CosmosLedger.connect(terms, self.contract, self.bank, config=config)
        self.learners: list[Learner] = []

    def pay_for(self, *actions: Action) -> Executed:
        """Send a transaction from the paying account and return it once it is in a block."""
        done = self.sender.wait(self.sender.send(self.bank, *actions), PATIENCE)
        if done.code:
            raise SystemExit(f"a transaction failed: {done.log}")
        return done

    def add_learners(self, count: int) -> None:
        """Create and fund learners until there are ``count``."""
        new = []
        for number in range(len(self.learners), count):
            wallet = Wallet.from_key(hashlib.sha256(f"bench {number}".encode()).digest())
            new.append(Learner(wallet, wallet.cosmos_address(self.chain.prefix)))
        task = self.progress.add_task("accounts", total=len(new))
        for part in split(new):
            self.pay_for(pay_many_action(self.payer, [one.account for one in part], self.chain))
            for learner in part:
                learner.number, _ = self.node.account(learner.account)
                self.progress.advance(task)
        self.learners += new

    def measure(self, what: str, group: Sequence[Learner], contract: Account, call: Message) -> Gas:
        """Send a message from each learner of a group and return the gas in the same order."""
        task = self.progress.add_task(what, total=len(group))
        gas: list[int] = []
        for part in split(group):
            height = self.chain.height()
            for learner in part:
                self._broadcast(learner, execute_action(learner.account, contract, call))
            for used in self._read_gas(height, len(part)):
                gas.append(used)
                self.progress.advance(task)
        self._wait_for_commit()
        return {what: gas}

    def _broadcast(self, learner: Learner, action: Action) -> None:
        chain, fee = self.chain, int(GAS * self.price) + 1
        order = (learner.number, learner.sequence)
        signing = Signing(chain.chain_id, *order, GAS, fee, chain.denomination)
        code, _, log = self.node.broadcast(sign_transaction(learner.wallet, (action,), signing))
        if code:
            raise SystemExit(f"a transaction was refused: {log}")
        learner.sequence += 1

    def _wait_for_commit(self) -> None:
        """Wait until queries see the last block, whose results are served before its state is."""
        height, ends = self.chain.height(), time.monotonic() + PATIENCE
        while self.chain.height() == height:
            if time.monotonic() > ends:
                raise SystemExit(f"no block follows block {height}")
            time.sleep(BLOCK_TIME / 4)

    def _read_gas(self, height: int, count: int) -> Iterator[int]:
        """Yield the gas of the next ``count`` transactions in blocks above a height."""
        ends = time.monotonic() + PATIENCE
        while count:
            if time.monotonic() > ends:
                raise SystemExit(f"{count} transactions are not in a block")
            try:
                block = json_rpc(self.chain.rpc, "block_results", str(height + 1), seconds=60)
            except NodeFailed:  # no such block yet
                time.sleep(BLOCK_TIME / 4)
                continue
            height += 1
            for result in block["txs_results"] or []:
                ends = time.monotonic() + PATIENCE
                if result["code"]:
                    raise SystemExit(f"a transaction failed: {result['log']}")
                count -= 1
                yield int(result["gas_used"])


def split(learners: Sequence[Learner]) -> Iterator[Sequence[Learner]]:
    """Yield learners in chunks."""
    for start in range(0, len(learners), CHUNK):
        yield learners[start : start + CHUNK]


def pack(message: object) -> Action:
    """Return a message packed for a transaction."""
    action = AnyMessage()
    action.Pack(message, type_url_prefix="/")
    return bytes(action.SerializeToString(deterministic=True))


def pay_many_action(payer: Account, accounts: Sequence[Account], chain: CosmosChain) -> Action:
    """Return a payment to many accounts."""
    total = [Coin(amount=str(FUNDS * len(accounts)), denom=chain.denomination)]
    each = [Coin(amount=str(FUNDS), denom=chain.denomination)]
    outputs = [Output(address=account, coins=each) for account in accounts]
    return pack(MsgMultiSend(inputs=[Input(address=payer, coins=total)], outputs=outputs))


def content(text: str) -> ContentRef:
    """Return a content reference that is never fetched."""
    digest = hashlib.sha256(text.encode()).digest()
    return ContentRef.from_digest(0x55, digest, digest.hex(), len(text))
