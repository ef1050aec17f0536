"""Helpers that test files share; import them as `from tests.support.… import …`."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
"""The folder of the checkout."""
