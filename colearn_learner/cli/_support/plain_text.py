"""Replace characters that the output's encoding lacks, instead of failing."""

from __future__ import annotations

import codecs
import sys

_HANDLER = "colearn-plain"

_PLAIN = str.maketrans("…·─━✔✘★●○–—’“”≥≤→", '~.--+-*@o--\'""><>')
"""One character for each, so that tables stay aligned."""


def allow_plain_output() -> None:
    """Write plain characters where standard output and error cannot have others.

    Otherwise, a mark such as ✔ in an ASCII terminal would end a command with an error.
    """
    codecs.register_error(_HANDLER, _replace)
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors=_HANDLER)


def _replace(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end].translate(_PLAIN)
    return "".join(c if c.isascii() else ascii(c)[1:-1] for c in text), error.end
