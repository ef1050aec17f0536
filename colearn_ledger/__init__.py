"""What is agreed between learners: ledgers, weights, wallets, history.

Start at `colearn_ledger.ledger` (the port), `colearn_ledger.local` (the readable reference)
and `colearn_ledger.evm` (the Solidity contract). Knows nothing of machine learning.
"""
