"""An object that shows whether it was unpickled."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any


class Canary:
    """An object that creates a folder when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.path),)
