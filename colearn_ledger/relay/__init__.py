"""Relays that submit the signed ballots of learners in batches."""
