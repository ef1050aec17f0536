"""A file, a valid answer with it, and time limits, for tests of faulty nodes."""

from __future__ import annotations

import json
from collections.abc import Callable

from colearn_ledger.weights.streams import Patience
from colearn_ledger.weights.unixfs import content_of
from tests.support.faulty_server import Call

DATA = bytes(range(256)) * 8_000
CONTENT = content_of(DATA)

PATIENT = Patience(timeout=120, silence=120, retries=2)
"""Time limits that even a slow machine does not reach."""

SOON = Patience(timeout=0.6, silence=120, retries=2)
"""Limits under which only the total deadline can end a hanging request."""

NOTICES_SILENCE = Patience(timeout=120, silence=0.2, retries=2)
"""Limits under which only the limit on silence can end a hanging request."""


def kubo_error(message: str) -> Callable[[Call], None]:
    answer = json.dumps({"Message": message, "Code": 0, "Type": "error"}).encode()
    return lambda call: call.answer(answer, 500)


def serve(call: Call, data: bytes = DATA) -> None:
    """Answer like a correct node or gateway."""
    rest = data[call.offset :]
    if "range" in call.headers:
        span = f"bytes {call.offset}-{len(data) - 1}/{len(data)}"
        call.answer(rest, 206, Content_Range=span)
    else:
        call.answer(rest)
