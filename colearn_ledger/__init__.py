"""Everything that learners share: ledgers, weights, wallets and history.

Start at `colearn_ledger.ledger` (the port), `colearn_ledger.reference` (the readable reference)
and `colearn_ledger.chains.evm` (the Solidity contract). This package contains no machine learning.
"""
