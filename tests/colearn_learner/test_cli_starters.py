"""What `colearn learner new` writes runs on anvil, with an agent for each learner."""

# ruff: noqa: F811 - fixtures are imported, and are parameters
from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pytest

from colearn_learner.starters import STARTERS
from tests.support.commands import colearn, run_json
from tests.support.real_chain import (  # noqa: F401 - fixtures among them
    AgentProcess,
    chain,
    contract,
    home,
)


@pytest.mark.parametrize("kind", STARTERS)
def test_new_learner_and_its_experiment_run_on_a_chain(
    home: Path, contract: str, kind: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(home)
    module = f"chain_{kind}"  # a new one each time, as Python keeps modules that it loaded
    made = colearn("learner", "new", module, "--kind", kind)
    assert made.exit_code == 0, made.output
    file = home / "experiment.toml"
    file.write_text(file.read_text().replace("rounds = 10", "rounds = 2"))
    reference = run_json("experiment", "create", "--spec", str(file), "--key", "owner")["reference"]
    with ExitStack() as stack:
        agents = [
            stack.enter_context(
                AgentProcess(
                    str(reference),
                    name,
                    *("--learner", f"{module}:make_learner", "--learner-arg", f"learner={number}"),
                )
            )
            for number, name in enumerate(("alice", "bob", "carol"))
        ]
        ended = [agent.wait() for agent in agents]
    assert [code for code, _ in ended] == [0, 0, 0], ended
    rounds = run_json("history", str(reference))["rounds"]
    assert [r["outcome"] for r in rounds] == ["accepted", "accepted"]
