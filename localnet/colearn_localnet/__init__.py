"""A local testnet of real nodes, as native processes: anvil or wasmd, and Kubo.

`colearn_localnet.net` keeps a named network in a folder. Tests use its parts on their own:
`colearn_localnet.anvil`, `colearn_localnet.cosmos` and `colearn_localnet.kubo`.
`colearn_localnet.install` finds or installs the binaries.
Everything binds to the loopback interface by default.
"""
