"""Relays: submit the signed ballots of learners in batches."""
