"""Measure the gas of each call of the protocol on a CosmWasm chain, from 3 to 10,000 learners.

Usage: .venv/bin/python bench/cosmos_gas.py [--learners 3,256,10000] [--dao-dao FOLDER] [--json]

The script starts a wasmd, stores the contract and runs an experiment of each size: all learners
join, one proposes, up to 64 vote, one transaction submits the signed ballots of up to 50 more, and
`advance` is called after the deadline. Gas is that of whole transactions in blocks, including the
signature and the bytes. One ballot is missing, so that no vote closes the round. The medians omit
the last join, which also starts the experiment.

For comparison, the same run measures the chain's bank send and, with --dao-dao, a vote in DAO DAO's
single-choice proposals by the same learners, as members of a cw4-group. The folder must contain
dao_dao_core.wasm, dao_voting_cw4.wasm, dao_proposal_single.wasm and cw4_group.wasm. Build them from
the crates of these names (2.6.0; cw4-group 1.1.2) with the options of scripts/build_cosmwasm.py.
dao-voting-cw4 links only if its dependency on cw4-group has the feature `library`.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import os
import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cosmpy.protos.cosmos.bank.v1beta1.bank_pb2 import Input, Output
from cosmpy.protos.cosmos.bank.v1beta1.tx_pb2 import MsgMultiSend
from cosmpy.protos.cosmos.base.v1beta1.coin_pb2 import Coin
from cosmpy.protos.cosmwasm.wasm.v1.tx_pb2 import MsgInstantiateContract
from google.protobuf.any_pb2 import Any as AnyMessage
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from colearn_ledger.calls import JOIN, PROPOSE, VOTE
from colearn_ledger.chains.cosmos import CosmosConfig, CosmosLedger, CosmosSenderConfig
from colearn_ledger.chains.cosmos.deployment import deploy_contract
from colearn_ledger.chains.cosmos.encoder import CosmosEncoder, Message
from colearn_ledger.chains.cosmos.node import Node
from colearn_ledger.chains.cosmos.records import Executed
from colearn_ledger.chains.cosmos.sender import Sender
from colearn_ledger.chains.cosmos.transactions import (
    Action,
    Signing,
    execute_action,
    pay_action,
    sign_transaction,
    store_action,
)
from colearn_ledger.keys.signing import sign_ballot
from colearn_ledger.keys.wallet import Wallet
from colearn_ledger.networks.cosmos_access import CosmosAccess
from colearn_ledger.protocol import (
    Account,
    ContentRef,
    ExperimentParams,
    Phase,
    Scores,
    Vote,
)
from colearn_localnet.cosmos import CosmosChain
from colearn_localnet.errors import NodeFailed
from colearn_localnet.rpc import json_rpc

BLOCK_TIME = 0.1
WINDOW = 30
"""Seconds for proposing and for voting, enough for all votes; `advance` waits as long."""

VOTERS, SIGNERS, SENDS = 64, 50, 5
"""Largest numbers of voters by transaction, relayed ballots and bank sends."""

FUNDS = 10_000_000
GAS = 500_000
"""Gas limit of a learner's transaction; the results are the gas used."""

CHUNK = 500
"""Most accounts paid or added as members by one transaction, and most pending transactions."""

PATIENCE = 60.0
DAO_DAO = ("cw4_group", "dao_voting_cw4", "dao_proposal_single", "dao_dao_core")
SCORES = Scores(0.25, 0.75)

Gas = dict[str, list[int]]
"""Gas of each transaction, by name of the call."""


@dataclass(slots=True)
class Learner:
    """An account with its key, its number on the chain and its next sequence number."""

    wallet: Wallet
    account: Account
    number: int = 0
    sequence: int = 0


