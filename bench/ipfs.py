"""Compare a store with the node's plain RPC: 100 MB up and down, in one run.

Usage: .venv/bin/python bench/ipfs.py [--megabytes 100] [--rounds 11]

The script starts two Kubo nodes in a private swarm. Each round adds and reads a new file in two
ways, in changing order: with http.client (``add`` with the same options; ``cat`` of a file from the
other store) and with `KuboStore` (put and pin; get, verified by CID and sha256). The script prints
medians. The ratio is the median of the ratios of the rounds; both parts of each ratio ran one after
the other under the same load. An agent computes the reference of its weights before sending them,
to find out whether training changed anything. The line ``reference`` shows the speed of this, and
the next line is the sum. Node and client share the machine, so our work slows the node down if it
uses all cores. The peak memory is measured in a separate process, which puts weights that are
already in its memory, or fetches them.
"""

from __future__ import annotations

import argparse
import http.client
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.parse
from collections.abc import Callable, Iterator
from pathlib import Path

from colearn_learner.agent.progress import FileInPieces
from colearn_ledger.protocol import ContentRef
from colearn_ledger.weights.stores.kubo import KuboStore
from colearn_ledger.weights.unixfs import content_of
from colearn_localnet.kubo import Kubo

ROOT = Path(__file__).resolve().parent.parent

BLOCK = 262_144
OPTIONS = "cid-version=1&raw-leaves=true&chunker=size-262144&pin=true&progress=false"


def plain_add(url: str, data: bytes) -> None:
    """Add a file like a simple client: as multipart in chunks, without hashing."""
    connection = http.client.HTTPConnection(urllib.parse.urlsplit(url).netloc)
    head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n'

    def body() -> Iterator[bytes]:
        yield head
        view = memoryview(data)
        for start in range(0, len(data), BLOCK):
            yield view[start : start + BLOCK]  # type: ignore[misc]
        yield b"\r\n--b--\r\n"

    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    length = len(head) + len(data) + len(b"\r\n--b--\r\n")
    headers["Content-Length"] = str(length)
    connection.request("POST", f"/api/v0/add?{OPTIONS}", body=body(), headers=headers)
    answer = connection.getresponse()
    if answer.status != 200 or b"bafy" not in answer.read():
        raise SystemExit("the plain add failed")
    connection.close()


def plain_cat(url: str, cid: str, size: int) -> None:
    """Read a file into memory without hashing."""
    connection = http.client.HTTPConnection(urllib.parse.urlsplit(url).netloc)
    connection.request("POST", f"/api/v0/cat?arg={cid}")
    answer = connection.getresponse()
    data = bytearray()
    while piece := answer.read(BLOCK):
        data += piece
    if len(data) != size:
        raise SystemExit("the plain cat failed")
    connection.close()


def store_add(store: KuboStore, data: bytes, content: ContentRef) -> None:
    """Put and pin a file, as an agent does."""
    store.put(FileInPieces(data, content, lambda _: None))
    store.pin(content)


def store_cat(store: KuboStore, content: ContentRef) -> None:
    """Read a file into memory and verify it, as an agent does."""
    data = bytearray()
    with store.get(content, max_size=content.size) as pieces:
        for piece in pieces:
            data += piece


def measure_seconds(act: Callable[[], object]) -> float:
    """Run an operation and return its duration in seconds."""
    began = time.perf_counter()
    act()
    return time.perf_counter() - began


def measure_operations(node: Kubo, size: int, rounds: int) -> dict[str, list[float]]:
    """Return the durations of each operation in seconds, by its name."""
    store = KuboStore(node.api)
    names = ("reference", "add", "plain add", "get", "plain cat")
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for number in range(rounds + 1):
        one, other = os.urandom(size), os.urandom(size)
        began = time.perf_counter()
        content = content_of(one)
        seconds["reference"].append(time.perf_counter() - began)
        adds = [
            ("add", lambda one=one, c=content: store_add(store, one, c)),
            ("plain add", lambda other=other: plain_add(node.api_url, other)),
        ]
        for name, act in adds[:: 1 if number % 2 else -1]:
            seconds[name].append(measure_seconds(act))
        gets = [
            ("get", lambda c=content: store_cat(store, c)),
            ("plain cat", lambda c=content: plain_cat(node.api_url, c.cid, size)),
        ]
        for name, act in gets[:: 1 if number % 2 else -1]:
            seconds[name].append(measure_seconds(act))
    return {name: values[1:] for name, values in seconds.items()}  # skip the first round, a warm-up


