"""Write the Parquet files of a run."""

import io
from pathlib import Path
from typing import TYPE_CHECKING

from ground.whole_files import put

if TYPE_CHECKING:
    import polars as pl


def put_parquet(file: Path, table: "pl.DataFrame") -> None:
    """Write a table as a whole or not at all (see `ground.whole_files.put`)."""
    written = io.BytesIO()
    table.write_parquet(written)
    put(file, written.getvalue())
