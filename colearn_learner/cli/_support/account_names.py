"""Names of accounts for an agent's log."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from colearn_ledger.keys.names import find_names
from colearn_ledger.protocol import Account, LedgerError

_log = logging.getLogger(__name__)


def find_names_for_log(accounts: Iterable[Account]) -> dict[Account, str]:
    """Return the names of those accounts that have one; warn if no names can be read.

    Names only help people, so an agent continues without them.
    """
    try:
        return find_names(accounts)
    except (LedgerError, OSError) as error:
        _log.warning("the log shows accounts instead of names: %s", error)
        return {}
