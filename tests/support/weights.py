"""Read weights from a store."""

from __future__ import annotations

from colearn_ledger.protocol import ContentRef
from colearn_ledger.weights.codec import DecodedWeights, decode_weights
from colearn_ledger.weights.schema import WeightsSchema
from colearn_ledger.weights.store import ContentStore


def read_weights(
    store: ContentStore, content: ContentRef, *, schema: WeightsSchema
) -> DecodedWeights:
    """Fetch, verify and decode weights."""
    with store.get(content, max_size=schema.max_bytes) as pieces:
        return decode_weights(b"".join(pieces), schema=schema)
