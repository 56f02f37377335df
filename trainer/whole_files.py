"""Files that a reader sees whole or not at all, however a run ends."""

import io
import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl


def put(file: Path, data: bytes) -> None:
    """Write beside the file, sync, rename: after a power cut it is the old one or the new.

    Of two processes that write it at once the last one's stays, whole.
    """
    half = file.with_name(f".{file.name}.{os.getpid()}.half")
    with half.open("wb") as unfinished:
        unfinished.write(data)
        unfinished.flush()
        os.fsync(unfinished.fileno())
    os.replace(half, file)


def put_parquet(file: Path, table: "pl.DataFrame") -> None:
    """The same for a table."""
    written = io.BytesIO()
    table.write_parquet(written)
    put(file, written.getvalue())
