"""Profiles of networks: a chain, some of its nodes, its contracts and the default store of weights.

A network connects to its own kind of chain, so callers need not handle the kinds separately.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self

from colearn_ledger.keys.wallet import Wallet
from colearn_ledger.networks.cosmos_access import CosmosAccess
from colearn_ledger.networks.validation import (
    check_agreement,
    check_budget,
    check_contracts,
    check_cosmos_access,
    check_cosmos_chain,
    check_evm_chain,
    check_name,
    check_store,
    check_urls,
)
from colearn_ledger.protocol import Account
from colearn_ledger.text.urls import Urls, list_urls

if TYPE_CHECKING:
    from colearn_ledger.chains.contract_ledger import ProvenView
    from colearn_ledger.chains.cosmos import CosmosConfig
    from colearn_ledger.chains.deployment import DeploymentReceipt
    from colearn_ledger.chains.evm import EvmConfig
    from colearn_ledger.ledger import Ledger, LedgerView


class Owner(Protocol):
    """A key with an account on every kind of chain, such as a wallet."""

    @property
    def address(self) -> Account | None:
        """Return the account on EVM chains, if it is known."""

    def cosmos_address(self, prefix: str) -> Account | None:
        """Return the account on a Cosmos chain, if it is known."""


@dataclass(frozen=True, slots=True)
class Network(ABC):
    """A network's profile. Use `EvmNetwork` or `CosmosNetwork`.

    Args:
        name: lower-case letters, digits and '-'.
        rpc: the URL of a node, or of several; it may contain a key, so mask it when you show it.
        chain_id: the chain that the node must be on.
        store: the default store of weights, if there is one.
        contracts: the known contracts; the last one is the default.
        daily_budget: the most that the transactions of one key may cost a day; no limit if
            ``None``. In coins (10^18 wei) on EVM chains, in the denomination on Cosmos chains.
        agree: number of nodes that have to give the same answer; at most the number of `nodes`.

    Raises:
        InvalidNetwork: a field is not valid.
    """

    kind: ClassVar[str]
    package: ClassVar[str]
    """The Python package that is required to connect."""
    smallest_units: ClassVar[int]
    """Number of the chain's smallest units in one unit of ``daily_budget``."""

    name: str
    rpc: Urls
    chain_id: int | str
    store: str | None = None
    contracts: tuple[Account, ...] = ()
    daily_budget: float | None = None
    agree: int = field(default=1, kw_only=True)

    def __post_init__(self) -> None:
        """Check the fields, which people may have typed."""
        check_name(self.name)
        check_urls(self.name, "rpc", self.rpc, example="http://127.0.0.1:8545")
        check_store(self.name, self.store)
        check_budget(self.name, self.daily_budget)
        self._check_chain()
        check_agreement(self.name, self.agree, self.nodes)
        check_contracts(self.name, self.contracts, self.is_account)

    @property
    @abstractmethod
    def chain(self) -> str:
        """Return the chain's id as in CAIP-2."""

    @property
    def nodes(self) -> tuple[str, ...]:
        """Return the URLs of the nodes to connect to, in order of preference."""
        return list_urls(self.rpc)

    @property
    def contract(self) -> Account | None:
        """Return the default contract, if one is known."""
        return self.contracts[-1] if self.contracts else None

    @property
    def budget_in_smallest_unit(self) -> int | None:
        """Return the daily budget in wei on EVM chains, in the denomination on Cosmos chains."""
        if self.daily_budget is None:
            return None
        return round(Decimal(str(self.daily_budget)) * self.smallest_units)

    def with_contract(self, contract: Account) -> Self:
        """Return a copy of the profile with a contract as the default."""
        others = tuple(known for known in self.contracts if known != contract)
        return replace(self, contracts=(*others, contract))

    @abstractmethod
    def with_node(self, url: str) -> Self:
        """Return a copy of the profile that connects to one node: its RPC, or gRPC on Cosmos.

        Raises:
            InvalidNetwork: the text is not the URL of a node.
        """

    @abstractmethod
    def is_account(self, text: str) -> bool:
        """Return whether a text looks like an account on this kind of chain."""

    @abstractmethod
    def account_of(self, owner: Owner) -> Account | None:
        """Return a key's account on this chain, if it is known."""

    @abstractmethod
    def connect(self, contract: Account, wallet: Wallet, *, poll: float = 1.0) -> Ledger:
        """Connect to a contract for reading and writing. The node must be on this network's chain.

        Args:
            contract: the contract's address.
            wallet: signs transactions.
            poll: seconds between two checks for a new block.

        Raises:
            WrongChain, WrongContract: no node is on this chain, or the contract is not there.
            LedgerUnavailable: no node can be reached, or too few of them agree.
            ModuleNotFoundError: `package` is not installed.
        """

    @abstractmethod
    def view(self, contract: Account) -> LedgerView:
        """Connect to a contract for reading only, with the same checks as `connect`."""

    @abstractmethod
    def view_with_proofs(
        self,
        contract: Account,
        *,
        trusted: bytes,
        report_done: Callable[[int], None] = lambda _: None,
    ) -> ProvenView[Any]:
        """Connect to a contract through the first node, and prove what it returns.

        `connect_with_proofs` in `colearn_ledger.chains.evm.proving` and
        `colearn_ledger.chains.cosmos.proving` describe what is proved, and the errors.

        Args:
            contract: the contract's address.
            trusted: the hash of a block that the chain contains.
            report_done: called with the number of headers read.
        """

    @abstractmethod
    def deploy(
        self, wallet: Wallet, *, timeout: float, on_sent: Callable[[str], None]
    ) -> DeploymentReceipt:
        """Deploy the contract that ships with this package.

        Args:
            wallet: the account that pays.
            timeout: seconds to wait for each transaction.
            on_sent: called with each transaction's hash once it is sent.

        Raises:
            LedgerError: nothing was deployed, or the outcome is unknown.
        """

    @abstractmethod
    def _check_chain(self) -> None:
        """Check the fields that only this kind of chain has."""


