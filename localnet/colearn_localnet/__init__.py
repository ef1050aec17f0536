"""A local testnet of real nodes as native processes: anvil or wasmd, and Kubo.

`colearn_localnet.net` runs a whole network in a folder. Tests use its parts separately:
`colearn_localnet.anvil`, `colearn_localnet.cosmos` and `colearn_localnet.kubo`.
`colearn_localnet.install` finds or installs the binaries; `colearn_localnet.toolchains` does so for
Node.js and Go. By default everything listens on the loopback interface only.
"""
