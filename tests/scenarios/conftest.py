"""Lets the test files of this folder import `world` and `stories`."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
pytest.register_assert_rewrite("world", "stories")