@dataclass(frozen=True, slots=True)
class EvmNetwork(Network):
    """A network of an EVM chain.

    Args:
        max_fee_gwei: the highest price for a unit of gas, tip included; ``None`` for the client's
            own limit.
        confirmations: blocks after which a transaction counts; 1 for the block it is in.
    """

    kind = "evm"
    package = "web3"
    smallest_units = 10**18

    max_fee_gwei: float | None = None
    confirmations: int = 1

    @property
    def chain(self) -> str:
        """Return the chain's id as in CAIP-2."""
        return f"eip155:{self.chain_id}"

    def with_node(self, url: str) -> Self:
        """Return a copy of the profile that connects to one node."""
        return replace(self, rpc=url, agree=1)

    def is_account(self, text: str) -> bool:
        """Return whether a text is hexadecimal, as accounts on EVM chains are."""
        return text.startswith("0x")

    def account_of(self, owner: Owner) -> Account | None:
        """Return a key's account on EVM chains, if it is known."""
        return owner.address

    def connect(self, contract: Account, wallet: Wallet, *, poll: float = 1.0) -> Ledger:
        """Connect to a contract, as `Network.connect` describes."""
        from colearn_ledger.chains.evm import EvmLedger

        return EvmLedger.connect(self.rpc, contract, wallet, config=self._config(poll))

    def view(self, contract: Account) -> LedgerView:
        """Connect to a contract, as `Network.view` describes."""
        from colearn_ledger.chains.evm import EvmLedger

        return EvmLedger.connect(self.rpc, contract, config=self._config())

    def view_with_proofs(
        self,
        contract: Account,
        *,
        trusted: bytes,
        report_done: Callable[[int], None] = lambda _: None,
    ) -> ProvenView[Any]:
        """Read a contract as of a trusted block, as `Network.view_with_proofs` describes."""
        from colearn_ledger.chains.evm.proving import connect_with_proofs

        node, config = self.nodes[0], self._config()
        return connect_with_proofs(
            node, contract, trusted=trusted, config=config, report_done=report_done
        )

    def deploy(
        self, wallet: Wallet, *, timeout: float, on_sent: Callable[[str], None]
    ) -> DeploymentReceipt:
        """Deploy the contract, as `Network.deploy` describes."""
        from colearn_ledger.chains.evm.deployment import deploy_contract

        config = self._config()
        return deploy_contract(self.rpc, wallet, config=config, timeout=timeout, on_sent=on_sent)

    def _config(self, poll: float = 1.0) -> EvmConfig:
        from colearn_ledger.chains.evm import EvmConfig, EvmSenderConfig

        sending = EvmSenderConfig(
            confirmations=self.confirmations, daily_budget=self.budget_in_smallest_unit
        )
        if self.max_fee_gwei is not None:
            sending = replace(sending, max_fee=round(self.max_fee_gwei * 10**9))
        return EvmConfig(
            chain_id=int(self.chain_id), poll_seconds=poll, sending=sending, agree=self.agree
        )

    def _check_chain(self) -> None:
        check_evm_chain(self.name, self.chain_id, self.max_fee_gwei, self.confirmations)


