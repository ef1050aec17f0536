"""Account keys: wallets, encrypted key files, signatures."""
