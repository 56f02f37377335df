"""Opens a table in a text file or workbook: its headings, and its rows as text."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from lnscore.errors import Refusal
from lnscore.tables.charsets import encoding_of, refused
from lnscore.tables.headers import LOOKED_AT, count_headers, headings_of
from lnscore.tables.text import text_table
from lnscore.tables.workbooks import open_workbook

_FORMATS = {
    b"%PDF": "a PDF",
    b"\x1f\x8b": "a gzip archive",
    b"SQLite format 3": "a database",
    b"{\\rtf": "a text document",
    b"\x7fELF": "a program",
    b"MZ\x90\x00": "a program",
    b"\xff\xd8\xff": "a picture",
    b"\x89PNG": "a picture",
}

_OLD_EXCEL = bytes.fromhex("d0cf11e0a1b11ae1")
_ENCRYPTED = "EncryptedPackage".encode("utf-16-le")


@dataclass(frozen=True)
class Rows:
    """Rows below the headings; every iteration reads the file again, row by row."""

    records: Callable[[], Iterator[tuple[str, ...]]]
    above: int

    def __iter__(self) -> Iterator[tuple[str, ...]]:
        """Iterate from the first row of data."""
        return islice(self.records(), self.above, None)


@dataclass(frozen=True)
class Sheet:
    """A table.

    Attributes:
        name: Name of the worksheet, or of the file.
        headings: Header cells of each column from the top; a group's heading is repeated for
            all of its columns.
        first_row: Number of the first row of data, from 1, as a spreadsheet shows it.
        rows: Rows of data as text, with blank rows. A date cell of a workbook is an ISO date; a
            cell that a merged cell covers is a `MergedCell`.
        said: Notes for the user on what was detected: "encoding: GB18030", "header rows: 3".
    """

    name: str
    headings: tuple[tuple[str, ...], ...]
    first_row: int
    rows: Iterable[tuple[str, ...]]
    notes: tuple[str, ...]


def read_sheet(
    path: Path,
    *,
    sheet: str | None = None,
    header_rows: int | None = None,
    skip_rows: int | None = None,
    encoding: str | None = None,
    delimiter: str | None = None,
) -> Sheet:
    """Open a table; values that are not given are detected, and noted in `said`.

    Args:
        path: CSV, TSV or any delimited text, or XLSX.
        sheet: Name of the worksheet.
        header_rows: Number of header rows.
        skip_rows: Number of rows above the headings.
        encoding: Encoding of a text file.
        delimiter: Delimiter of a text file: one character, or `tab`.

    Raises:
        Refusal: F10 or F11 if the file is missing or cannot be opened, P14 if it is not a
            readable table, P19 if it has several worksheets and none was named.
    """
    start = _start_of(path)
    if start.startswith(b"PK\x03\x04"):
        book = open_workbook(path, sheet)
        name, records, notes, above, fill = book.name, book.records, book.notes, 0, False
    else:
        table = text_table(path, encoding_of(path, encoding), delimiter)
        name, records, notes, fill = path.stem, table.records, table.notes, True
        above = int(table.declared)
    above += skip_rows or 0
    top = list(islice(records(), above, above + LOOKED_AT))
    count = count_headers(top) if header_rows is None else header_rows
    headings = headings_of(top[:count], fill=fill)
    if not any(any(cells) for cells in headings):
        raise refused(
            f"no headings in row {above + 1}",
            "a row of headings",
            "State how many rows are above the headings",
        )
    if header_rows is None:
        notes = (*notes, f"header rows: {count}")
    return Sheet(name, headings, above + count + 1, Rows(records, above + count), notes)


def _start_of(path: Path) -> bytes:
    if not path.exists():
        raise Refusal("F10", f"{path} is not there", "a file", "Correct the path")
    try:
        with path.open("rb") as file:
            start = file.read(1 << 20)
    except OSError as error:
        raise Refusal(
            "F11", f"{path.name}: {error.strerror}", "a file that opens", "Check its permissions"
        ) from None
    if start.startswith(_OLD_EXCEL):
        raise _old_excel(path, start)
    for mark, name in _FORMATS.items():
        if start.startswith(mark):
            raise refused(
                f"the file is {name}",
                "CSV, TSV or XLSX",
                "Export the table as CSV or XLSX; free text is not read",
            )
    return start[:8]


def _old_excel(path: Path, start: bytes) -> Refusal:
    if _ENCRYPTED in start or _ENCRYPTED in _end_of(path):
        return refused(
            "the workbook is protected by a password",
            "a workbook that opens without one",
            "Open it in Excel and save a copy without a password",
        )
    return refused(
        "the file is an Excel 97-2003 workbook or another old Office file",
        "XLSX or CSV",
        "Open it in Excel and save it as XLSX",
    )


def _end_of(path: Path) -> bytes:
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - (1 << 20)))
        return file.read()
