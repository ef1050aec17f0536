"""Run one learner of three in a container with its records, and its agent outside.

The agent calls it over gRPC to train, test and accept weights. If it does not answer, the agent
declines to propose or rejects the proposal, and the experiment continues. Without an image, for
machines without Docker, the learner's server is a separate process on this machine.

    python examples/container_grpc.py
    docker build -f examples/container_grpc.Dockerfile -t colearn-learner .
    python examples/container_grpc.py --image colearn-learner --ledger evm
"""

import json
import os
import secrets
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path

import common
import mli_numpy

from colearn_learner.remote.client import RemoteConfig, RemoteLearner

LEARNERS, CONTAINED = 3, 0
VARIABLE = "COLEARN_LEARNER_TOKEN"


@contextmanager
def serve_learner(image, token):
    """Serve the learner during the block, and yield its address."""
    serve = ["learner", "serve", "--learner", "examples.mli_numpy:make_learner"]
    serve += ["--learner-arg", f"learner={CONTAINED}", "--learner-arg", f"of={LEARNERS}"]
    serve += ["--port", "0", "--json"]
    if image:
        # the host's network, because a server without TLS accepts only local connections
        docker = ["docker", "run", "--rm", "--init", "--network", "host", "--env", VARIABLE]
        command = [*docker, image, "colearn", *serve]
    else:
        print("No image is given: the learner's server is a process outside of any container.")
        command = [sys.executable, "-m", "colearn_learner.cli", *serve]
    process = subprocess.Popen(  # noqa: S603 - a fixed command
        command,
        cwd=Path(__file__).resolve().parent.parent,
        env=os.environ | {VARIABLE: token},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        for line in process.stdout:
            if (entry := json.loads(line)).get("event") == "listening":
                # keep reading its log, because the server would block once the pipe is full
                threading.Thread(target=process.stdout.read, daemon=True).start()
                yield entry["url"]
                break
        else:
            raise SystemExit("error: the learner's server ended before it listened; see above")
    finally:
        process.terminate()
        process.wait()


def main():
    """Run rounds with one learner behind the server and two here."""
    options = common.parser(__doc__, rounds=12)
    options.set_defaults(learners=LEARNERS)
    options.add_argument("--image", help="the container's image")
    options = options.parse_args()
    token = secrets.token_urlsafe()
    with (
        serve_learner(options.image, token) as address,
        RemoteLearner(address, RemoteConfig(token=token)) as remote,
    ):
        print(f"learner {CONTAINED} is served at {address}")
        learners = [mli_numpy.make_learner(n, LEARNERS) for n in range(LEARNERS)]
        learners[CONTAINED] = remote
        common.run_rounds(learners, options, "mean squared error", higher_is_better=False)


if __name__ == "__main__":
    main()
