"""Make control characters visible, so that text from strangers cannot steer the terminal."""

from __future__ import annotations


def escape_controls(text: str, *, keep: str = "") -> str:
    r"""Replace everything in a text that is not printable by a visible escape, such as ``\x1b``.

    This covers control characters, marks that change the direction of writing, and bytes that are
    not text.

    Args:
        text: the text, which may come from a stranger.
        keep: characters to leave alone, such as the newline of a text with several lines.
    """
    return "".join(c if c.isprintable() or c in keep else ascii(c)[1:-1] for c in text)
