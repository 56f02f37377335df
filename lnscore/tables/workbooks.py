"""Reads worksheets of XLSX files as rows of text: fills merged cells, gives dates as ISO."""

import re
import warnings
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from lnscore.errors import Refusal
from lnscore.tables.charsets import refused

if TYPE_CHECKING:
    import openpyxl
    from openpyxl.workbook.workbook import _WorksheetLike

MOST_BYTES = 2_000_000_000
"""Largest size of the unpacked workbook; a million rows of twenty columns are smaller."""

MOST_TEXT_BYTES = 100_000_000
"""Largest size of the parts that are held in memory: shared texts and styles."""

MOST_ROWS = 1_048_576

_MERGED = re.compile(
    rb"<(?:\w+:)?mergeCell\s[^>]{0,200}?ref=[\"']([A-Z]{1,3})(\d+):([A-Z]{1,3})(\d+)[\"']"
)
_NO_VALUE = re.compile(
    rb"<(?:\w+:)?c\s+r=[\"']([A-Z]+\d+)[\"'](?![^>]*\st=[\"']str)[^>]*>\s*"
    rb"<(?:\w+:)?f(?:\s[^>]*)?(?:/>|>[^<]*</(?:\w+:)?f>)\s*"
    rb"(?:<(?:\w+:)?v\s*/>|<(?:\w+:)?v></(?:\w+:)?v>)?\s*</(?:\w+:)?c>"
)
"""A cell with a formula and no value; a text formula (`t="str"`) may have an empty one."""

_CHUNK = 1 << 20
_OVERLAP = 10_000
_BATCH = 256


class MergedCell(str):
    """The text of a merged cell, repeated in each cell that it covers."""

    __slots__ = ()


@dataclass(frozen=True)
class MergedCells:
    """Corners of merged cells: rows and columns from 1, as in the worksheet."""

    top: int
    left: int
    bottom: int
    right: int


@dataclass(frozen=True)
class Workbook:
    """One worksheet of a workbook."""

    path: Path
    name: str
    merged: tuple[MergedCells, ...]
    notes: tuple[str, ...]

    def records(self) -> Iterator[tuple[str, ...]]:
        """Yield every row as text, from the first row on.

        Raises:
            Refusal: P14 if the worksheet is damaged.
        """
        filler = _Filler(self.merged)
        for number, row in enumerate(_cells(self.path, self.name), start=1):
            yield filler.filled(number, [_text(cell) for cell in row])


def open_workbook(path: Path, sheet: str | None) -> Workbook:
    """Open a worksheet: the named one, or else the only visible one that is not empty.

    Raises:
        Refusal: P14 if the file is damaged or not an XLSX; P19 if several worksheets are not
            empty and none is named, or if the named one does not exist.
    """
    _check_archive(path)
    with _opened(path) as book:
        visible = [one for one in book.worksheets if one.sheet_state == "visible"]
        hidden = [one.title for one in book.worksheets if one.sheet_state != "visible"]
        name = _chosen(sheet, visible, hidden)
        part = vars(book[name])["_worksheet_path"]  # it has no public name
    notes = [f"sheet: {name}"]
    if hidden_others := [other for other in hidden if other != name]:
        notes.append(f"hidden sheets, not read: {', '.join(hidden_others)}")
    return Workbook(path, name, _scanned(path, part.lstrip("/")), tuple(notes))


def _chosen(sheet: str | None, visible: "Sequence[_WorksheetLike]", hidden: list[str]) -> str:
    if sheet is not None:
        names = [*(one.title for one in visible), *hidden]
        for name in names:
            if name.strip().casefold() == sheet.strip().casefold():
                return name
        raise _sheets(f"no sheet {sheet!r}", names)
    filled = [one.title for one in visible if _holds_cells(one)]
    if len(filled) == 1:
        return filled[0]
    if filled:
        raise _sheets(f"{len(filled)} sheets and none named", filled)
    if hidden:
        raise _sheets("no visible sheet holds a cell", hidden)
    raise refused("the workbook is empty", "a table with headings", "Export the table again")


def _sheets(found: str, names: list[str]) -> Refusal:
    listed = ", ".join(repr(name) for name in names[:20])
    return Refusal("P19", found, f"one of {listed}", "Name it with --sheet or in the mapping file")


def _holds_cells(worksheet: "_WorksheetLike") -> bool:
    return any(
        cell is not None and str(cell).strip()
        for row in worksheet.iter_rows(max_row=200, values_only=True)
        for cell in row
    )


