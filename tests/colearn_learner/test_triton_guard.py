"""PyTorch alongside TensorFlow: programs keep Triton out; importing our packages never does."""

from __future__ import annotations

import subprocess
import sys

import pytest


def run_python(program: str) -> tuple[int, str]:
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    return run.returncode, run.stdout or run.stderr[-500:]


def test_importing_the_pytorch_learner_changes_no_other_import():
    program = """
import sys, torch
modules, finders = dict(sys.modules), list(sys.meta_path)
import colearn_learner.learners.pytorch
assert sys.modules.get("triton", "absent") is modules.get("triton", "absent")
assert sys.meta_path == finders
assert not [name for name, module in sys.modules.items() if module is None and name not in modules]
print("unchanged")
"""
    assert run_python(program) == (0, "unchanged\n")


@pytest.mark.parametrize(("first", "second"), [("tensorflow", "torch"), ("torch", "tensorflow")])
def test_guarded_process_trains_with_pytorch_beside_tensorflow(first: str, second: str):
    program = f"""
from colearn_learner.learners.triton_guard import keep_triton_from_tensorflow
keep_triton_from_tensorflow()
import {first}, {second}
from colearn_learner.learners.pytorch import PytorchLearner
import torch
batch = [(torch.ones(4, 2), torch.zeros(4, 1))]
model = torch.nn.Linear(2, 1)
optimizer = torch.optim.Adam(model.parameters())
learner = PytorchLearner(model, optimizer, batch, criterion=torch.nn.MSELoss())
print(learner.mli_test_weights(learner.mli_propose_weights()).vote)
"""
    assert run_python(program) == (0, "True\n")


def test_guard_hides_triton_only_beside_tensorflow():
    program = """
import sys, types
from importlib.util import find_spec
from colearn_learner.learners.triton_guard import keep_triton_from_tensorflow
without = find_spec("triton")
keep_triton_from_tensorflow()
keep_triton_from_tensorflow()
assert (find_spec("triton") is None) == (without is None)
sys.modules["tensorflow"] = types.ModuleType("tensorflow")
try:
    import triton
except ModuleNotFoundError as error:
    print(error)
"""
    code, output = run_python(program)
    assert code == 0
    assert "because TensorFlow is loaded" in output
