"""An agent on anvil whose learner runs in another process."""

from __future__ import annotations

from pathlib import Path

from tests.support.commands import run_json
from tests.support.real_chain import (  # noqa: F401 - fixtures among them
    NAMES,
    AgentProcess,
    chain,
    contract,
    create_experiment,
    home,
    share_arguments,
)
from tests.support.remote_servers import ServerProcess


def test_agent_takes_part_with_a_learner_in_another_process(
    home: Path,  # noqa: F811
    contract: str,  # noqa: F811
):
    token = {"COLEARN_LEARNER_TOKEN": "correct-horse-battery-staple"}
    (home / "token").write_text(token["COLEARN_LEARNER_TOKEN"])
    (home / "token").chmod(0o600)
    reference = create_experiment(home, rounds=2, min_learners=2, max_learners=2)
    factory, *arguments = share_arguments(0)[1:]
    with ServerProcess(factory, *arguments, **token) as server:
        there = ("--learner", str(server.address), "--learner-arg", f"token=file:{home / 'token'}")
        agents = [
            AgentProcess(reference, NAMES[i + 1], *(share_arguments(i) if i else there))
            for i in range(2)
        ]
        with agents[0], agents[1]:
            ends = [agent.wait() for agent in agents]
        assert [code for code, _ in ends] == [0, 0], ends
        assert server.terminate() == 0
    served = [line["event"] for line in server.log]
    assert (served.count("Propose"), served.count("Test")) == (1, 3)  # own, current, other
    rounds = run_json("history", reference)["rounds"]
    for round_ in rounds:
        [cast] = [ballot for ballot in round_["ballots"] if ballot["ballot"] == "cast"]
        assert None not in [s["vote_score"] for s in (cast["current"], *cast["scores"])]
