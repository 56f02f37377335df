"""Files that a reader sees whole or not at all, however a run ends."""

import contextlib
import glob
import io
import os
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl


ABANDONED_S = 3600.0
"""Age at which an unfinished file is a killed run's."""


def put(file: Path, data: bytes) -> None:
    """Write beside the file, sync, rename: after a power cut it is the old one or the new.

    Of two processes that write it at once, on one machine or two, the last one's stays, whole.
    """
    half = file.with_name(f".{file.name}.{uuid.uuid4().hex}.half")
    with half.open("wb") as unfinished:
        unfinished.write(data)
        unfinished.flush()
        os.fsync(unfinished.fileno())
    os.replace(half, file)
    _sweep(file)


def _sweep(file: Path) -> None:
    """Remove what killed runs left of this file; a living run's is young."""
    for half in file.parent.glob(f".{glob.escape(file.name)}.*.half"):
        with contextlib.suppress(FileNotFoundError):  # its writer was quicker
            if time.time() - half.stat().st_mtime > ABANDONED_S:
                half.unlink()


def put_parquet(file: Path, table: "pl.DataFrame") -> None:
    """The same for a table."""
    written = io.BytesIO()
    table.write_parquet(written)
    put(file, written.getvalue())