def _check_archive(path: Path) -> None:
    """Refuse a file that is not an XLSX, or that is too large when unpacked."""
    try:
        with zipfile.ZipFile(path) as archive:
            parts = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, EOFError) as error:
        raise _damaged(error) from None
    names = {part.filename for part in parts}
    if "xl/workbook.bin" in names:
        raise refused(
            "the file is a binary workbook (XLSB)", "XLSX or CSV", "Save it as XLSX in Excel"
        )
    if "mimetype" in names or "content.xml" in names:
        raise refused("the file is an OpenDocument table", "XLSX or CSV", "Save it as XLSX or CSV")
    held = [p.file_size for p in parts if "sharedstrings" in p.filename.casefold()
            or "styles" in p.filename.casefold()]  # fmt: skip
    if sum(part.file_size for part in parts) > MOST_BYTES or sum(held) > MOST_TEXT_BYTES:
        raise refused(
            "the workbook unpacks to more than a table can hold",
            f"at most {MOST_BYTES // 1_000_000} MB, {MOST_TEXT_BYTES // 1_000_000} MB of texts",
            "Export the table as CSV",
        )


@contextmanager
def _opened(path: Path) -> Iterator["openpyxl.Workbook"]:
    """Open the workbook; formulas give the values that Excel computed last."""
    import openpyxl

    # The open file is passed, not its name: openpyxl would refuse some file name endings.
    with path.open("rb") as file, _said_by_us():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            book = openpyxl.load_workbook(file, read_only=True, data_only=True, keep_links=False)
        try:
            yield book
        finally:
            book.close()


@contextmanager
def _said_by_us() -> Iterator[None]:
    """Turn any error of openpyxl on a damaged file into P14."""
    try:
        yield
    except (Refusal, GeneratorExit):
        raise
    except Exception as error:  # noqa: BLE001 - any error of the parser means a damaged file
        raise _damaged(error) from None


def _cells(path: Path, name: str) -> Iterator[tuple[object, ...]]:
    with _opened(path) as book:
        worksheet = book[name]
        worksheet.reset_dimensions()  # some programs declare a wrong size
        rows = islice(worksheet.iter_rows(values_only=True), MOST_ROWS)
        while batch := _next(rows):
            yield from batch


def _next(rows: Iterator[tuple[object, ...]]) -> list[tuple[object, ...]]:
    """Read the next batch of rows; catching warnings for each single row would be slow."""
    with _said_by_us(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return list(islice(rows, _BATCH))


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    if isinstance(value, datetime):
        day = value.date().isoformat()
        return (
            day if (value.hour, value.minute, value.second) == (0, 0, 0) else value.isoformat(" ")
        )
    return value.isoformat() if isinstance(value, date) else str(value)


def _scanned(path: Path, part: str) -> tuple[MergedCells, ...]:
    """Find the merged cells of a worksheet, which follow its rows, without parsing the rows.

    Raises:
        Refusal: P14 if a formula has no stored value.
    """
    found: set[MergedCells] = set()
    with _said_by_us(), zipfile.ZipFile(path) as archive, archive.open(part) as file:
        text = b""
        # A tag may span two chunks, so the end of one chunk is searched again with the next.
        while chunk := file.read(_CHUNK):
            text = text[-_OVERLAP:] + chunk
            found.update(map(_corners, _MERGED.finditer(text)))
            if formula := _NO_VALUE.search(text):
                raise refused(
                    f"cell {formula[1].decode()} holds a formula that was never computed",
                    "formulas with their values",
                    "Open the workbook in Excel, save it, and try again",
                )
    return tuple(sorted(found, key=lambda one: (one.top, one.left)))


def _corners(match: re.Match[bytes]) -> MergedCells:
    from openpyxl.utils import column_index_from_string

    left, right = (column_index_from_string(match[i].decode()) for i in (1, 3))
    return MergedCells(int(match[2]), left, int(match[4]), right)


class _Filler:
    """Repeats the text of merged cells in all cells that they cover, row by row."""

    def __init__(self, merged: tuple[MergedCells, ...]) -> None:
        self.waiting = list(reversed(merged))
        self.open: list[tuple[MergedCells, str]] = []

    def filled(self, number: int, row: list[str]) -> tuple[str, ...]:
        self.open = [pair for pair in self.open if pair[0].bottom >= number]
        while self.waiting and self.waiting[-1].top <= number:
            one = self.waiting.pop()
            if one.bottom >= number:
                text = row[one.left - 1] if one.left <= len(row) else ""
                self.open.append((one, text))
        for one, text in self.open:
            if text:
                self._repeat(one, text, number, row)
        return tuple(row)

    def _repeat(self, one: MergedCells, text: str, number: int, row: list[str]) -> None:
        if one.right > len(row):
            row.extend([""] * (one.right - len(row)))
        for column in range(one.left, one.right + 1):
            if (number, column) != (one.top, one.left):
                row[column - 1] = MergedCell(text)


def _damaged(error: Exception) -> Refusal:
    return refused(
        f"the workbook is damaged or no XLSX ({type(error).__name__})",
        "an XLSX file",
        "Open it in Excel and save it again as XLSX, or as CSV",
    )
