"""What is agreed between learners: ledgers, weights, wallets, history.

Start at `colearn_ledger.ledger` (the port), `colearn_ledger.reference` (the readable reference)
and `colearn_ledger.chains.evm` (the Solidity contract). Knows nothing of machine learning.
"""
