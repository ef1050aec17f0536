"""Compute an experiment's current weights independently, without code of this project.

The contract is read by web3, or over a Cosmos chain's REST server. The files come from the HTTP
gateway of an IPFS node. Merging follows docs/weights.md. Prints the file's sha256 and its size.

Usage: python compute_current_weights.py evm ABI_FILE NODE_URL CONTRACT EXPERIMENT GATEWAY_URL
       python compute_current_weights.py cosmos REST_URL CONTRACT EXPERIMENT GATEWAY_URL
"""

import base64
import hashlib
import json
import sys
from pathlib import Path
from urllib.parse import quote
from urllib.request import urlopen

import ml_dtypes
import numpy as np
import safetensors
from safetensors.numpy import save

TIMEOUT = 60  # seconds
MAX_HEADER = 4 * 2**20  # bytes
DTYPES = {
    **{f"F{bits}": np.dtype(f"<f{bits // 8}") for bits in (16, 32, 64)},
    **{f"I{bits}": np.dtype(f"<i{bits // 8}") for bits in (8, 16, 32, 64)},
    **{f"U{bits}": np.dtype(f"<u{bits // 8}") for bits in (8, 16, 32, 64)},
    "BOOL": np.dtype(bool),
    "BF16": np.dtype(ml_dtypes.bfloat16),
    "F8_E4M3": np.dtype(ml_dtypes.float8_e4m3fn),
    "F8_E5M2": np.dtype(ml_dtypes.float8_e5m2),
}
UNUSABLE = (KeyError, TypeError, ValueError, safetensors.SafetensorError)
"""Errors that reading a defective file raises."""


# ------------------------------------------------------------------ the contract


def make_reference(codec, digest, sha256, size):
    """Return a content reference as the header of a merged file lists it."""
    cid = base64.b32encode(bytes([1, codec, 18, 32]) + digest).decode().lower().rstrip("=")
    return {"cid": f"b{cid}", "sha256": sha256.hex(), "size": int(size)}


def read_evm(abi_file, url, address, number):
    """Return the references of the specification and of the current files, and their round."""
    from web3 import Web3

    abi = json.loads(Path(abi_file).read_text())["abi"]
    contract = Web3(Web3.HTTPProvider(url)).eth.contract(address, abi=abi, decode_tuples=True)
    view = contract.functions.experiment(int(number)).call()
    files = contract.functions.currentWeights(int(number)).call()
    return make_reference(*view.params.spec), [make_reference(*f) for f in files], view.currentRound


def read_cosmos(rest, address, number):
    """Return the references of the specification and of the current files, and their round."""

    def ask(query):
        text = base64.b64encode(json.dumps({query: {"experiment": number}}).encode()).decode()
        url = f"{rest}/cosmwasm/wasm/v1/contract/{address}/smart/{quote(text, safe='')}"
        with urlopen(url, timeout=TIMEOUT) as answer:
            return json.load(answer)["data"]

    def convert(content):
        digest, sha256 = (base64.b64decode(content[name]) for name in ("digest", "sha256"))
        return make_reference(content["codec"], digest, sha256, content["size"])

    view, files = ask("experiment"), ask("current_weights")["contents"]
    return convert(view["params"]["spec"]), [convert(f) for f in files], view["current_round"]


# ------------------------------------------------------------------ the files


def fetch(gateway, reference):
    """Return a file after comparing it with its reference."""
    with urlopen(f"{gateway}/ipfs/{reference['cid']}", timeout=TIMEOUT) as answer:
        data = answer.read()
    found = hashlib.sha256(data).hexdigest(), len(data)
    if found != (reference["sha256"], reference["size"]):
        raise SystemExit(f"{reference['cid']} is another file: {found}")
    return data