class Bench:
    """A chain with the contract, an account that pays (the first one), and the learners' keys.

    Args:
        chain: a running chain.
        folder: folder for the journals.
        progress: shows the number of transactions in blocks.
    """

    def __init__(self, chain: CosmosChain, folder: Path, progress: Progress) -> None:
        self.chain, self.progress = chain, progress
        self.price = float(chain.gas_price.removesuffix(chain.denomination))
        terms = CosmosAccess(chain.grpc, chain.prefix, chain.denomination, self.price)
        sending = CosmosSenderConfig(journal=folder, gas_ceiling=200_000_000)
        config = CosmosConfig(chain_id=chain.chain_id, sending=sending, poll_seconds=0.02)
        self.bank = Wallet.from_key(chain.keys[0])
        self.payer = self.bank.cosmos_address(chain.prefix)
        self.node = Node(chain.grpc)
        self.sender = Sender(self.node, chain.chain_id, terms, sending)
        self.contract = deploy_contract(terms, self.bank, config=config, timeout=PATIENCE).contract
        self.ledger = CosmosLedger.connect(terms, self.contract, self.bank, config=config)
        self.learners: list[Learner] = []

    def pay_for(self, *actions: Action) -> Executed:
        """Send a transaction from the paying account and return it once it is in a block."""
        done = self.sender.wait(self.sender.send(self.bank, *actions), PATIENCE)
        if done.code:
            raise SystemExit(f"a transaction failed: {done.log}")
        return done

    def add_learners(self, count: int) -> None:
        """Create and fund learners until there are ``count``."""
        new = []
        for number in range(len(self.learners), count):
            wallet = Wallet.from_key(hashlib.sha256(f"bench {number}".encode()).digest())
            new.append(Learner(wallet, wallet.cosmos_address(self.chain.prefix)))
        task = self.progress.add_task("accounts", total=len(new))
        for part in split(new):
            self.pay_for(pay_many_action(self.payer, [one.account for one in part], self.chain))
            for learner in part:
                learner.number, _ = self.node.account(learner.account)
                self.progress.advance(task)
        self.learners += new

    def measure(self, what: str, group: Sequence[Learner], contract: Account, call: Message) -> Gas:
        """Send a message from each learner of a group and return the gas in the same order."""
        task = self.progress.add_task(what, total=len(group))
        gas: list[int] = []
        for part in split(group):
            height = self.chain.height()
            for learner in part:
                self._broadcast(learner, execute_action(learner.account, contract, call))
            for used in self._read_gas(height, len(part)):
                gas.append(used)
                self.progress.advance(task)
        return {what: gas}

    def _broadcast(self, learner: Learner, action: Action) -> None:
        chain, fee = self.chain, int(GAS * self.price) + 1
        order = (learner.number, learner.sequence)
        signing = Signing(chain.chain_id, *order, GAS, fee, chain.denomination)
        code, _, log = self.node.broadcast(sign_transaction(learner.wallet, (action,), signing))
        if code:
            raise SystemExit(f"a transaction was refused: {log}")
        learner.sequence += 1

    def _read_gas(self, height: int, count: int) -> Iterator[int]:
        """Yield the gas of the next ``count`` transactions in blocks above a height."""
        ends = time.monotonic() + PATIENCE
        while count:
            if time.monotonic() > ends:
                raise SystemExit(f"{count} transactions are not in a block")
            try:
                block = json_rpc(self.chain.rpc, "block_results", str(height + 1), seconds=60)
            except NodeFailed:  # no such block yet
                time.sleep(BLOCK_TIME / 4)
                continue
            height += 1
            for result in block["txs_results"] or []:
                ends = time.monotonic() + PATIENCE
                if result["code"]:
                    raise SystemExit(f"a transaction failed: {result['log']}")
                count -= 1
                yield int(result["gas_used"])


def split(learners: Sequence[Learner]) -> Iterator[Sequence[Learner]]:
    """Yield learners in chunks."""
    for start in range(0, len(learners), CHUNK):
        yield learners[start : start + CHUNK]


def pack(message: object) -> Action:
    """Return a message packed for a transaction."""
    action = AnyMessage()
    action.Pack(message, type_url_prefix="/")
    return bytes(action.SerializeToString(deterministic=True))


def pay_many_action(payer: Account, accounts: Sequence[Account], chain: CosmosChain) -> Action:
    """Return a payment to many accounts."""
    total = [Coin(amount=str(FUNDS * len(accounts)), denom=chain.denomination)]
    each = [Coin(amount=str(FUNDS), denom=chain.denomination)]
    outputs = [Output(address=account, coins=each) for account in accounts]
    return pack(MsgMultiSend(inputs=[Input(address=payer, coins=total)], outputs=outputs))


def content(text: str) -> ContentRef:
    """Return a content reference that is never fetched."""
    digest = hashlib.sha256(text.encode()).digest()
    return ContentRef.from_digest(0x55, digest, digest.hex(), len(text))


