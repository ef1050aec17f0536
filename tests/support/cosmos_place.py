"""A real wasmd with the contract's code, new instances of the contract, and funded accounts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from colearn_ledger.chains.cosmos import CosmosConfig, CosmosLedger, CosmosSenderConfig
from colearn_ledger.chains.cosmos.deployment import deploy_contract, instantiate_contract
from colearn_ledger.chains.cosmos.node import Node
from colearn_ledger.chains.cosmos.sender import Sender
from colearn_ledger.chains.cosmos.transactions import pay_action
from colearn_ledger.keys.wallet import Wallet
from colearn_ledger.networks.cosmos_access import CosmosAccess
from colearn_ledger.protocol import Account
from colearn_localnet.cosmos import CosmosChain
from tests.support.waiting import LIMIT

ENOUGH = 10_000_000
"""Amount that an account receives; it pays for about 1,500 transactions."""


BLOCK_TIME = 0.15
"""Seconds between a block of a chain and the proposal of the next one.

A chain makes blocks even if it is idle; each costs a hundredth of a second of a core.
"""


class Place:
    """A chain, and its first account, which has stored the contract's code and pays for everything.

    Args:
        chain: the chain.
        folder: folder of the journals.
    """

    def __init__(self, chain: CosmosChain, folder: Path) -> None:
        self.chain = chain
        price = float(chain.gas_price.removesuffix(chain.denomination))
        self.terms = CosmosAccess(chain.grpc, chain.prefix, chain.denomination, price)
        self.config = CosmosConfig(
            chain_id=chain.chain_id, sending=CosmosSenderConfig(journal=folder), poll_seconds=0.02
        )
        self.bank = Wallet.from_key(chain.keys[0])
        self.node = Node(chain.grpc)
        self.sender = Sender(self.node, chain.chain_id, self.terms, self.config.sending)
        self.code = deploy_contract(self.terms, self.bank, config=self.config).code
        self._funded: set[Account] = set()

    def instance(self) -> Account:
        """Instantiate the contract and return its address; it has no experiment yet."""
        deployed = instantiate_contract(self.node, self.sender, self.bank, code=self.code)
        return deployed.contract

    def fund(self, wallets: Iterable[Wallet]) -> None:
        """Fund these wallets, each of them once."""
        accounts = {self.sender.address(wallet) for wallet in wallets} - self._funded
        if accounts:
            self.pay(sorted(accounts), ENOUGH)
            self._funded |= accounts

    def pay(self, accounts: Iterable[Account], amount: int) -> None:
        """Send coins to accounts, in one transaction."""
        bank = self.sender.address(self.bank)
        actions = [pay_action(bank, to, amount, self.terms.denomination) for to in accounts]
        paid = self.sender.wait(self.sender.send(self.bank, *actions), LIMIT)
        assert paid.code == 0, paid.log

    def ledger(self, wallet: Wallet, contract: Account | None = None) -> CosmosLedger:
        """Return a view of a contract, by default a new one; the wallet is funded."""
        self.fund([wallet])
        contract = contract or self.instance()
        return CosmosLedger.connect(self.terms, contract, wallet, config=self.config)


@contextmanager
def start_place(folder: Path, *, wasmd: str | None = None) -> Iterator[Place]:
    """Start a chain of one wasmd of a release, by default the newest, and store the contract."""
    with CosmosChain(folder / "chain", wasmd=wasmd, block_time=BLOCK_TIME) as chain:
        yield Place(chain, folder / "journals")
