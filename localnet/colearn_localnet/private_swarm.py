"""Kubo's configuration for a small private swarm."""

from __future__ import annotations

import re
from typing import Any

from colearn_localnet.errors import NodeFailed


def tcp_address(host: str, port: int) -> str:
    """Return the multiaddress of a TCP port."""
    return f"/ip4/{host}/tcp/{port}"


def read_port(config: dict[str, Any], name: str) -> int | None:
    """Return the port of a server in a configuration; None if it is not set."""
    match = re.search(r"/tcp/(\d+)", str(config["Addresses"].get(name)))
    return int(match[1]) if match else None


def peer_entry(address: str) -> dict[str, Any]:
    """Return an entry for a peer in Kubo's configuration.

    Raises:
        NodeFailed: the address has no transport or no peer id.
    """
    transport, _, peer_id = address.rpartition("/p2p/")
    if not transport or not peer_id:
        raise NodeFailed(f"{address!r} is not a peer's address; expected /ip4/…/tcp/…/p2p/<id>")
    return {"ID": peer_id, "Addrs": [transport]}


PRIVATE: dict[str, Any] = {
    "AutoConf": {"Enabled": False},
    "AutoNAT": {"ServiceMode": "disabled"},
    "AutoTLS": {"Enabled": False},
    "Bootstrap": [],
    "DNS": {"Resolvers": {}},
    "Discovery": {"MDNS": {"Enabled": False}},
    "HTTPRetrieval": {"Enabled": False},
    "Internal": {"Bitswap": {"BroadcastControl": {"Enable": False}}},
    "Ipns": {"DelegatedPublishers": []},
    "Plugins": {"Plugins": {"telemetry": {"Config": {"Mode": "off"}}}},
    "Provide": {"Enabled": False},
    "Routing": {"Type": "none", "DelegatedRouters": []},
    "Swarm": {
        "ConnMgr": {"Type": "none"},
        "DisableNatPortMap": True,
        "EnableHolePunching": False,
        "RelayClient": {"Enabled": False},
        "RelayService": {"Enabled": False},
        "Transports": {
            "Network": {
                "QUIC": False,
                "Relay": False,
                "WebTransport": False,
                "WebRTCDirect": False,
                "Websocket": False,
            }
        },
    },
    "Version": {"SwarmCheckEnabled": False},
}
"""Configuration that keeps a node off the public network and limits it to its peers."""