# ------------------------------------------------------------------------- measurements


def measure_sends(bench: Bench) -> Gas:
    """Measure payments between two existing accounts."""
    to, unit = bench.learners[0].account, bench.chain.denomination
    used = [bench.pay_for(pay_action(bench.payer, to, 1, unit)).gas_used for _ in range(SENDS)]
    return {"bank send": used}


def measure_experiment(bench: Bench, count: int) -> tuple[Gas, list[Learner]]:
    """Measure a round of an experiment; return its gas and the voters by transaction."""
    ledger, learners, vote = bench.ledger, bench.learners[:count], Vote(True, SCORES)
    params = ExperimentParams(
        name=f"{count} learners",
        spec=content("spec"),
        initial=content("initial"),
        rounds=2,
        min_learners=count,
        max_learners=count,  # starts when the last learner has joined
        propose_window=WINDOW,
        vote_window=WINDOW,
    )
    number = ledger.create(params).wait(PATIENCE).experiment
    encode = CosmosEncoder().encode

    def send(what: str, group: Sequence[Learner], call: Message) -> Gas:
        return bench.measure(what, group, bench.contract, call)

    gas = send("join", learners, encode(JOIN, (number, hashlib.sha256(b"key").digest())))
    gas["join"].pop()
    by = {learner.account: learner for learner in learners}
    proposer = by[ledger.round(number, 0).proposer]
    gas |= send("propose", [proposer], encode(PROPOSE, (number, 0, content("weights"), SCORES)))
    rest = [learner for learner in learners if learner is not proposer][1:]
    voters, signers = rest[:VOTERS], rest[VOTERS : VOTERS + SIGNERS]
    gas |= send("vote", voters, encode(VOTE, (number, 0, vote)))
    gas["vote_signed, per ballot"] = []
    if signers:
        ballots = [sign_ballot(one.wallet, ledger.domain, number, 0, vote) for one in signers]
        carried = ledger.vote_signed(number, 0, ballots).wait(PATIENCE)
        gas["vote_signed, per ballot"].append(carried.cost // len(signers))
    found = ledger.round(number, 0)
    if found.phase != Phase.VOTING or found.approvals != len(voters) + len(signers):
        raise SystemExit(f"not every ballot was counted in time: raise WINDOW; {found}")
    while ledger.now() < (found.deadline or 0):
        ledger.wait_for_change(1.0)
    gas["advance"] = [ledger.advance(number).wait(PATIENCE).cost]
    return gas, voters


class DaoDao:
    """DAO DAO's contracts, stored on a chain.

    Args:
        bench: the chain and the learners.
        folder: folder with the four wasm files.
    """

    def __init__(self, bench: Bench, folder: Path) -> None:
        self.bench = bench
        self.codes: dict[str, int] = {}
        for name in DAO_DAO:
            done = bench.pay_for(store_action(bench.payer, (folder / f"{name}.wasm").read_bytes()))
            found = [dict(e.attributes) for e in done.events if e.type == "store_code"]
            self.codes[name] = int(found[0]["code_id"])

    def create(self, name: str, message: Mapping[str, Any]) -> dict[str, Account]:
        """Create a contract and return the addresses of all contracts created, by name."""
        text = json.dumps(message).encode()
        action = MsgInstantiateContract(
            sender=self.bench.payer, code_id=self.codes[name], label=name, msg=text
        )
        done = self.bench.pay_for(pack(action))
        found = [dict(e.attributes) for e in done.events if e.type == "instantiate"]
        at = {int(one["code_id"]): Account(one["_contract_address"]) for one in found}
        return {name: at[code] for name, code in self.codes.items() if code in at}

    def module(self, name: str, message: Mapping[str, Any]) -> dict[str, Any]:
        """Return the core contract's instruction to create another contract."""
        text = base64.b64encode(json.dumps(message).encode()).decode()
        return {"code_id": self.codes[name], "msg": text, "funds": [], "label": name}

    def create_dao(self, count: int) -> Account:
        """Create a DAO with the first learners as members and return its proposal contract."""
        bench = self.bench
        group = self.create("cw4_group", {"admin": bench.payer, "members": []})["cw4_group"]
        task = bench.progress.add_task("DAO DAO's members", total=count)
        for part in split(bench.learners[:count]):
            add = [{"addr": learner.account, "weight": 1} for learner in part]
            message = {"update_members": {"remove": [], "add": add}}
            bench.pay_for(execute_action(bench.payer, group, message))
            bench.progress.advance(task, len(part))
        proposing = {
            "threshold": {"absolute_percentage": {"percentage": {"majority": {}}}},
            "max_voting_period": {"time": 86_400},
            "only_members_execute": True,
            "allow_revoting": False,
            "pre_propose_info": {"anyone_may_propose": {}},
            "close_proposal_on_execution_failure": True,
        }
        voting = {"group_contract": {"existing": {"address": group}}}
        core = {
            "name": "bench",
            "description": "bench",
            "automatically_add_cw20s": False,
            "automatically_add_cw721s": False,
            "voting_module_instantiate_info": self.module("dao_voting_cw4", voting),
            "proposal_modules_instantiate_info": [self.module("dao_proposal_single", proposing)],
        }
        return self.create("dao_dao_core", core)["dao_proposal_single"]

    def measure(self, count: int, voters: Sequence[Learner]) -> Gas:
        """Measure a proposal and votes on it by the same learners."""
        contract, bench = self.create_dao(count), self.bench
        proposal = {"title": "weights", "description": content("weights").cid, "msgs": []}
        name = "DAO DAO's propose"
        gas = bench.measure(name, bench.learners[:1], contract, {"propose": proposal})
        vote = {"vote": {"proposal_id": 1, "vote": "yes"}}
        return gas | bench.measure("DAO DAO's vote", voters, contract, vote)


# ------------------------------------------------------------------------- results


def make_table(found: Mapping[int, Gas]) -> Table:
    """Return a table of the medians, with one column for each number of learners."""
    shown = Table("call", title="gas, median")
    for count in found:
        shown.add_column(f"{count:,} learners", justify="right")
    for name in dict.fromkeys(name for gas in found.values() for name in gas):
        cells = [gas.get(name) for gas in found.values()]
        shown.add_row(name, *(f"{statistics.median(c):,.0f}" if c else "-" for c in cells))
    return shown


def parse_numbers(text: str) -> list[int]:
    """Parse an option's numbers of learners."""
    found = [int(part) for part in text.split(",")]
    if not all(3 <= number <= 10_000 for number in found):
        raise argparse.ArgumentTypeError("3 to 10,000 learners, as in 3,256,10000")
    return found


def main() -> None:
    """Measure and print the gas."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--learners", type=parse_numbers, default=[3, 256, 10_000])
    parser.add_argument("--dao-dao", type=Path, metavar="FOLDER", help="folder of its four modules")
    parser.add_argument("--json", action="store_true", help="print each transaction's gas")
    options = parser.parse_args()
    for name in DAO_DAO if options.dao_dao else ():
        if not (options.dao_dao / f"{name}.wasm").is_file():
            parser.error(f"{options.dao_dao} has no {name}.wasm: see the start of this file")
    load, began = os.getloadavg()[0], time.monotonic()
    found: dict[int, Gas] = {}
    with (
        tempfile.TemporaryDirectory() as folder,
        CosmosChain(Path(folder) / "chain", block_time=BLOCK_TIME) as chain,
        Progress(console=Console(stderr=True)) as progress,
    ):
        bench = Bench(chain, Path(folder) / "sent", progress)
        dao_dao = DaoDao(bench, options.dao_dao) if options.dao_dao else None
        for count in options.learners:
            bench.add_learners(count)
            found[count], voters = measure_experiment(bench, count)
            if dao_dao:
                found[count] |= dao_dao.measure(count, voters)
            found[count] |= measure_sends(bench)
    loads = [round(load, 1), round(os.getloadavg()[0], 1)]
    if options.json:
        print(json.dumps({"load": loads, "cores": os.cpu_count(), "gas": found}))
        return
    votes = [statistics.median(gas["vote"]) for gas in found.values()]
    show = Console(highlight=False).print
    show(make_table(found))
    show(f"the gas of a vote differs by up to {max(votes) / min(votes) - 1:.2%} between columns")
    took = f"{time.monotonic() - began:.0f} s on {os.cpu_count()} cores"
    show(f"{took}, load {loads[0]} before and {loads[1]} after")


if __name__ == "__main__":
    main()
