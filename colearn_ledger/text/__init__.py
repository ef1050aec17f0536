"""Text formats that all ledgers share: CIDs, addresses, URLs, strict JSON."""
