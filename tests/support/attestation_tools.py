"""The tools of in-toto and model-signing, in an environment of their own.

They need other versions of packages than the project does. The environment is created once in the
user's cache folder.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

from colearn_localnet.errors import InstallFailed
from colearn_localnet.toolchains import cache_folder, lock_installation, run_with_progress

_REQUIREMENTS = Path(__file__).with_name("attestation-requirements.txt")


def prepare_tools() -> Path:
    """Return the folder of the tools' programs, which are installed if they are missing.

    Raises:
        InstallFailed: they cannot be installed.
    """
    digest = hashlib.sha256(_REQUIREMENTS.read_bytes()).hexdigest()[:8]
    name = f"attestation-{digest}-python{sys.version_info.major}.{sys.version_info.minor}"
    home = cache_folder() / "tests" / name
    if not (home / "complete").exists():
        with lock_installation(home.parent, name, print):
            if not (home / "complete").exists():
                _install(home)
    return home / "bin"


def _install(home: Path) -> None:
    here = _REQUIREMENTS.parent
    try:
        run_with_progress([sys.executable, "-m", "venv", "--clear", str(home)], here, print)
        command = [str(home / "bin" / "python"), "-m", "pip", "install", "--no-input", "--no-deps"]
        command += ["--disable-pip-version-check", "--progress-bar=off", "--only-binary=:all:"]
        command += ["--requirement", str(_REQUIREMENTS)]
        run_with_progress(command, here, print)
    except InstallFailed as error:
        raise InstallFailed(f"in-toto and model-signing cannot be installed: {error}") from error
    (home / "complete").touch()
