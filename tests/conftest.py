"""Configure the test run: its parts, the nodes that tests share, and no skips in CI."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings

pytest.register_assert_rewrite("tests.support", "tests.scenarios.stories")

from colearn_learner.learners.triton_guard import keep_triton_from_tensorflow  # noqa: E402
from tests.support import ROOT  # noqa: E402
from tests.support.installing import skip_if_not_installable  # noqa: E402
from tests.support.selection import PARTS, is_in_long_run, node_group_of, part_of  # noqa: E402

if TYPE_CHECKING:
    from xdist.scheduler import LoadScopeScheduling

    from colearn_localnet.anvil import Anvil
    from colearn_localnet.kubo import Kubo
    from tests.support.cosmos_place import Place

os.environ["PYTHONPATH"] = os.pathsep.join(  # for the processes that tests start
    [str(ROOT), str(ROOT / "localnet"), *filter(None, [os.environ.get("PYTHONPATH")])]
)

os.environ.setdefault("MPLBACKEND", "agg")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

keep_triton_from_tensorflow()  # one process runs the tests of all frameworks

settings.register_profile(  # Hypothesis has a similar profile only in CI
    "patient", settings.default, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("patient")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--part", choices=PARTS, help="run only the test files of this part")
    parser.addoption(
        "--long", action="store_true", help="run only the long tests, in full, and all faults"
    )


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    part = config.getoption("--part")
    if part is None or collection_path.suffix != ".py" or collection_path.name == "conftest.py":
        return None
    return part_of(collection_path) != part or None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--long"):
        _select(
            config,
            items,
            lambda item: is_in_long_run(item.path, item.fixturenames) or _is_variant(item),
        )
    elif config.getoption("--part"):
        _select(config, items, lambda item: not _is_variant(item))
    items.sort(key=lambda item: node_group_of(item.path)[0])


def _is_variant(item: pytest.Function) -> bool:
    return item.get_closest_marker("long") is not None


def _select(
    config: pytest.Config, items: list[pytest.Item], is_wanted: Callable[[pytest.Function], bool]
) -> None:
    wanted: list[pytest.Item] = []
    unwanted: list[pytest.Item] = []
    for item in items:
        is_selected = isinstance(item, pytest.Function) and is_wanted(item)
        (wanted if is_selected else unwanted).append(item)
    config.hook.pytest_deselected(items=unwanted)
    items[:] = wanted


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    """Let one worker run the tests of a group, since they share nodes.

    The groups of pytest-xdist 3.8 itself have no effect with pytest 9.2.
    """
    from xdist.scheduler import LoadScopeScheduling

    class GroupScheduling(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            path, _, test = nodeid.partition("::")
            return node_group_of(ROOT / path, test)[1]

    return GroupScheduling(config, log)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Replace lone surrogates in captured output: pytest-xdist cannot send them."""
    report = yield
    report.sections = [
        (name, text.encode("utf-8", "backslashreplace").decode()) for name, text in report.sections
    ]
    return report


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("CI") != "true" or reporter is None:
        return
    not_run = [r for kind in ("skipped", "xfailed") for r in reporter.stats.get(kind, [])]
    if not_run:
        reporter.write_line(f"CI=true: {len(not_run)} tests were skipped; in CI that is a failure.")
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture(scope="session")
def is_long(pytestconfig: pytest.Config) -> bool:
    """Return whether to run a test in full (`make test-long`) instead of its reduced version."""
    return bool(pytestconfig.getoption("--long"))


@pytest.fixture
def ctrl_c() -> Iterator[None]:
    """Raise KeyboardInterrupt on SIGINT here and in children, even if this run ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="session")
def sigterm_handler() -> Iterator[None]:
    """End the tests and their processes on SIGTERM, which `timeout` sends, as on Ctrl-C."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.fixture(scope="session", autouse=True)
def private_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Store the tests' keys, networks and journals outside the user's folders."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("COLEARN_HOME", str(tmp_path_factory.mktemp("home")))
        yield


@pytest.fixture(scope="session")
def anvil() -> Iterator[Anvil]:
    """Start an EVM chain that all tests share; it mines a block for each transaction."""
    from colearn_localnet.anvil import Anvil

    with ExitStack() as nodes:
        with skip_if_not_installable():
            node = nodes.enter_context(Anvil())
        yield node


@pytest.fixture(scope="session")
def cosmos_place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """Start a wasmd that all tests share, with the contract's code and short block times."""
    from tests.support.cosmos_place import start_place

    with ExitStack() as nodes:
        with skip_if_not_installable():
            place = nodes.enter_context(start_place(tmp_path_factory.mktemp("cosmos")))
        yield place


@pytest.fixture(scope="session")
def kubo_swarm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Kubo, ...]]:
    """Start four IPFS nodes that all tests share, each connected to all others."""
    from colearn_localnet.kubo import Kubo, join, new_swarm_key

    folder, key = tmp_path_factory.mktemp("swarm"), new_swarm_key()
    with ExitStack() as nodes:
        with skip_if_not_installable():
            swarm = tuple(nodes.enter_context(Kubo(folder / name, swarm=key)) for name in "abcd")
        join(swarm)
        yield swarm


@pytest.fixture(scope="session")
def toxiproxy_binary() -> None:
    from colearn_localnet.install import TOXIPROXY, find_binary

    with skip_if_not_installable():
        find_binary(TOXIPROXY)


@pytest.fixture(scope="session")
def node_binaries() -> None:
    from colearn_localnet.install import ANVIL, KUBO, find_binary

    with skip_if_not_installable():
        find_binary(ANVIL)
        find_binary(KUBO)
