"""Audit an experiment on an EVM chain without any code of the package.

    python scripts/audit_independently.py RPC CONTRACT EXPERIMENT [--json] [--from-block NUMBER]

This is the second implementation of the audit. It follows docs/protocol.md, reads the ABI as data,
and needs coincurve and pycryptodome. It replays the events of one experiment and checks
their order and causes, electorates, proposers (random ones while the seed can be computed),
deadlines, digests, ballots, tallies, outcomes and the end. It compares the contract's state at one
block with them, and the calldata behind each event: senders, arguments, commitments, signatures.

Out of its scope: files and merges, the bounds of parameters, and whether the node's answers are
those of the real chain. The replay stops at the first event that cannot have happened; then only
the state of earlier rounds is compared. Exit code: 0 without findings, 1 with findings, 2 if the
experiment could not be checked.
"""

from __future__ import annotations

import argparse
import json
import sys

from independent_audit.auditing import audit
from independent_audit.reading import Unchecked, connect


def main() -> int:
    """Run the command, and return its exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    for name, kind in (("rpc", str), ("contract", str), ("experiment", int)):
        parser.add_argument(name, type=kind)
    parser.add_argument("--from-block", type=int, default=0, help="a block before its creation")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    given = parser.parse_args()
    try:
        report = audit(connect(given.rpc), given.contract, given.experiment, given.from_block)
    except Unchecked as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if given.json:
        print(json.dumps(report, indent=2))
    else:
        for line in report["unchecked"]:
            print(f"not checked: {line}")
        counts = ", ".join(f"{number} {name}" for name, number in report["checked"].items())
        print(f"checked: {counts}; findings: {len(report['findings'])}")
        for each in report["findings"]:
            print("round {round}: {subject}: expected {expected}, found {found}".format(**each))
    return 1 if report["findings"] else 0


if __name__ == "__main__":
    sys.exit(main())
