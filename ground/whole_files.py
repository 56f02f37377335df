"""Write files so that a reader sees the whole file or none, even if the writer is killed."""

import contextlib
import filecmp
import glob
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedWriter
from pathlib import Path

ABANDONED_S = 3600.0
"""Age at which an unfinished file is treated as left by a killed process, in seconds."""
USUAL_MODE = 0o666
"""Mode of a new file before the user's umask."""


@contextmanager
def replacing(
    path: Path,
    *,
    mode: int = USUAL_MODE,
    unfinished_in: Path | None = None,
    keep_equal: bool = False,
) -> Iterator[BufferedWriter]:
    """Open a binary file that gets its final name only at the end of the block.

    The file is written under another name, synced to disk and renamed. After an error the old
    file is unchanged. If two processes write the same file at once, the file of the last one
    remains, complete.

    Args:
        path: Path of the file; its folder must exist.
        mode: Mode of the new file, before the user's umask.
        unfinished_in: Folder for unfinished files, on the same disk; old files in it are removed.
            By default the unfinished file lies beside `path`.
        keep_equal: If the bytes are the same, keep the old file with its date.
    """
    folder = unfinished_in or path.parent
    _sweep(folder, "" if unfinished_in else path.name)
    unfinished = folder / f".{path.name}.{secrets.token_hex(8)}.half"
    try:
        descriptor = os.open(unfinished, os.O_CREAT | os.O_EXCL | os.O_WRONLY | _BINARY, mode)
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if not (keep_equal and path.is_file() and filecmp.cmp(unfinished, path, shallow=False)):
            os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


def put(path: Path, data: bytes, *, mode: int = USUAL_MODE) -> None:
    """Write a file in one step (see `replacing`)."""
    with replacing(path, mode=mode) as file:
        file.write(data)


_BINARY = getattr(os, "O_BINARY", 0)  # Windows would write \r\n


def _sweep(folder: Path, name: str) -> None:
    """Remove files that killed processes left; the file of a running process is newer."""
    left = folder.glob(f".{glob.escape(name)}.*.half" if name else "*")
    for unfinished in left:
        with contextlib.suppress(OSError):  # another process removed it first
            if time.time() - unfinished.stat().st_mtime > ABANDONED_S:
                unfinished.unlink()
