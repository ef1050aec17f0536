"""A local testnet of real nodes, as native processes: anvil or wasmd, and Kubo.

`localnet.net` keeps a named network in a folder; `localnet.anvil`, `localnet.cosmos` and
`localnet.kubo` are the single parts, for tests; `localnet.installing` finds or installs the
binaries. Everything binds to the loopback interface unless told otherwise.
"""
