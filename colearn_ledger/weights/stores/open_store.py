"""Open the stores that a user specifies on a command line or in a file of networks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from colearn_ledger.weights.store import ContentStore
from colearn_ledger.weights.stores.addresses import StoreNotUsable, is_multiaddr
from colearn_ledger.weights.stores.directory import DirectoryStore
from colearn_ledger.weights.stores.gateway import GatewayStore
from colearn_ledger.weights.stores.kubo import KuboStore, ipfshttpclient_rpc
from colearn_ledger.weights.stores.layered import LayeredStore
from colearn_ledger.weights.stores.layers import Layer, Role
from colearn_ledger.weights.streams import Patience

_IPFSHTTPCLIENT = "ipfs+ipfshttpclient"

_FORMS = (
    "a folder (/path, ./path, ~/path or folder:path), an IPFS node (http://host:5001, https://… or "
    "/ip4/127.0.0.1/tcp/5001/http), a gateway (gateway:https://host), or several with commas"
)


def open_store(
    spec: str,
    *,
    owner: str = "default",
    tokens: Mapping[str, str] | None = None,
    patience: Patience | None = None,
) -> ContentStore:
    """Open the store or the list of stores that a string specifies.

    Args:
        spec: ``folder:/path`` or just ``/path``, ``http://127.0.0.1:5001``,
            ``/ip4/127.0.0.1/tcp/5001/http``, ``gateway:https://host``, or several of these
            separated by commas, in the order in which to read them. The prefix
            ``ipfs+ipfshttpclient:`` before a node's address selects the package ipfshttpclient.
        owner: name of the owner of the pins in folders.
        tokens: tokens by host name, for nodes and gateways that require one. They are not part of
            `spec`, because other users of the machine may be able to read it.
        patience: limits on waiting for nodes and gateways.

    Raises:
        StoreNotUsable: the text has none of these forms, or a package is missing.
        ContentNotStored: a folder cannot be written.
    """
    names = [name for part in spec.split(",") if (name := part.strip())]
    if not names:
        raise StoreNotUsable(f"no store is named; write {_FORMS}")
    layers = [_layer(name, owner, tokens or {}, patience) for name in names]
    return layers[0].store if len(layers) == 1 else LayeredStore(layers)


def _layer(name: str, owner: str, tokens: Mapping[str, str], patience: Patience | None) -> Layer:
    kind, _, rest = name.partition(":")
    if kind == "folder" and rest:
        return _folder(rest, owner)
    if kind == "gateway":
        gateway = GatewayStore(rest, token=tokens.get(_host(rest)), patience=patience)
        return Layer(f"gateway {_without_secrets(rest)}", gateway, Role.GATEWAY)
    if kind == _IPFSHTTPCLIENT:
        node = KuboStore(
            rest, token=tokens.get(_host(rest)), patience=patience, client=ipfshttpclient_rpc
        )
        return Layer(f"node {_without_secrets(rest)}", node, Role.NODE)
    if kind in ("http", "https") or is_multiaddr(name):
        node = KuboStore(name, token=tokens.get(_host(name)), patience=patience)
        return Layer(f"node {_without_secrets(name)}", node, Role.NODE)
    if name[0] in "/.~":
        return _folder(name, owner)
    raise StoreNotUsable(
        f"{ascii(_without_secrets(name))[:80]} does not name a store; write {_FORMS}"
    )


def _folder(path: str, owner: str) -> Layer:
    folder = Path(path).expanduser()
    return Layer(f"folder {folder}", DirectoryStore(folder, owner=owner), Role.FOLDER)


def _host(address: str) -> str:
    if is_multiaddr(address):
        return address.split("/")[2] if address.count("/") > 1 else ""
    try:
        return urlsplit(address).hostname or ""
    except ValueError:
        return ""


def _without_secrets(name: str) -> str:
    return name.rpartition("@")[2]
