"""Look up names that users type, and suggest similar ones."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from colearn_learner.errors import LearnerError


class UnknownName(LearnerError):
    """Raised for an unknown name; the message suggests similar ones."""


def find_name(kind: str, name: str, known: Iterable[str]) -> str:
    """Return ``name`` if it is known.

    Args:
        kind: kind of thing that the name stands for; used in the message.
        name: the name as typed.
        known: all valid names.

    Raises:
        UnknownName: the name is not in ``known``.
    """
    names = list(known)
    if name in names:
        return name
    near = difflib.get_close_matches(name.lower(), names, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else f"choose from: {', '.join(names)}"
    raise UnknownName(f"there is no {kind} {name!r}; {hint}")