PEAK = """
import os, sys
sys.path.insert(0, sys.argv[1])
from colearn_ledger.weights.stores.kubo import KuboStore
from colearn_learner.agent.progress import FileInPieces
from colearn_ledger.weights.unixfs import content_of
store, size, what = KuboStore(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
store.put([b"warm"])
data = bytearray()
if what == "put":
    data += b"".join(os.urandom(1 << 20) for _ in range(size >> 20))
    data = bytes(data)
open("/proc/self/clear_refs", "w").write("5")  # reset the peak
status = lambda name: next(int(l.split()[1]) * 1024 for l in open("/proc/self/status") if name in l)
before = status("VmRSS")
if what == "put":
    content = content_of(data)
    store.put(FileInPieces(data, content, lambda _: None))
    store.pin(content)
    print(status("VmHWM") - before)
else:
    from colearn_ledger.protocol import ContentRef
    content = ContentRef(*sys.argv[5:7], int(sys.argv[7]))
    with store.get(content, max_size=content.size) as pieces:
        for piece in pieces:
            data += piece
    print(status("VmHWM") - before - len(data))
"""


def measure_peak(node: Kubo, size: int, what: str, content: ContentRef | None = None) -> float:
    """Return a process's peak memory in addition to the weights, in megabytes."""
    reference = [content.cid, content.sha256, str(content.size)] if content else []
    run = subprocess.run(
        [sys.executable, "-c", PEAK, str(ROOT), node.api, str(size), what, *reference],
        capture_output=True,
        text=True,
        check=True,
    )
    return int(run.stdout) / 1e6


def main() -> int:
    """Measure and print the times, and return the exit status."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--megabytes", type=int, default=100)
    arguments.add_argument("--rounds", type=int, default=11)
    options = arguments.parse_args()
    size = options.megabytes * 1_000_000
    before = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder, Kubo(Path(folder) / "repo") as node:
        seconds = measure_operations(node, size, options.rounds)
        rates = {k: size / 1e6 / statistics.median(v) for k, v in seconds.items()}
        content = KuboStore(node.api).put([os.urandom(size)])
        peaks = {
            "put + pin": measure_peak(node, size, "put"),
            "get": measure_peak(node, size, "get", content),
        }
    load = f"load average {before:.1f} before, {os.getloadavg()[0]:.1f} after"
    print(f"{options.megabytes} MB, {options.rounds} rounds, {os.cpu_count()} cores, {load}")
    good = True
    for ours, plain, label in (("add", "plain add", "put + pin"), ("get", "plain cat", "get")):
        ratio = statistics.median(p / o for o, p in zip(seconds[ours], seconds[plain], strict=True))
        good = good and ratio >= 0.8 and peaks[label] < 100
        print(
            f"{label:10} {rates[ours]:6.0f} MB/s   {plain} {rates[plain]:6.0f} MB/s"
            f"   ratio {ratio:4.0%}   memory above the weights {peaks[label]:5.1f} MB"
        )
    both = [r + a for r, a in zip(seconds["reference"], seconds["add"], strict=True)]
    ratio = statistics.median(p / b for b, p in zip(both, seconds["plain add"], strict=True))
    print(f"reference  {rates['reference']:6.0f} MB/s")
    whole = size / 1e6 / statistics.median(both)
    print(f"reference, put + pin {whole:6.0f} MB/s   ratio {ratio:4.0%}")
    print("aims reached: 80 % and under 100 MB" if good else "aims MISSED: 80 % and under 100 MB")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