@dataclass(frozen=True, slots=True, kw_only=True)
class CosmosNetwork(Network):
    """A network of a Cosmos chain with CosmWasm, whose blocks are final.

    Args:
        access: the node's gRPC, the address prefix and the fees.
    """

    kind = "cosmos"
    package = "cosmpy"
    smallest_units = 1

    access: CosmosAccess

    @property
    def nodes(self) -> tuple[str, ...]:
        """Return the URLs of the nodes' gRPC, in order of preference."""
        return list_urls(self.access.grpc)

    @property
    def chain(self) -> str:
        """Return the chain's id as in CAIP-2."""
        return f"cosmos:{self.chain_id}"

    def with_node(self, url: str) -> Self:
        """Return a copy of the profile that connects to one node."""
        return replace(self, access=replace(self.access, grpc=url), agree=1)

    def is_account(self, text: str) -> bool:
        """Return whether a text has the prefix of accounts on this chain."""
        return text.startswith(f"{self.access.prefix}1")

    def account_of(self, owner: Owner) -> Account | None:
        """Return a key's account on this chain, if it is known."""
        return owner.cosmos_address(self.access.prefix)

    def connect(self, contract: Account, wallet: Wallet, *, poll: float = 1.0) -> Ledger:
        """Connect to a contract, as `Network.connect` describes."""
        from colearn_ledger.chains.cosmos import CosmosLedger

        return CosmosLedger.connect(self.access, contract, wallet, config=self._config(poll))

    def view(self, contract: Account) -> LedgerView:
        """Connect to a contract, as `Network.view` describes."""
        from colearn_ledger.chains.cosmos import CosmosLedger

        return CosmosLedger.connect(self.access, contract, config=self._config())

    def view_with_proofs(
        self,
        contract: Account,
        *,
        trusted: bytes,
        report_done: Callable[[int], None] = lambda _: None,
    ) -> ProvenView[Any]:
        """Prove the newest state from a trusted block, as `Network.view_with_proofs` describes."""
        from colearn_ledger.chains.cosmos.proving import connect_with_proofs

        access, config = self.access, self._config()
        return connect_with_proofs(
            access, contract, trusted=trusted, config=config, report_done=report_done
        )

    def deploy(
        self, wallet: Wallet, *, timeout: float, on_sent: Callable[[str], None]
    ) -> DeploymentReceipt:
        """Deploy the contract, as `Network.deploy` describes."""
        from colearn_ledger.chains.cosmos.deployment import deploy_contract

        config = self._config()
        return deploy_contract(self.access, wallet, config=config, timeout=timeout, on_sent=on_sent)

    def _config(self, poll: float = 1.0) -> CosmosConfig:
        from colearn_ledger.chains.cosmos import CosmosConfig, CosmosSenderConfig
        from colearn_ledger.chains.cosmos.heads import find_websocket

        # a single node's announcements are not what several nodes agree on
        socket = find_websocket(list_urls(self.rpc)[0]) if self.agree == 1 else None
        return CosmosConfig(
            chain_id=str(self.chain_id),
            poll_seconds=poll,
            sending=CosmosSenderConfig(daily_budget=self.budget_in_smallest_unit),
            websocket=socket,
            agree=self.agree,
        )

    def _check_chain(self) -> None:
        check_cosmos_chain(self.name, self.chain_id)
        check_urls(self.name, "grpc", self.access.grpc, example="http://127.0.0.1:9090")
        check_cosmos_access(
            self.name, self.access.prefix, self.access.denomination, self.access.gas_price
        )


BUILT_IN_NETWORKS: Mapping[str, Network] = {
    network.name: network
    for network in (
        EvmNetwork("local-evm", "http://127.0.0.1:8545", 31_337),
        EvmNetwork("sepolia", "https://ethereum-sepolia-rpc.publicnode.com", 11_155_111),
        EvmNetwork("base-sepolia", "https://sepolia.base.org", 84_532),
        CosmosNetwork(
            name="local-cosmos",
            rpc="http://127.0.0.1:26657",
            chain_id="colearn-local",
            access=CosmosAccess("http://127.0.0.1:9090", "wasm", "stake", 0.025),
        ),
        CosmosNetwork(
            name="fetch-mainnet",
            rpc="https://rpc-fetchhub.fetch.ai",
            chain_id="fetchhub-4",
            access=CosmosAccess("https://grpc-fetchhub.fetch.ai", "fetch", "afet", 0),
        ),
        CosmosNetwork(
            name="dorado",
            rpc="https://rpc-dorado.fetch.ai",
            chain_id="dorado-1",
            access=CosmosAccess("https://grpc-dorado.fetch.ai", "fetch", "atestfet", 5_000_000_000),
        ),
    )
}
"""Networks that exist without a file; a saved profile of the same name overrides one."""
