"""Long experiments on anvil, for `bench/audit.py`: made by signed transactions, and kept in files.

To make them quickly, several rounds share a block, in which falling fees give the transactions
their order. The weights are files of a few numbers.
"""

from __future__ import annotations

import gzip
import http.client
import json
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rlp
from coincurve import PrivateKey
from eth_utils.crypto import keccak

from colearn_ledger.calls import CREATE, JOIN, PROPOSE, VOTE, VOTE_SIGNED, Call
from colearn_ledger.chains.evm import EvmConfig, EvmLedger, EvmSenderConfig
from colearn_ledger.chains.evm.abi import load_artifact
from colearn_ledger.chains.evm.encoder import EvmEncoder
from colearn_ledger.history.reading import read_pages
from colearn_ledger.home import open_atomically, write_atomically
from colearn_ledger.keys.signing import sign_ballot
from colearn_ledger.keys.wallet import Wallet
from colearn_ledger.protocol import (
    MAX_PAGE,
    Account,
    Basis,
    ContentRef,
    ExperimentId,
    ExperimentParams,
    Scores,
    Status,
    Vote,
)
from colearn_ledger.protocol.hashes import experiment_hash, proposals_digest
from colearn_ledger.spec import ExperimentSpec
from colearn_ledger.weights.codec import write_weights
from colearn_ledger.weights.schema import WeightsSchema
from colearn_ledger.weights.stores.directory import DirectoryStore
from colearn_localnet.anvil import Anvil
from colearn_localnet.rpc import json_rpc

CHAIN = 31337
_WINDOW = 1_000_000
_FEE, _TIP, _ETHER = 10**13, 10**6, 10**18
_AT_ONCE = 100
"""Number of transactions in one request, and of signed ballots in one batch."""

_GAS = {CREATE: 1_000_000, JOIN: 300_000, PROPOSE: 400_000, VOTE: 1_000_000, VOTE_SIGNED: 2_600_000}
_SECONDS = 600.0  # to dump a chain
_ROUNDS_AT_ONCE = 8


_Call = tuple[Call, Sequence[Any], Wallet]
"""A call, its arguments, and the account that sends it."""


@dataclass(frozen=True, slots=True)
class Shape:
    """The size of an experiment.

    Args:
        rounds: number of rounds.
        learners: number of learners; all of them vote.
        proposers: number of proposers of each round.
        signed: whether one account submits the signed ballots of the others, in batches.
    """

    rounds: int
    learners: int
    proposers: int
    signed: bool

    @property
    def name(self) -> str:
        """Return the name of its folder."""
        ballots = "signed" if self.signed else "sent"
        return f"{self.rounds}-rounds-{self.learners}-learners-{self.proposers}-{ballots}"


class QuietAnvil(Anvil):
    """An anvil that starts from a state file and writes none, because a dump takes long."""

    def __init__(self, state: Path | None = None) -> None:
        super().__init__()
        self._loaded = state

    def _arguments(self) -> list[str]:
        loaded = [] if self._loaded is None else ["--load-state", str(self._loaded)]
        return [*super()._arguments(), *loaded]


@dataclass(frozen=True, slots=True)
class LongExperiment:
    """An experiment on a running anvil, the anvil's process id, and the store with its files."""

    url: str
    pid: int
    contract: Account
    id: ExperimentId
    store: DirectoryStore


@contextmanager
def open_experiment(shape: Shape, folder: Path) -> Iterator[LongExperiment]:
    """Yield an experiment, from the folder if an earlier run made it."""
    place = folder / shape.name
    state, found = place / "chain.json", place / "experiment.json"
    if not found.exists():
        shutil.rmtree(place, ignore_errors=True)  # what an interrupted run left
    store = DirectoryStore(place / "store", owner="bench")
    if not found.exists():
        print(f"making {shape.name} ...", file=sys.stderr, flush=True)
        with QuietAnvil() as anvil:
            made = _Maker(anvil, shape, place, store).run()
            dumped = json_rpc(anvil.url, "anvil_dumpState", False, seconds=_SECONDS)
            with open_atomically(state) as file:
                file.write(gzip.decompress(bytes.fromhex(dumped.removeprefix("0x"))))
            write_atomically(found, json.dumps(made).encode())
    made = json.loads(found.read_bytes())
    with QuietAnvil(state) as anvil:
        pid = anvil.process.pid
        yield LongExperiment(anvil.url, pid, made["contract"], made["experiment"], store)


