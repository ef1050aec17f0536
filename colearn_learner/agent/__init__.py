"""The agent that performs a learner's duties, on any ledger and any content store."""
