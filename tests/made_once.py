"""What takes long is made once in a run of the tests, whichever of its processes asks first."""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """The folder of this name, which all tests of the run read and none changes.

    Whoever asks first fills it; the others wait. One that was not filled to the end is not kept.
    """
    base = factory.getbasetemp()
    root = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "made-once"
    root.mkdir(exist_ok=True)
    folder = root / name
    with FileLock(root / f"{name}.lock"):
        if not folder.exists():
            half = Path(tempfile.mkdtemp(prefix=f".{name}.", dir=root))
            make(half)
            half.rename(folder)
    return folder
