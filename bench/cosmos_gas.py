"""Measure the gas of each call of the protocol on a CosmWasm chain, from 3 to 10,000 learners.

Usage: .venv/bin/python bench/cosmos_gas.py [--learners 3,256,10000] [--proposers 1]
                                            [--dao-dao FOLDER] [--json]

The script starts a wasmd, stores the contract and runs an experiment of each size: all learners
join, one or --proposers propose, up to 64 vote, one transaction submits the signed ballots of up to
50 more, and
`advance` is called after the deadline. The calls that are rarely made are measured with three
learners. Gas is that of whole transactions in blocks, including the
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
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from cosmpy.protos.cosmwasm.wasm.v1.tx_pb2 import MsgInstantiateContract
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from bench.cosmos_bench import (
    BLOCK_TIME,
    PATIENCE,
    Bench,
    Gas,
    Learner,
    content,
    pack,
    pay_many_action,
    split,
)
from colearn_ledger.calls import JOIN, PROPOSE, VOTE
from colearn_ledger.chains.cosmos.deployment import instantiate_contract
from colearn_ledger.chains.cosmos.encoder import CosmosEncoder, Message
from colearn_ledger.chains.cosmos.transactions import (
    execute_action,
    pay_action,
    store_action,
)
from colearn_ledger.keys.signing import sign_ballot
from colearn_ledger.keys.wallet import Wallet
from colearn_ledger.ledger import LedgerView, Pending, Receipt
from colearn_ledger.protocol import (
    Account,
    Admission,
    Basis,
    ExperimentId,
    ExperimentParams,
    Phase,
    Scores,
    Vote,
    commitment_hash,
)
from colearn_localnet.cosmos import CosmosChain

WINDOW = 30
"""Seconds for proposing and for voting, enough for all votes; `advance` waits as long."""

MISSED = 2
"""Seconds for proposing where the proposer misses its turn."""

VOTERS, SIGNERS, SENDS = 64, 50, 5
"""Largest numbers of voters by transaction, relayed ballots and bank sends."""

DAO_DAO = ("cw4_group", "dao_voting_cw4", "dao_proposal_single", "dao_dao_core")
SCORES = Scores(0.25, 0.75)
KEY = hashlib.sha256(b"key").digest()


# ------------------------------------------------------------------------- measurements


def wait_until(ledger: LedgerView, deadline: int | None) -> None:
    """Wait until a deadline has passed on the chain."""
    while ledger.now() < (deadline or 0):
        ledger.wait_for_change(1.0)


def digest_of(ledger: LedgerView, experiment: ExperimentId, index: int) -> bytes:
    """Return the digest of a round's proposals."""
    digest = ledger.round(experiment, index).proposals
    if digest is None:
        raise SystemExit("the round has no proposals: raise WINDOW")
    return digest


def measure_sends(bench: Bench) -> Gas:
    """Measure payments between two existing accounts."""
    to, unit = bench.learners[0].account, bench.chain.denomination
    used = [bench.pay_for(pay_action(bench.payer, to, 1, unit)).gas_used for _ in range(SENDS)]
    return {"bank send": used}


