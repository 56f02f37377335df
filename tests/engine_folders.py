"""A folder of imported engines, and an engine to import.

A test module asks for them with `pytest_plugins = ["engine_folders"]`.
"""

from pathlib import Path

import pytest


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """A sound engine of another name."""
    from demo_bundle import copy_demo, edit_manifest

    return edit_manifest(copy_demo(tmp_path / "source"), name="mine")
