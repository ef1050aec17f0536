"""Generate the Python code of colearn_learner/remote/learner.proto.

Usage: .venv/bin/python scripts/build_proto.py [--check]

With --check, write nothing; the exit status is 1 if the generated files are out of date.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from grpc_tools import protoc

ROOT = Path(__file__).resolve().parent.parent
PROTO = Path("colearn_learner/remote/learner.proto")
GENERATED = (PROTO.with_name("learner_pb2.py"), PROTO.with_name("learner_pb2.pyi"))


def generate(out: Path) -> None:
    """Write the generated files to a folder.

    Raises:
        SystemExit: protoc failed and has printed the reason.
    """
    options = [f"--proto_path={ROOT}", f"--python_out={out}", f"--pyi_out={out}"]
    if protoc.main(["protoc", *options, str(PROTO)]) != 0:
        raise SystemExit(f"protoc could not compile {PROTO}")


def outdated_files() -> list[str]:
    """Return the generated files that do not match the current learner.proto."""
    with tempfile.TemporaryDirectory() as folder:
        generate(Path(folder))
        return [
            str(path)
            for path in GENERATED
            if (Path(folder) / path).read_bytes() != (ROOT / path).read_bytes()
        ]


def main() -> None:
    """Generate or check the files."""
    if sys.argv[1:] == ["--check"]:
        if outdated := outdated_files():
            raise SystemExit(f"out of date: {', '.join(outdated)}; run make proto")
        return
    generate(ROOT)


if __name__ == "__main__":
    main()
