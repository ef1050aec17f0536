"""Programs by which strangers read a chain: Foundry's cast, and ethers on Node.js.

Only the documentation's blocks use them. They are pinned by hash in `localnet/pins/readers` and
installed once, from npm, into the user's cache folder.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from pathlib import Path

from colearn_localnet.install import nodes_folder
from colearn_localnet.toolchains import (
    NODE,
    PINS,
    lock_installation,
    prepare_environment,
    run_with_progress,
)

PACKAGE_FILES = tuple(PINS / "readers" / name for name in ("package.json", "package-lock.json"))


def install_readers() -> Path:
    """Return the folder `node_modules` with the pinned packages, and install them if needed.

    Raises:
        InstallFailed: npm is missing or failed.
    """
    version = hashlib.sha256(b"".join(path.read_bytes() for path in PACKAGE_FILES)).hexdigest()[:12]
    home = nodes_folder() / f"readers-{version}"
    with lock_installation(nodes_folder(), "readers", print):
        if not home.is_dir():
            _install(home)
    return home / "node_modules"


def find_commands(modules: Path) -> list[Path]:
    """Return the folders of the commands `cast`, `node` and `npm`.

    The package's own command `cast` starts another process and hides its exit code.
    """
    environment = prepare_environment([NODE], print)
    node = shutil.which("node", path=environment["PATH"])
    assert node is not None
    [cast] = modules.glob("@foundry-rs/cast-*/bin/cast")
    return [cast.parent, Path(node).parent]


def _install(home: Path) -> None:
    environment = prepare_environment([NODE], print)
    with tempfile.TemporaryDirectory(prefix=".readers-", dir=home.parent) as folder:
        work = Path(folder) / "work"
        work.mkdir()
        for path in PACKAGE_FILES:
            shutil.copyfile(path, work / path.name)
        command = ("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
        run_with_progress(command, work, print, environment=environment)
        [cast] = work.glob("node_modules/@foundry-rs/cast-*/bin/cast")
        cast.chmod(0o755)
        work.replace(home)
