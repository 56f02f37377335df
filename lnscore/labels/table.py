"""Reads a table of readers' labels without checks: CSV, TSV, a spreadsheet, or JSON."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lnscore.errors import Refusal
from lnscore.tables.cells import cleaned, shown

COLUMNS = ("reader", "value", "tracking_uid", "series_uid", "study_uid", "x", "y", "z", "coord")
MAX_BYTES = 1 << 26
"""Largest size of the file; enough for half a million labels of some 100 bytes."""

TOLD = 10
"""Largest number of headings in a message."""


@dataclass(frozen=True, kw_only=True)
class LabelTable:
    """The unchecked rows of a file.

    Attributes:
        name: Name of the file, for messages.
        sha256: SHA-256 of the file.
        rows: Row of the sheet, line of the file or number of the JSON object, from 1, with the
            text of each of `COLUMNS` that it has.
        ignored: Headings that are not in `COLUMNS`.
        said: Notes on how the file was read: encoding, delimiter.
        reader: Reader stated for the whole file (JSON only), or empty.
        coord: Coordinate system stated for the whole file (JSON only), or empty.
    """

    name: str
    sha256: str
    rows: tuple[tuple[int, Mapping[str, str]], ...]
    ignored: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    reader: str = ""
    coord: str = ""


def read_table(path: Path) -> LabelTable:
    """Read a table of labels.

    Args:
        path: A `.json` file holds a list of objects, or an object with `labels` and, optionally,
            `reader` and `coord` for all of them; any other file is a table with headings.

    Raises:
        Refusal: L06 if the file is missing, damaged, empty or lacks a column; P14 or P19 if the
            table cannot be read.
    """
    try:
        size = path.stat().st_size
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest() if size <= MAX_BYTES else ""
    except OSError as error:
        raise _unusable(path, error.strerror or type(error).__name__) from error
    if not sha256:
        raise _unusable(path, f"{size} bytes, at most {MAX_BYTES} are read")
    table = (_json if path.suffix.lower() == ".json" else _sheet)(path, sha256)
    if not table.rows:
        raise _unusable(path, "no row below the headings")
    return table


def _sheet(path: Path, sha256: str) -> LabelTable:
    from lnscore.tables.sheets import read_sheet
    from lnscore.tables.workbooks import MergedCell

    sheet = read_sheet(path, header_rows=1)
    written = [" ".join(part for part in heading if part) for heading in sheet.headings]
    names = [_name(heading) for heading in written]
    for name in COLUMNS:
        if names.count(name) > 1:
            raise _unusable(path, f"two columns '{name}'")
    _refuse_without_columns(path, names)
    rows = []
    for number, cells in enumerate(sheet.rows, sheet.first_row):
        if any(map(str.strip, cells[len(names) :])):
            raise _unusable(path, f"row {number} with more cells than there are headings")
        row = dict(zip(names, cells, strict=False))
        if isinstance(row.get("value"), MergedCell):
            raise _unusable(path, f"row {number} with a value that is merged over several rows")
        rows.append((number, _known(row)))
    return LabelTable(
        name=path.name,
        sha256=sha256,
        rows=tuple((number, cells) for number, cells in rows if cells),
        ignored=tuple(
            shown(heading) for heading in written if heading and _name(heading) not in COLUMNS
        ),
        notes=sheet.notes,
    )


def _refuse_without_columns(path: Path, names: list[str]) -> None:
    named = "tracking_uid" in names
    placed = {"x", "y", "z"} <= set(names) and {"series_uid", "study_uid"} & set(names)
    if "value" not in names or not (named or placed):
        named_ones = [shown(name) for name in names if name]
        more = ", ..." if len(named_ones) > TOLD else ""
        listed = ", ".join(named_ones[:TOLD]) + more or "without a name"
        raise _unusable(path, f"the columns {listed}")


def _json(path: Path, sha256: str) -> LabelTable:
    try:
        written = json.loads(path.read_bytes(), object_pairs_hook=_once)
        stated = written if isinstance(written, dict) else {"labels": written}
        rows = list(_objects(stated["labels"]))
        reader, coord = _text(stated.get("reader")), _text(stated.get("coord"))
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise _unusable(path, f"{type(error).__name__}: {cleaned(str(error))}") from error
    ignored = sorted({shown(key) for _, row in rows for key in row if _name(key) not in COLUMNS})
    known = tuple((number, _known({_name(key): row[key] for key in row})) for number, row in rows)
    return LabelTable(
        name=path.name,
        sha256=sha256,
        rows=known,
        ignored=tuple(ignored),
        notes=(),
        reader=reader,
        coord=coord,
    )


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make an object; raise an error if a member occurs twice, in any spelling."""
    names = [_name(key) for key, _ in pairs]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise ValueError(f"two members '{twice}'")
    return dict(pairs)


def _objects(labels: Any) -> Iterator[tuple[int, dict[str, str]]]:  # noqa: ANN401 - any JSON
    if not isinstance(labels, list):
        raise TypeError("the labels are no list")
    for number, label in enumerate(labels, 1):
        if not isinstance(label, dict):
            raise TypeError(f"label {number} is no object")
        yield number, {key: _text(value) for key, value in label.items()}


def _text(value: Any) -> str:  # noqa: ANN401 - any JSON
    """Return a value of JSON as the text that a table would have."""
    if value is None:
        return ""
    if isinstance(value, dict | list):
        raise TypeError("an object or list where text or a number is wanted")
    return str(value)


def _name(heading: str) -> str:
    return "_".join(heading.replace("-", " ").replace("_", " ").lower().split())


def _known(cells: Mapping[str, str]) -> dict[str, str]:
    clean = {name: cleaned(cells[name]) for name in COLUMNS if name in cells}
    return {name: text for name, text in clean.items() if text}


def _unusable(path: Path, found: str) -> Refusal:
    return Refusal(
        "L06",
        f"{path.name}: {found}",
        "a table or JSON with value, and tracking_uid or x, y, z with series_uid or study_uid",
        "Correct the file; see docs/labels.md.",
    )
