"""Write CSV tables for spreadsheet programs: one encoding, and no text that becomes a formula."""

import csv
import re
from collections.abc import Callable, Iterable
from io import TextIOBase

ENCODING = "utf-8-sig"


FORMULA_STARTS = ("=", "+", "-", "@", "＝", "＋", "－", "＠")
"""From OWASP, "CSV Injection"; the last four are the characters of full-width input methods."""


_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")


Cell = str | int | float | None


def safe(text: str) -> str:
    """Return the text on one line, changed so that no spreadsheet program reads it as a formula.

    In some programs a single carriage return ends the row, and the next row starts with the text
    after it. Leading blanks are ignored in the check, because some programs remove them.
    """
    line = _CONTROL.sub(" ", text)
    return "'" + line if line.lstrip().startswith(FORMULA_STARTS) else line


def sheet(file: TextIOBase, columns: Iterable[str]) -> Callable[[Iterable[Cell]], None]:
    """Write the heading of a table and return a function that adds a row."""
    writer = csv.writer(file)
    writer.writerow(columns)

    def add(row: Iterable[Cell]) -> None:
        writer.writerow([_cell(value) for value in row])

    return add


def _cell(value: Cell) -> str:
    if isinstance(value, float):
        # Not every spreadsheet program reads 1e-06 as a number.
        return f"{value:.6f}".rstrip("0").rstrip(".")
    return safe(value) if isinstance(value, str) else "" if value is None else str(value)
