"""Connect to a contract through a node that is not trusted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from colearn_ledger.arguments import check_account
from colearn_ledger.chains.config import check_chain_id
from colearn_ledger.chains.contract_ledger import ProvenView
from colearn_ledger.chains.cosmos.config import CosmosConfig
from colearn_ledger.chains.cosmos.deployment import DeployedContract
from colearn_ledger.chains.cosmos.encoder import CosmosEncoder, Message
from colearn_ledger.chains.cosmos.events import EventReader
from colearn_ledger.chains.cosmos.proving.node import ProvenNode
from colearn_ledger.chains.cosmos.sender import Sender
from colearn_ledger.chains.errors import ProofFailed
from colearn_ledger.ledger import RecordedEvent, TransactionCost
from colearn_ledger.networks.cosmos_access import CosmosAccess
from colearn_ledger.protocol import Account, ExperimentId, SigningScheme
from colearn_ledger.text.urls import list_urls


class _ProvenContract(DeployedContract):
    """Reads events from the proven block on in which an experiment was created."""

    node: ProvenNode

    def read_events(
        self, experiment: ExperimentId, created_at: Callable[[], int], *, after: int, limit: int
    ) -> list[RecordedEvent]:
        """Return up to ``limit`` events of an experiment past the cursor ``after``."""
        if experiment not in self._readers:
            first = self.node.find_first_block(created_at())
            self._readers[experiment] = EventReader(
                self.node, self.contract, lambda: first, range_size=self.config.block_range
            )
        return self._readers[experiment].events(experiment, after=after, limit=limit)

    def read_costs(self, transactions: Sequence[str]) -> list[TransactionCost]:
        """Refuse, as what a transaction cost is not part of the proof."""
        raise ProofFailed("what transactions cost is not part of the proof; ask a trusted node")

    def __init__(
        self, node: ProvenNode, contract: Account, config: CosmosConfig, sender: Sender
    ) -> None:
        super().__init__(node, contract, config, sender)
        self._readers: dict[ExperimentId, EventReader] = {}


def connect_with_proofs(
    access: CosmosAccess,
    contract: Account,
    *,
    trusted: bytes,
    config: CosmosConfig,
    report_done: Callable[[int], None] = lambda _: None,
) -> ProvenView[Message]:
    """Connect to a deployed contract to read it as of the newest block that can be proved.

    All that the view returns follows from the hash of a trusted block, except for events: calls,
    their success, code and state.

    Args:
        access: the chain's endpoint; the first node is asked.
        contract: the contract's address.
        trusted: the hash of the trusted block, which is newer than the contract.
        config: settings for the connection.
        report_done: called with the number of headers read.

    Raises:
        InvalidParameter: ``contract`` is not an address.
        WrongChain: the node is on another chain than ``config`` requires.
        WrongContract: this package's contract is not at the address.
        ProofFailed: the node does not have the trusted block, or an answer does not follow from it.
        LedgerUnavailable: the node cannot be reached.
    """
    address = check_account(contract, SigningScheme.ADR036, "contract")
    [url, *_] = list_urls(access.grpc)
    node = ProvenNode(url, address, trusted=trusted, grpc=config.grpc, report_done=report_done)
    chain_id = check_chain_id(node.name, node.chain_id(), config.chain_id)
    settings = replace(config, websocket=None, agree=1)
    sender = Sender(node, chain_id, access, config.sending)
    deployed = _ProvenContract(node, address, settings, sender)
    return ProvenView(CosmosEncoder(), deployed, trusted=node.trusted, last=node.head())