def find_texts(node, path=()):
    """Yield the names of the tensors that are strings."""
    if node == "str":
        escaped = [key.replace("~", "~0").replace("/", "~1") for key in path]
        name = "/".join(escaped) if path else "weights"
        yield "~" + name if name == "__metadata__" else name
    elif isinstance(node, dict):
        [(kind, items)] = node.items()
        pairs = items if kind == "dict" else [(str(i), item) for i, item in enumerate(items)]
        for key, child in pairs:
            yield from find_texts(child, (*path, key))


def read_tensors(data, schema):
    """Return a file's tensors by name; raise one of `UNUSABLE` if it has to be left out."""
    length = int.from_bytes(data[:8], "little")
    if len(data) > schema["max_bytes"] or length > MAX_HEADER:
        raise ValueError("too large")
    header = json.loads(data[8 : 8 + length])
    info = json.loads(header.pop("__metadata__")["colearn"])
    if info["version"] != 1 or info["structure"] != schema["structure"]:
        raise ValueError("another structure")
    if set(header) != set(schema["tensors"]):
        raise ValueError("other tensors")
    tensors = {}
    for name, tensor in safetensors.deserialize(data):
        wanted = schema["tensors"][name]
        lengths = [None if n is None else m
                   for n, m in zip(wanted["shape"], tensor["shape"], strict=True)]  # fmt: skip
        if tensor["dtype"] != wanted["dtype"] or lengths != wanted["shape"]:
            raise ValueError(f"{name} does not match the schema")
        if tensor["dtype"] == "BOOL" and max(tensor["data"], default=0) > 1:
            raise ValueError(f"{name} has a boolean that is neither 0 nor 1")
        array = np.frombuffer(tensor["data"], DTYPES[tensor["dtype"]]).reshape(tensor["shape"])
        if not np.isfinite(array.astype(np.float64)).all():
            raise ValueError(f"{name} is not finite")
        tensors[name] = array
    for name in find_texts(schema["structure"]):
        tensors[name].tobytes().decode("utf-8")
    return tensors


def compute_mean(arrays):
    """Return the mean of arrays in slot order; what is not floating is the first array's."""
    first = arrays[0]
    if first.dtype.kind in "biu":
        return first
    total = np.zeros(first.shape, np.float64)
    total[...] = first
    with np.errstate(over="ignore"):
        for array in arrays[1:]:
            total[...] = total + array.astype(np.float64)
        total[...] = total / len(arrays)
        if first.dtype == np.float64:
            return np.clip(total, -sys.float_info.max, sys.float_info.max)
        return np.asarray(total.astype(np.float32)).astype(first.dtype)


def merge(files, schema, index):
    """Return the current weights as a file.

    Args:
        files: reference and bytes of each accepted file, in slot order.
        schema: the schema in the experiment's specification.
        index: the round in which they were accepted.
    """
    if len(files) == 1:
        return files[0][1]
    usable = []
    for reference, data in files:
        try:
            usable.append((reference, data, read_tensors(data, schema)))
        except UNUSABLE as error:
            print(f"left out {reference['cid']}: {error}", file=sys.stderr)
    if not usable:
        raise SystemExit("none of the accepted files is usable")
    if len(usable) == 1:
        return usable[0][1]
    trees = [tensors for _, _, tensors in usable]
    merged = {name: compute_mean([tree[name] for tree in trees]) for name in trees[0]}
    info = {
        "merged": {"contents": [reference for reference, _, _ in usable], "round": index},
        "structure": schema["structure"],
        "summary": None,
        "version": 1,
    }
    text = json.dumps(info, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return save({name: np.asarray(a, order="C") for name, a in merged.items()}, {"colearn": text})


def main(kind, *arguments):
    *place, gateway = arguments
    spec, references, stored_round = {"evm": read_evm, "cosmos": read_cosmos}[kind](*place)
    index = stored_round - 1 if kind == "evm" else stored_round  # the EVM stores 0 for none
    schema = json.loads(fetch(gateway, spec))["weights"]
    files = [(each, fetch(gateway, each)) for each in references]
    data = merge(files, schema, index)
    print(hashlib.sha256(data).hexdigest(), len(data))


if __name__ == "__main__":
    main(*sys.argv[1:])
