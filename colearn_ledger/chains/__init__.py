"""Adapters of chains: the shared parts, and one package for each kind of chain."""
