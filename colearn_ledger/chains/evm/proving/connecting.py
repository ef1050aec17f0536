"""Connect to a contract through a node that is not trusted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from web3.providers.base import BaseProvider

from colearn_ledger.arguments import check_account
from colearn_ledger.chains.config import check_chain_id
from colearn_ledger.chains.contract_ledger import ProvenView
from colearn_ledger.chains.evm.config import EvmConfig
from colearn_ledger.chains.evm.deployment import DeployedContract
from colearn_ledger.chains.evm.encoder import EvmEncoder
from colearn_ledger.chains.evm.events import EventReader
from colearn_ledger.chains.evm.proving.node import ProvenNode
from colearn_ledger.chains.evm.sender import Sender
from colearn_ledger.protocol import Account, SigningScheme


class _ProvenEvents(EventReader):
    """Reads events from the first proven block on."""

    _node: ProvenNode

    def _first_block_from(self, time: int) -> int:
        return self._node.find_first_block(time)


def connect_with_proofs(
    endpoint: str | BaseProvider,
    contract: Account,
    *,
    trusted: bytes,
    config: EvmConfig,
    report_done: Callable[[int], None] = lambda _: None,
) -> ProvenView[bytes]:
    """Connect to a deployed contract to read it as of a trusted block.

    All that the view returns follows from the hash of that block: events, calls, code and state.

    Args:
        endpoint: the node's URL, or a provider of web3.py.
        contract: the contract's address.
        trusted: the hash of the trusted block.
        config: settings for the connection.
        report_done: called with the number of headers read.

    Raises:
        InvalidParameter: ``contract`` is not an address.
        WrongChain: the node is on another chain than ``config`` requires.
        WrongContract: this package's contract is not at the address in that block.
        ProofFailed: the node does not have the trusted block, or an answer does not follow from it.
        LedgerUnavailable: the node cannot be reached.
    """
    address = check_account(contract, SigningScheme.EIP712, "contract")
    node = ProvenNode(endpoint, address, trusted=trusted, http=config.http, report_done=report_done)
    chain_id = check_chain_id(node.name, node.chain_id(), config.chain_id)
    sending = replace(config.sending, confirmations=1)
    settings = replace(config, websocket="off", log_range=node.block_number() + 1, sending=sending)
    deployed = DeployedContract(node, address, settings, Sender(node, chain_id, sending))
    abi = deployed.artifact.abi
    deployed.events = _ProvenEvents(node, address, abi, range_size=settings.log_range)
    deployed.check()
    encoder, head = EvmEncoder(deployed.artifact.abi), node.head()
    return ProvenView(encoder, deployed, trusted=head, last=head)
