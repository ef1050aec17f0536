"""Make the benches' modules importable; each bench is a program of the folder `bench`."""

from __future__ import annotations

import sys

from tests.support import ROOT

sys.path.insert(0, str(ROOT / "bench"))
