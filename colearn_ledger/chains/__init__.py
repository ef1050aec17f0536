"""What the adapters of all chains share; one package for each kind of chain."""
