"""Options for the nodes that an audit asks, and for what it trusts of their answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import click

from colearn_learner.cli._support.collect import Command, collect
from colearn_learner.cli._support.connect import Place, explain_unreachable
from colearn_learner.cli._support.errors import need
from colearn_learner.cli._support.options import parse_hash
from colearn_learner.errors import InvalidArgument
from colearn_ledger.networks.profiles import EvmNetwork, Network
from colearn_ledger.networks.validation import InvalidNetwork
from colearn_ledger.protocol import ExperimentId, LedgerError
from colearn_ledger.text.urls import masked

if TYPE_CHECKING:
    from colearn_ledger.audit import Comparison
    from colearn_ledger.chains.contract_ledger import ProvenView
    from colearn_ledger.ledger import LedgerView

Show = Callable[[str], None]

_HOW_TO_TRUST = (
    "--prove needs --trusted-block HASH: the hash of a recent block, from a source that does not "
    "depend on this node: your own node or another provider's (cast block finalized --field hash "
    "--rpc-url URL; on a Cosmos chain, URL/commit of an RPC), or a block explorer"
)


@dataclass(frozen=True, slots=True)
class TrustOptions:
    """The nodes to ask, and the block that the answers of the first one have to follow from."""

    nodes: tuple[str, ...]
    prove: bool
    trusted: bytes | None

    def __post_init__(self) -> None:
        """Refuse options that contradict each other."""
        if self.prove and self.trusted is None:
            raise InvalidArgument(_HOW_TO_TRUST)
        if self.trusted is not None and not self.prove:
            raise InvalidArgument("--trusted-block is for proofs; add --prove")
        if len(set(self.nodes)) < len(self.nodes):
            raise InvalidArgument("--node names a node twice; name each node once")

    def choose_sources(self, place: Place) -> Sources:
        """Return the nodes to read an experiment from; those of its network if none are named.

        Raises:
            click.UsageError: a node's URL is malformed.
        """
        try:
            networks = [place.network.with_node(url) for url in self.nodes] or [place.network]
        except InvalidNetwork as error:
            raise click.BadParameter(str(error), param_hint="--node") from error
        names = [masked(url) for url in self.nodes]
        if len(set(names)) < len(names):  # the URLs differ only in their keys
            names = [f"{name} ({number})" for number, name in enumerate(names, 1)]
        settled = replace(place, network=networks[0])
        places = [replace(place, network=_read_newest(network)) for network in networks]
        return Sources(places, names, settled, self.trusted)


@dataclass(slots=True)
class Sources:
    """The nodes of an audit. The audit reads the first one, and compares the others with it.

    Args:
        places: the experiment through each node, or through all nodes of its network.
        names: the nodes' names; empty for those of the network.
        settled: the experiment through the first node, without blocks that may still be replaced.
        trusted: the hash of the block that the first node's answers have to follow from, if any.
    """

    places: list[Place]
    names: list[str]
    settled: Place
    trusted: bytes | None = None
    proved: ProvenView[Any] | None = None
    _views: list[LedgerView] = field(default_factory=list)

    @property
    def reference(self) -> str:
        """Return the experiment's reference."""
        return str(self.settled.reference)

    @property
    def experiment(self) -> ExperimentId:
        """Return the experiment's id."""
        return self.places[0].experiment

    def open_first(self, show: Show) -> LedgerView:
        """Connect to the first node, whose answers are proved if a block is trusted."""
        self._views = [self._open_with_proofs(show) if self.trusted else self.places[0].open_view()]
        return self._views[0]

    def compare(self, show: Show) -> Comparison:
        """Compare the answers of all nodes, if there are several.

        Raises:
            LedgerError: a node cannot be reached, or its answers are not valid.
        """
        from colearn_ledger.audit import Comparison, Witness, compare_nodes

        if len(self.places) < 2:
            return Comparison()
        for place, name in zip(self.places[1:], self.names[1:], strict=True):
            with _name_node(name):
                self._views.append(place.open_view())
        nodes = [Witness(*pair) for pair in zip(self.names, self._views, strict=True)]
        return compare_nodes(
            nodes,
            self.experiment,
            first_is_proven=self.proved is not None and self._proves_events,
            report_done=lambda done: show(f"comparing nodes: {done} of {len(nodes)}"),
        )

    def describe(self) -> Iterator[tuple[str, str]]:
        """Yield lines for a report."""
        if len(self.places) > 1:
            yield "nodes", ", ".join(self.names)
        if self.proved is not None:
            what = "all that follows" if self._proves_events else "calls, code and state"
            yield "proved", f"{what}, up to block {self.proved.last.number:,}"

    def explain_trust(self) -> str:
        """Return a sentence about what the audit believed of the chain."""
        if self.proved is not None:
            what = "All that was read from the chain was"
            if not self._proves_events:
                what = "The calls of the contract, its code and its state were"
            block = self.proved.trusted
            return f"{what} proved from block {block.number:,}, {block.hash}."
        if len(self.places) > 1:
            return f"These nodes were compared with each other: {', '.join(self.names)}."
        return f"The answers of {self.names[0] if self.names else 'the nodes'} were believed."

    def to_dict(self) -> dict[str, Any]:
        """Return the nodes and the trusted block as JSON values."""
        if self.proved is None:
            return {"nodes": self.names, "proved": None}
        trusted, last = self.proved.trusted, self.proved.last
        proved = {"block": trusted.number, "hash": trusted.hash, "up_to": last.number}
        return {"nodes": self.names, "proved": proved}

    @property
    def _proves_events(self) -> bool:
        """Return whether hashes cover events; on Cosmos chains, none does."""
        return isinstance(self.settled.network, EvmNetwork)

    def _open_with_proofs(self, show: Show) -> LedgerView:
        place, trusted = self.places[0], self.trusted
        need(place.network.package)
        if trusted is None:
            raise InvalidArgument(_HOW_TO_TRUST)
        with explain_unreachable(place.network):
            self.proved = place.network.view_with_proofs(
                place.reference.contract,
                trusted=trusted,
                report_done=lambda done: show(f"proving headers: {done:,}"),
            )
        return self.proved


def _read_newest(network: Network) -> Network:
    """Return a network whose state is read from the last block, as its events are."""
    return replace(network, confirmations=1) if isinstance(network, EvmNetwork) else network


def trust_options(command: Command) -> Command:
    """Add ``--node``, ``--prove`` and ``--trusted-block``; the command gets ``trust``."""
    node = click.option(
        "--node",
        "nodes",
        multiple=True,
        metavar="URL",
        help="A node to ask: the URL of its JSON-RPC, or of its gRPC on a Cosmos chain. "
        "Repeatable: the audit reads the first one, and names those that disagree. [default: the "
        "network's nodes]",
    )
    prove = click.option(
        "--prove",
        is_flag=True,
        help="Accept only what is proved from the trusted block: calls, code and state, and on EVM "
        "chains events.",
    )
    trusted = click.option(
        "--trusted-block",
        "trusted",
        metavar="HASH",
        callback=lambda _context, _option, text: parse_hash(text, "--trusted-block"),
        help="The hash of the block from which --prove proves, on EVM chains all earlier ones; get "
        "it from another source than the node.",
    )
    return node(prove(trusted(collect(TrustOptions, "trust")(command))))


@contextmanager
def _name_node(name: str) -> Iterator[None]:
    try:
        yield
    except LedgerError as error:
        raise LedgerError(f"{name} cannot be compared: {error}") from error
