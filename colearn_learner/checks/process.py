"""Let a learner in a new process test and accept weights that it gets as bytes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from colearn_learner.checks.subject import (
    Broken,
    DoesNotApply,
    Subject,
    describe_error,
    find_factory,
)
from colearn_learner.interface import Weights
from colearn_learner.learners.triton_guard import keep_triton_from_tensorflow
from colearn_learner.user_code import find_line_of_error
from colearn_ledger.weights.codec import decode_weights, encode_weights

_TIMEOUT = 300.0  # seconds
_FAILED = 3
"""Exit code after an error of the learner: the last lines of stderr are where, and the reason."""


def accept_in_new_process(subject: Subject, proposal: bytes) -> tuple[float, bytes]:
    """Let a learner in a new process test and accept weights.

    Returns:
        Its vote score, and its current weights afterwards.

    Raises:
        DoesNotApply: the factory's arguments cannot be passed to another process.
        Broken: the learner failed there.
    """
    try:
        arguments = json.dumps(dict(subject.arguments))
    except (TypeError, ValueError) as error:
        raise DoesNotApply(f"the factory's arguments cannot be written as JSON: {error}") from error
    with tempfile.TemporaryDirectory(prefix="colearn-") as folder:
        given, kept = Path(folder, "given"), Path(folder, "kept")
        given.write_bytes(proposal)
        program = [sys.executable, "-m", "colearn_learner.checks.process"]
        run = _run([*program, str(subject.origin), arguments, str(given), str(kept)])
        lines = run.stderr.splitlines()
        if run.returncode == _FAILED and len(lines) > 1:
            raise Broken(lines[-1], where=lines[-2])
        if run.returncode:
            last = run.stderr.strip().splitlines()[-1:] or ["it was killed"]
            raise Broken(f"in another process it failed: {last[0]}"[:500])
        return float(run.stdout.splitlines()[-1]), kept.read_bytes()


def _run(program: list[str]) -> subprocess.CompletedProcess[str]:
    paths = os.pathsep.join(path or os.getcwd() for path in sys.path)  # noqa: PTH109 - as Python has it
    try:
        return subprocess.run(  # noqa: S603 - this very Python
            program,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT,
            check=False,
            env={**os.environ, "PYTHONPATH": paths},
        )
    except subprocess.TimeoutExpired as error:
        raise Broken(f"in another process it took more than {_TIMEOUT:g} seconds") from error


def _main(origin: str, arguments: str, given: str, kept: str) -> None:
    keep_triton_from_tensorflow()
    learner = find_factory(origin)(**json.loads(arguments))
    weights = Weights(decode_weights(Path(given).read_bytes(), allow_non_finite=True).weights)
    score = float(learner.mli_test_weights(weights).vote_score)
    learner.mli_accept_weights(weights)
    Path(kept).write_bytes(encode_weights(learner.mli_get_current_weights().weights))
    sys.stdout.write(f"{score!r}\n")


if __name__ == "__main__":
    try:
        _main(*sys.argv[1:])
    except Exception as error:  # noqa: BLE001 - a learner may raise anything
        sys.stderr.write(f"\n{find_line_of_error(error)}\n{describe_error(error)}\n")
        sys.exit(_FAILED)
