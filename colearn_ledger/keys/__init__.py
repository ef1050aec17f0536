"""Account keys: wallets, encrypted key files and signatures."""
