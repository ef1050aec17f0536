"""Kubo's configuration for a small private swarm."""

from __future__ import annotations

import re
from typing import Any

from colearn_localnet.errors import NodeFailed

__all__ = ["PRIVATE", "peer_entry", "port_in", "tcp_address"]


def tcp_address(host: str, port: int) -> str:
    """Return the multiaddress of a TCP port."""
    return f"/ip4/{host}/tcp/{port}"


def port_in(config: dict[str, Any], name: str) -> int | None:
    """Return the port in a configuration that was written before."""
    match = re.search(r"/tcp/(\d+)", str(config["Addresses"].get(name)))
    return int(match[1]) if match else None


def peer_entry(address: str) -> dict[str, Any]:
    """Return a peer as Kubo's configuration has it.

    Raises:
        NodeFailed: the address has no transport or no peer id.
    """
    transport, _, peer_id = address.rpartition("/p2p/")
    if not transport or not peer_id:
        raise NodeFailed(f"{address!r} is no peer's address: /ip4/…/tcp/…/p2p/<id> is")
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
"""The parts of the configuration that keep a node off the public network and ask only its peers."""
