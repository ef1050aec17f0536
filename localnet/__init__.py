"""A local testnet of real nodes, as native processes: anvil for the chain, Kubo for the content.

`localnet.net` keeps a named network in a folder; `localnet.anvil` and `localnet.kubo` are the
single nodes, for tests; `localnet.installing` finds or installs the binaries.
Everything binds to the loopback interface unless told otherwise.
"""
