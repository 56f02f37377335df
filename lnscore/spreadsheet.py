"""Cells of tables that spreadsheets open: one encoding, and no text that becomes a formula."""

import csv
import re
from collections.abc import Callable, Iterable
from io import TextIOBase

ENCODING = "utf-8-sig"


FORMULA_STARTS = ("=", "+", "-", "@", "＝", "＋", "－", "＠")
"""OWASP, CSV Injection; the last four are what full-width input methods type."""


_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")


Cell = str | int | float | None


def safe(text: str) -> str:
    """Text that no spreadsheet takes for a formula, on one line.

    A bare carriage return would end the row in some spreadsheets and start the next with
    what follows it; blanks before the sign do not hide it, some strip them.
    """
    line = _CONTROL.sub(" ", text)
    return "'" + line if line.lstrip().startswith(FORMULA_STARTS) else line


def sheet(file: TextIOBase, columns: Iterable[str]) -> Callable[[Iterable[Cell]], None]:
    """Begin a table with its heading; the function that is returned adds a row."""
    writer = csv.writer(file)
    writer.writerow(columns)

    def add(row: Iterable[Cell]) -> None:
        writer.writerow([_cell(value) for value in row])

    return add


def _cell(value: Cell) -> str:
    if isinstance(value, float):
        # 1e-06 is a number too, but not to every spreadsheet.
        return f"{value:.6f}".rstrip("0").rstrip(".")
    return safe(value) if isinstance(value, str) else "" if value is None else str(value)
