"""Shorten addresses and CIDs for people."""

from __future__ import annotations


def shorten(text: str) -> str:
    """Return the two ends of an address or a CID, to fit into a table."""
    return text if len(text) <= 13 else f"{text[:8]}…{text[-4:]}"
