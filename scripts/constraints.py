"""Write the versions of the packages installed in this environment to constraints.txt."""

from __future__ import annotations

import sys
from importlib.metadata import distributions
from pathlib import Path

NOT_PINNED = {"colearn-ledger", "pip", "setuptools", "wheel"}
HEADER = (
    "# Versions that are tested together, Python 3.11 to 3.13. Written by `make constraints`.\n"
)


def main() -> int:
    """Write the file and return the exit status."""
    found = {d.metadata["Name"].lower().replace("_", "-"): d.version for d in distributions()}
    lines = [f"{name}=={version}\n" for name, version in sorted(found.items())]
    pinned = [line for line in lines if line.split("==")[0] not in NOT_PINNED]
    target = Path(__file__).resolve().parent.parent / "constraints.txt"
    target.write_text(HEADER + "".join(pinned))
    print(f"{target.name}: {len(pinned)} versions")
    return 0


if __name__ == "__main__":
    sys.exit(main())
