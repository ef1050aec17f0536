"""The learner agent: one duty at a time, on any ledger and any content store."""
