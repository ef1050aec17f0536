"""Agents vote through a relay and serve metrics, on anvil."""

from __future__ import annotations

import json
import signal
import subprocess
import urllib.request
from pathlib import Path
from typing import Any

from colearn_ledger.keys.wallet import Wallet
from colearn_localnet.anvil import Anvil
from colearn_localnet.rpc import json_rpc
from tests.support.commands import COLEARN, run_json
from tests.support.real_chain import (  # noqa: F401 - fixtures among them
    NAMES,
    AgentProcess,
    chain,
    contract,
    create_experiment,
    home,
    share_arguments,
)
from tests.support.waiting import LIMIT


def count_transactions(chain: Anvil, number: int) -> int:  # noqa: F811
    """Return the number of transactions that an account has sent."""
    account = Wallet.from_key(chain.keys[number]).address
    return int(json_rpc(chain.url, "eth_getTransactionCount", account, "latest"), 16)


class RelayProcess:
    def __init__(self, reference: str) -> None:
        command = ("relay", "run", "--experiment", reference, "--key", "owner", "--port", "0")
        self.process = subprocess.Popen(
            [*COLEARN, *command, "--json"], stdout=subprocess.PIPE, text=True
        )

    def __enter__(self) -> str:
        assert self.process.stdout is not None
        started: dict[str, Any] = json.loads(self.process.stdout.readline())
        return str(started["url"])

    def __exit__(self, *_: object) -> None:
        self.process.send_signal(signal.SIGTERM)
        out, _ = self.process.communicate(timeout=LIMIT)
        self.code, self.end = self.process.returncode, json.loads(out.splitlines()[-1])


def test_agents_vote_through_the_second_relay_without_paying_gas(
    home: Path,  # noqa: F811
    chain: Anvil,  # noqa: F811
    contract: str,  # noqa: F811
):
    before = [count_transactions(chain, i + 1) for i in range(3)]
    reference = create_experiment(home)
    relay = RelayProcess(reference)
    with relay as url:
        more = ("--relay", "http://127.0.0.1:9", "--relay", url, "--monitor", "0")
        agents = [
            AgentProcess(reference, NAMES[i + 1], *more, *share_arguments(i)) for i in range(3)
        ]
        with agents[0], agents[1], agents[2]:
            monitor = agents[0].read_until("monitoring")["url"]
            with urllib.request.urlopen(f"{monitor}/metrics") as answer:
                assert b"colearn_agent_actions_total" in answer.read()
            ends = [agent.wait() for agent in agents]
    assert [code for code, _ in ends] == [0, 0, 0], ends

    history = run_json("history", reference)
    ballots = [ballot["ballot"] for round_ in history["rounds"] for ballot in round_["ballots"]]
    assert (ballots.count("cast"), ballots.count("proposer")) == (6, 3)
    assert (relay.code, relay.end["event"], relay.end["carried"]) == (0, "stopped", 6)
    for i, agent in enumerate(agents):
        events = [entry["event"] for entry in agent.log]
        assert events.count("voted") == 2
        paid = [e for e in events if e in ("joined", "proposed", "declined", "advanced")]
        assert count_transactions(chain, i + 1) - before[i] == len(paid)
