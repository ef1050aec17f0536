"""Text formats that every ledger shares: CIDs, addresses, URLs, strict JSON."""
