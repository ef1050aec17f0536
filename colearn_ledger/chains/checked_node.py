"""What the clients of nodes of all chains have in common."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from colearn_ledger.chains.errors import BadAnswer, NodeRefused
from colearn_ledger.ledger import LedgerUnavailable


class CheckedNode:
    """A client of a node whose chain and contract can be checked again at any time."""

    _check: Callable[[Any], None] = staticmethod(lambda node: None)

    def check_with(self, check: Callable[[Any], None]) -> None:
        """Set how to check the chain and the contract of a node.

        Args:
            check: raises `WrongChain` or `WrongContract` if a node is wrong.
        """
        self._check = check

    def recheck(self) -> None:
        """Check the chain and the contract again, unless the node does not answer now.

        Raises:
            WrongChain, WrongContract: the chain or the contract is another one.
        """
        with suppress(LedgerUnavailable, BadAnswer, NodeRefused):
            self._check(self)