def measure_experiment(bench: Bench, count: int, proposers: int) -> tuple[Gas, list[Learner]]:
    """Measure a round of an experiment; return its gas and the voters by transaction."""
    ledger, learners = bench.ledger, bench.learners[:count]
    proposers = min(proposers, count - 2)  # the others vote
    params = ExperimentParams(
        name=f"{count} learners",
        spec=content("spec"),
        initial=content("initial"),
        rounds=2,
        min_learners=count,
        max_learners=count,  # starts when the last learner has joined
        propose_window=WINDOW,
        vote_window=WINDOW,
        proposers=proposers,
    )
    number = ledger.create(params).wait(PATIENCE).experiment
    encode, known = CosmosEncoder().encode, ledger.experiment(number).hash

    def send(what: str, group: Sequence[Learner], call: Message) -> Gas:
        return bench.measure(what, group, bench.contract, call)

    gas = send("join", learners, encode(JOIN, (number, known, KEY)))
    gas["join"].pop()
    by = {learner.account: learner for learner in learners}
    selected = [by[slot.proposer] for slot in ledger.round(number, 0).slots]
    gas |= send("propose", selected, encode(PROPOSE, (number, 0, content("weights"), SCORES)))
    rest = [learner for learner in learners if learner not in selected][1:]
    voters, signers = rest[:VOTERS], rest[VOTERS : VOTERS + SIGNERS]
    digest = digest_of(ledger, number, 0)
    vote = Vote((1 << proposers) - 1, (SCORES,) * (1 + proposers))
    gas |= send("vote", voters, encode(VOTE, (number, 0, digest, vote)))
    gas["vote_signed, per ballot"] = []
    if signers:
        basis = Basis(number, 0, digest)
        ballots = [sign_ballot(one.wallet, ledger.domain, basis, vote) for one in signers]
        carried = ledger.vote_signed(number, 0, digest, ballots).wait(PATIENCE)
        gas["vote_signed, per ballot"].append(carried.cost // len(signers))
    found = ledger.round(number, 0)
    if found.phase != Phase.VOTING or found.ballots != len(voters) + len(signers):
        raise SystemExit(f"not every ballot was counted in time: raise WINDOW; {found}")
    wait_until(ledger, found.deadline)
    gas["advance"] = [ledger.advance(number).wait(PATIENCE).cost]
    return gas, voters


def measure_rarer_calls(bench: Bench) -> Gas:
    """Measure the calls that are rarely made, in two experiments with few learners."""
    wallets = [Wallet.from_key(hashlib.sha256(f"rare {i}".encode()).digest()) for i in range(4)]
    accounts = [wallet.cosmos_address(bench.chain.prefix) for wallet in wallets]
    bench.pay_for(pay_many_action(bench.payer, accounts, bench.chain))
    views = {
        account: bench.ledger.acting_for(wallet)
        for account, wallet in zip(accounts, wallets, strict=True)
    }
    deployed = instantiate_contract(bench.node, bench.sender, bench.bank, code=bench.code)
    gas: Gas = {"instantiate": [deployed.cost]}

    def measure(name: str, pending: Pending) -> Receipt:
        receipt = pending.wait(PATIENCE)
        gas.setdefault(name, []).append(receipt.cost)
        return receipt

    params = ExperimentParams(
        name="rarer calls",
        spec=content("spec"),
        initial=content("initial"),
        rounds=2,
        min_learners=3,
        max_learners=10,
        propose_window=WINDOW,
        vote_window=WINDOW,
        reveal_window=WINDOW,
        admission=Admission.ALLOWLIST,
    )
    ledger = bench.ledger
    number = measure("create", ledger.create(params)).experiment
    measure("admit, 1 account", ledger.admit(number, accounts[:1]))
    measure("admit, 3 accounts", ledger.admit(number, accounts[1:]))
    known = ledger.experiment(number).hash
    for view in views.values():
        view.join(number, known).wait(PATIENCE)
    measure("leave", views[accounts[3]].leave(number))
    measure("start", ledger.start(number))
    measure("decline", views[ledger.round(number, 0).slots[0].proposer].decline(number, 0))
    proposer = ledger.round(number, 1).slots[0].proposer
    views[proposer].propose(number, 1, content("weights"), SCORES).wait(PATIENCE)
    voters, vote, salt = [a for a in accounts[:3] if a != proposer], Vote(1, (SCORES,) * 2), KEY
    basis = Basis(number, 1, digest_of(ledger, number, 1))
    for voter in voters:
        sealed = commitment_hash(ledger.domain, basis, voter, vote, salt)
        measure("commit", views[voter].commit(number, 1, basis.proposals, sealed))
    for voter in voters:
        measure("reveal", views[voter].reveal(number, 1, vote, salt))

    params = replace(params, admission=Admission.OPEN, max_strikes=1, propose_window=MISSED)
    number = ledger.create(params).wait(PATIENCE).experiment
    known = ledger.experiment(number).hash
    for account in accounts[:3]:
        views[account].join(number, known).wait(PATIENCE)
    measure("set_encryption_key", views[accounts[0]].set_encryption_key(number, KEY))
    measure("announce", views[accounts[0]].announce(number, "keys", content("keys")))
    ledger.start(number).wait(PATIENCE)
    missing = ledger.round(number, 0).slots[0].proposer
    wait_until(ledger, ledger.round(number, 0).deadline)
    ledger.advance(number).wait(PATIENCE)
    measure("remove", ledger.remove(number, missing))
    measure("cancel", ledger.cancel(number))
    return gas


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
    parser.add_argument("--proposers", type=int, choices=range(1, 17), default=1, metavar="1-16")
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
            found[count], voters = measure_experiment(bench, count, options.proposers)
            if dao_dao:
                found[count] |= dao_dao.measure(count, voters)
            found[count] |= measure_sends(bench)
        found[options.learners[0]] |= measure_rarer_calls(bench)
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
