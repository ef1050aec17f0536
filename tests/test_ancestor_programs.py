"""The example programs of the ancestor library run with only their import lines changed.

They come from its wheel on PyPI. The packages that they use have changed since 2022, and some
download their data, so tests/support/ancestor_packages has stand-ins for those. MNIST is the real
one. CIFAR-10 is MNIST in color; chest X-rays are its zeros and ones; payments and covid features
are made of its pixels.
"""

from __future__ import annotations

import difflib
import re
import subprocess
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.ancestor_style.imports import COPIED, MODULES, rewrite_imports
from tests.support import ROOT, load_script
from tests.support.ancestor_data import write_covid, write_payments, write_xrays
from tests.support.ancestor_programs import (
    command_of,
    make_environment,
    read_programs,
    write_programs,
)

SECONDS = 1_200.0
"""Timeout of a program; none that works takes this long."""

DIGITS = 1_500
"""Records of MNIST to train with, among all learners."""


@pytest.fixture(scope="module")
def mnist() -> Path:
    folder: Path = load_script("fetch_mnist").mnist_folder()
    return folder


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("programs")
    write_programs(folder)
    return folder


def run(
    programs: Path, mnist: Path, work: Path, name: str, *arguments: str, digits: int = DIGITS
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command_of(programs, name, *arguments),
        cwd=work,
        env=make_environment(programs, mnist, work, digits),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


def check_run(done: subprocess.CompletedProcess[str]) -> None:
    """Check that a program ran to its end and printed a round's results."""
    assert done.returncode == 0, done.stdout[-2_000:] + done.stderr[-4_000:]
    assert re.search(r"round|score|vote", done.stdout, re.IGNORECASE), done.stdout[-2_000:]


# ------------------------------------------------------------------ the import table


@pytest.mark.parametrize("name", sorted(read_programs()))
def test_only_import_lines_change(name: str):
    before = read_programs()[name]
    after = rewrite_imports(before)
    lines = difflib.ndiff(before.splitlines(), after.splitlines())
    changed = [line[2:].strip() for line in lines if line[:2] in ("- ", "+ ")]
    assert all(line.startswith(("from ", "import ")) for line in changed), changed
    assert not re.search(r"^\s*(from|import) colearn(_keras|_pytorch|_grpc|_other)?\b", after, re.M)


def test_page_names_every_module_that_the_programs_import():
    page = (ROOT / "docs" / "from-colearn.md").read_text()
    found = r"^\s*(?:from|import)\s+(colearn\w*(?:\.\w+)*)"
    imported = {name for text in read_programs().values() for name in re.findall(found, text, re.M)}
    assert imported <= {*MODULES, *COPIED}
    assert [name for name in imported if f"| `{name}` |" not in page] == []


# ------------------------------------------------------------------ programs without files


@pytest.mark.parametrize(
    "name",
    [
        "mli_random_forest_iris",
        "xgb_reg_boston",
        "keras_mnist",
        "pytorch_mnist",
        *(pytest.param(name, marks=pytest.mark.long) for name in ("keras_cifar", "pytorch_cifar")),
    ],
)
def test_program_runs(programs: Path, mnist: Path, tmp_path: Path, name: str):
    check_run(run(programs, mnist, tmp_path, name))


@pytest.mark.long
def test_private_program_runs(programs: Path, mnist: Path, tmp_path: Path):
    """It tests with complete batches of 64 only, so each learner needs that many records."""
    check_run(run(programs, mnist, tmp_path, "pytorch_mnist_diffpriv", digits=7_000))


def test_differential_privacy_with_batch_normalization_is_refused(
    programs: Path, mnist: Path, tmp_path: Path
):
    done = run(programs, mnist, tmp_path, "keras_mnist_diffpriv")
    assert done.returncode != 0
    error = done.stderr.strip().splitlines()[-1]
    assert re.search(
        r"UnsupportedModel: .*DPKerasAdamOptimizer.*BatchNormalization.*diff_priv_config", error
    ), done.stderr[-4_000:]


# ------------------------------------------------------------------ programs with files


@pytest.mark.parametrize("name", ["mli_fraud", pytest.param("keras_fraud", marks=pytest.mark.long)])
def test_fraud_program_runs(programs: Path, mnist: Path, tmp_path: Path, name: str):
    check_run(run(programs, mnist, tmp_path, name, str(write_payments(tmp_path / "data", mnist))))


@pytest.mark.long
@pytest.mark.parametrize("name", ["keras_xray", "pytorch_xray"])
def test_xray_program_runs(programs: Path, mnist: Path, tmp_path: Path, name: str):
    check_run(run(programs, mnist, tmp_path, name, str(write_xrays(tmp_path / "data", mnist))))


@pytest.mark.long
def test_covid_program_runs(programs: Path, mnist: Path, tmp_path: Path):
    data = write_covid(tmp_path / "data", mnist)
    check_run(run(programs, mnist, tmp_path, "pytorch_covid", str(data)))


@pytest.mark.parametrize(
    "model",
    [
        "FRAUD",
        *(
            pytest.param(name, marks=pytest.mark.long)
            for name in ("KERAS_MNIST", "KERAS_CIFAR10", "PYTORCH_XRAY", "PYTORCH_COVID_XRAY")
        ),
    ],
)
def test_demo_runs_each_registered_model(programs: Path, mnist: Path, tmp_path: Path, model: str):
    writers = {"FRAUD": write_payments, "PYTORCH_XRAY": write_xrays}
    writers["PYTORCH_COVID_XRAY"] = write_covid
    options = ["-m", model, "-n", "3", "-p", "1"]
    if model in writers:
        data = writers[model](tmp_path / "data", mnist)
        options += ["-d", str(data / "train" if model == "PYTORCH_XRAY" else data)]
    check_run(run(programs, mnist, tmp_path, "run_demo", *options))


# ------------------------------------------------------------------ learners behind gRPC


@pytest.mark.parametrize(
    "name", ["mnist_grpc", pytest.param("mlifactory_grpc_mnist", marks=pytest.mark.long)]
)
def test_program_with_servers_runs(programs: Path, mnist: Path, tmp_path: Path, name: str):
    check_run(run(programs, mnist, tmp_path, name))


@pytest.mark.long
def test_demo_and_probe_find_servers_of_another_process(
    programs: Path, mnist: Path, tmp_path: Path
):
    data = write_payments(tmp_path / "data", mnist)
    environment = make_environment(programs, mnist, tmp_path, DIGITS)
    with ExitStack() as ending:
        servers = subprocess.Popen(
            command_of(programs, "run_n_grpc_servers", "-p", "9985", "-n", "2"),
            cwd=tmp_path,
            env=environment,
        )
        ending.callback(servers.wait, SECONDS)
        ending.callback(servers.terminate)
        probed = run(programs, mnist, tmp_path, "probe_grpc_server", "-p", "9985")
        assert "'FRAUD'" in probed.stdout, probed.stderr[-4_000:]
        divide = ["-m", "FRAUD", "-n", "2", "-p", "0", "-d", str(data)]
        divided = run(programs, mnist, tmp_path, "run_demo", *divide)
        assert divided.returncode == 0, divided.stderr[-4_000:]
        locations = ",".join(str(tmp_path / "fraud" / str(n)) for n in range(2))
        options = ["-p", "9985", "-n", "2", "-r", "1", "-d", "FRAUD", "-m", "FRAUD"]
        check_run(run(programs, mnist, tmp_path, "run_grpc_demo", *options, "-l", locations))
