"""Files of a report: each appears whole or not at all, and only when its bytes change."""

import filecmp
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import TextIOWrapper
from pathlib import Path

from lnscore.errors import Refusal

ABANDONED_S = 3600.0
"""Age at which an unfinished file is a killed run's."""

HEAD_BYTES = 4096


@contextmanager
def replacing(path: Path, encoding: str = "utf-8") -> Iterator[TextIOWrapper]:
    """A text file that takes its name at the end of the block.

    Written beside the old one, synced, renamed; after an error, or where the bytes are the
    same as before, the old file stays as it is. The new file has the user's usual mode.

    Args:
        path: The file; its folder is made.
        encoding: `utf-8-sig` for what spreadsheets open.

    Raises:
        Refusal: R02, the folder or the file cannot be written.
    """
    with _refusing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_name(f".{path.name}.{secrets.token_hex(6)}.part")
        _sweep(path)
        try:
            with unfinished.open("x", encoding=encoding, newline="") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            if not (path.is_file() and filecmp.cmp(unfinished, path, shallow=False)):
                unfinished.replace(path)
        finally:
            unfinished.unlink(missing_ok=True)


def write(path: Path, text: str) -> None:
    """Write a whole text file, as `replacing`."""
    with replacing(path) as file:
        file.write(text)


def head(path: Path) -> str:
    """The first characters of a file; empty where there is none."""
    try:
        with path.open("rb") as file:
            return file.read(HEAD_BYTES).decode("utf-8", "replace")
    except OSError:
        return ""


def _sweep(path: Path) -> None:
    """Remove what a killed run left of this file; a living run's is young."""
    for file in path.parent.glob(f".{path.name}.*.part"):
        with suppress(OSError):  # another run was faster
            if time.time() - file.stat().st_mtime > ABANDONED_S:
                file.unlink()


@contextmanager
def _refusing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Refusal(
            "R02",
            f"{path} cannot be written ({error.strerror or error})",
            "a folder with room, writable for this user, and no program that holds the file",
            "Close it, make room, or give another --out; then run again.",
        ) from error
