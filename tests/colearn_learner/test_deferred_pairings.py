"""The pairings are loaded when they are used, and then give the same results."""

from __future__ import annotations

import json
import subprocess
import sys

_WITH_AND_WITHOUT = """
import json, sys
if sys.argv[1] == "deferred":
    from colearn_learner.cli._support.deferred_pairings import defer_pairings
    defer_pairings()
    defer_pairings()
from py_ecc.bls import G2ProofOfPossession as bls
from py_ecc.fields import optimized_bls12_381_FQ12
computed = []
power = optimized_bls12_381_FQ12.__pow__
optimized_bls12_381_FQ12.__pow__ = lambda *xs: computed.append(1) or power(*xs)
signature = bls.Sign(5, b"text")
valid = bls.Verify(bls.SkToPk(5), b"text", signature)
print(json.dumps([len(sys.meta_path), valid, len(computed)]))
"""

_LOADED_BY_A_COMMAND = """
import sys
from colearn_learner.cli import main
main(["key", "list"], standalone_mode=False)
assert "eth_account" not in sys.modules  # this command uses no key
import eth_account
for name in "optimized_bls12_381.optimized_pairing", "bls12_381.bls12_381_pairing":
    print(type(sys.modules["py_ecc." + name]).__name__, file=sys.stderr)
"""


def run(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done


def test_deferred_pairings_return_the_same_as_the_real_ones():
    finders, real, powers = json.loads(run(_WITH_AND_WITHOUT, "real").stdout)
    more_finders, deferred, more_powers = json.loads(run(_WITH_AND_WITHOUT, "deferred").stdout)
    assert real is deferred is True
    assert more_finders == finders + 1
    assert more_powers > powers, "the tables were computed before the first use"


def test_commands_do_not_compute_the_tables_of_the_pairings():
    assert run(_LOADED_BY_A_COMMAND).stderr.split()[-2:] == ["_DeferredPairing"] * 2
