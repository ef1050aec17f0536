"""Prove which transactions of a block took effect, by the root of their results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from colearn_ledger.chains.cosmos.proving.merkle import compute_root, encode_bytes, encode_number
from colearn_ledger.chains.errors import ProofFailed


def prove_codes(
    height: int, names: Sequence[str], responses: Sequence[Any], root: bytes
) -> Mapping[str, int]:
    """Return the result code of each transaction of a block, by hash; 0 if it took effect.

    The root covers the codes, the data and the gas, but not the events.

    Args:
        height: the height of the block.
        names: its transactions, by hash, in order.
        responses: a ``TxResponse`` of each, in any order, which are not trusted.
        root: the root of the results, which is trusted.

    Raises:
        ProofFailed: the responses do not have the root.
    """
    found = {str(each.txhash).upper(): each for each in responses}
    results = [_encode_result(found[name]) for name in names if name in found]
    if len(results) < len(names) or compute_root(results) != root:
        raise ProofFailed(
            f"the results of the {len(names)} transactions of block {height} that the node "
            "returned do not have the root in the next header; one was changed or left out"
        )
    return {name: int(found[name].code) for name in names}


def _encode_result(response: Any) -> bytes:
    """Return what the root covers of a result."""
    try:
        data = bytes.fromhex(response.data)
    except ValueError as error:
        raise ProofFailed("the node returned a result whose data is not hexadecimal") from error
    return (
        encode_number(1, response.code)
        + encode_bytes(2, data)
        + encode_number(5, response.gas_wanted)
        + encode_number(6, response.gas_used)
    )