class _Maker:
    """Makes one experiment."""

    def __init__(self, anvil: Anvil, shape: Shape, folder: Path, store: DirectoryStore) -> None:
        self._anvil, self._shape, self._folder, self._store = anvil, shape, folder, store
        self._connection = http.client.HTTPConnection(anvil.url.removeprefix("http://"))
        self._wallets = [
            Wallet.from_key((i + 1).to_bytes(32, "big")) for i in range(shape.learners)
        ]
        self._keys = {
            w.address: PrivateKey(bytes.fromhex(w.reveal_key()[2:])) for w in self._wallets
        }
        self._nonces = dict.fromkeys(self._keys, 0)
        self._encoder = EvmEncoder(load_artifact().abi)
        self._contract = b""
        self._id = ExperimentId(0)
        self._tensor = [np.zeros(4, np.float32)]

    def run(self) -> dict[str, Any]:
        """Play the whole experiment, and return where it is."""
        for wallet in self._wallets:
            self._ask("anvil_setBalance", [wallet.address, hex(10**6 * _ETHER)])
        first = self._wallets[0]
        sending = EvmSenderConfig(journal=self._folder / "sent")
        config = EvmConfig(chain_id=CHAIN, sending=sending, websocket="off")
        ledger = EvmLedger.deploy(self._anvil.url, first, config=config)
        params = self._make_params()
        self._id = ledger.create(params).wait(30).experiment
        self._nonces[first.address] = 2
        self._contract = bytes.fromhex(ledger.contract[2:])
        self._domain = ledger.domain
        self._ask("evm_setAutomine", [False])
        name = experiment_hash(first.address, params)
        joins = [(JOIN, (self._id, name, bytes(32)), wallet) for wallet in self._wallets]
        for start in range(0, len(joins), _AT_ONCE):
            self._make_block(joins[start : start + _AT_ONCE])
        self._order_by_index(ledger)
        at_once = 1 if self._shape.signed else _ROUNDS_AT_ONCE
        for first in range(0, self._shape.rounds, at_once):
            rounds = range(first, min(first + at_once, self._shape.rounds))
            self._make_block([call for index in rounds for call in self._play(index)])
            if sys.stderr.isatty() or first % 1_000 == 0:
                print(f"round {first}", end="\r", file=sys.stderr, flush=True)
        found = ledger.experiment(self._id)
        if (found.status, found.current_round) != (Status.COMPLETED, self._shape.rounds - 1):
            raise RuntimeError(f"the experiment was not played to its end: {found}")
        return {"contract": ledger.contract, "experiment": self._id, **asdict(self._shape)}

    def _order_by_index(self, ledger: EvmLedger) -> None:
        """Order the wallets as they joined, which is how they propose in turn."""
        rows = read_pages(lambda start: ledger.learners(self._id, start, MAX_PAGE))
        indexes = {row.account: row.index for row in rows}
        self._wallets.sort(key=lambda wallet: indexes[wallet.address])

    def _make_params(self) -> ExperimentParams:
        shape = self._shape
        spec = ExperimentSpec("toy", WeightsSchema.of(self._tensor), "score", True)
        return ExperimentParams(
            name="long",
            spec=spec.put(self._store),
            initial=write_weights(self._store, self._tensor),
            rounds=shape.rounds,
            min_learners=shape.learners,
            max_learners=shape.learners,
            propose_window=_WINDOW,
            vote_window=_WINDOW,
            proposers=shape.proposers,
        )

    def _play(self, index: int) -> Iterator[_Call]:
        """Yield the calls of a round."""
        shape, count = self._shape, self._shape.proposers
        proposers = [self._wallets[(index * count + k) % shape.learners] for k in range(count)]
        contents = [self._write(index * count + slot) for slot in range(count)]
        for wallet, content in zip(proposers, contents, strict=True):
            yield PROPOSE, (self._id, index, content, Scores(0.5, 0.25)), wallet
        digest = proposals_digest({slot: each.sha256 for slot, each in enumerate(contents)})
        voters = [w for w in self._wallets if count > 1 or w is not proposers[0]]
        scores = tuple(Scores(0.5, 0.25) for _ in range(count + 1))
        votes = [
            (w, Vote(sum(1 << slot for slot, p in enumerate(proposers) if p is not w), scores))
            for w in voters
        ]
        if not shape.signed:
            for wallet, vote in votes:
                yield VOTE, (self._id, index, digest, vote), wallet
            return
        basis = Basis(self._id, index, digest)
        ballots = [sign_ballot(wallet, self._domain, basis, vote) for wallet, vote in votes]
        for start in range(0, len(ballots), _AT_ONCE):
            some = ballots[start : start + _AT_ONCE]
            yield VOTE_SIGNED, (self._id, index, digest, some), self._wallets[0]

    def _write(self, number: int) -> ContentRef:
        return write_weights(self._store, [np.full(4, number + 1, np.float32)])

    # ------------------------------------------------------------------ transactions

    def _make_block(self, calls: Sequence[_Call]) -> None:
        raw = [self._sign(*each, place) for place, each in enumerate(calls)]
        for answer in self._post([("eth_sendRawTransaction", [each]) for each in raw]):
            if "result" not in answer:
                raise RuntimeError(f"a transaction was refused: {answer}")
        self._ask("evm_mine", [])
        found = int(self._ask("eth_getBlockTransactionCountByNumber", ["latest"]), 16)
        if found != len(raw):
            raise RuntimeError(f"{len(raw) - found} of {len(raw)} transactions were left out")

    def _sign(self, call: Call, arguments: Sequence[Any], wallet: Wallet, place: int) -> str:
        sender = wallet.address
        data = self._encoder.encode(call, arguments)
        nonce, self._nonces[sender] = self._nonces[sender], self._nonces[sender] + 1
        fields = [CHAIN, nonce, _TIP - place, _FEE - place, _GAS[call], self._contract, 0, data, []]
        digest = keccak(b"\x02" + rlp.encode(fields))
        signed = self._keys[sender].sign_recoverable(digest, hasher=None)
        r, s = (int.from_bytes(signed[at : at + 32], "big") for at in (0, 32))
        return "0x02" + rlp.encode([*fields, signed[64], r, s]).hex()

    def _ask(self, method: str, parameters: Sequence[Any]) -> Any:
        [answer] = self._post([(method, parameters)])
        return answer["result"]

    def _post(self, requests: Sequence[tuple[str, Sequence[Any]]]) -> list[dict[str, Any]]:
        body = [
            {"jsonrpc": "2.0", "id": number, "method": method, "params": list(parameters)}
            for number, (method, parameters) in enumerate(requests)
        ]
        headers = {"Content-Type": "application/json"}
        self._connection.request("POST", "/", json.dumps(body), headers)
        answers: list[dict[str, Any]] = json.loads(self._connection.getresponse().read())
        return answers
