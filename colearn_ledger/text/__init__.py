"""Text formats that every ledger shares: CIDs, bech32, URLs, strict JSON."""
