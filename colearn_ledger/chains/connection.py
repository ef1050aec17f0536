"""What the connections to a contract on any chain share: what happens if a call fails."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Generic, Protocol, TypeVar, cast

from colearn_ledger.chains.config import check_chain_id
from colearn_ledger.chains.errors import BadAnswer, CallRefused, NodeRefused
from colearn_ledger.chains.journal import Premise
from colearn_ledger.chains.sender import TransactionSender
from colearn_ledger.protocol import LedgerError

RefusedT = TypeVar("RefusedT", bound=CallRefused)


class ConnectedNode(Protocol):
    """A node of a chain."""

    name: str

    def chain_id(self) -> Any:
        """Return the id of the node's chain."""

    def recheck(self) -> None:
        """Check the node's chain and contract again, unless it does not answer now."""


class ContractConnection(ABC, Generic[RefusedT]):
    """Base of the connections to one deployed contract, whose calls may be refused."""

    node: ConnectedNode
    sender: TransactionSender[Any, Any, Any]

    def check_premise_with(self, check: Callable[[Premise], bool]) -> None:
        """Set the check that decides whether a transaction with a premise may be sent again."""
        self.sender.check_premise = check

    @contextmanager
    def explain_failures(self) -> Iterator[None]:
        """Raise the protocol's error for a refusal; after an unusual answer, check the place."""
        try:
            yield
        except CallRefused as refusal:
            raise self.explain(cast(RefusedT, refusal)) from None
        except (BadAnswer, NodeRefused):
            self.check_place()
            raise

    def check_place(self) -> None:
        """Check that the chain and the contract are still the ones we connected to.

        This is called when an answer is not one that the contract gives. The node's address may
        belong to another chain by now, or the chain may have been reset.

        Raises:
            WrongChain, WrongContract: the chain or the contract is another one.
            LedgerUnavailable: that holds for one of several nodes, which is not used for now.
        """
        self.node.recheck()

    def check_node(self, node: Any) -> None:
        """Refuse a node that is on another chain, or does not have the contract.

        Raises:
            WrongChain, WrongContract: the chain or the contract is another one.
            LedgerError: the node does not answer.
        """
        check_chain_id(node.name, node.chain_id(), self.sender.chain_id)
        self.check_contract(node)

    @abstractmethod
    def explain(self, refusal: RefusedT) -> LedgerError:
        """Return the error with which the contract refused a call."""

    @abstractmethod
    def check_contract(self, node: Any) -> object:
        """Refuse a contract that is not this package's, as a node reports it.

        Raises:
            WrongContract: there is no contract, or it is another one.
        """
