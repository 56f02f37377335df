"""Checks each row of labels by itself: the reader, the value, and how it names its node."""

import math
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from db.labels import RULES
from lnscore.labels.table import LabelTable
from lnscore.masks.points import COORDS
from lnscore.tables.messages import Message

MALIGNANT = ("1", "1.0", "malignant", "positive", "metastatic")
BENIGN = ("0", "0.0", "benign", "negative")
UIDS = ("tracking_uid", "series_uid", "study_uid")
NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")


@dataclass(frozen=True, kw_only=True)
class LabelRow:
    """One label; it names its node by `tracking_uid`, or by a point.

    Attributes:
        row: Row of the label in the file, from 1.
        reader: Name of the reader.
        value: 1 malignant, 0 benign.
        tracking_uid: Tracking UID of the node, or empty.
        series_uid: UID of the series with the node or the point, or empty.
        study_uid: UID of the study with the node or the point, or empty.
        point: x, y, z as written in the row; None if there is a tracking UID.
        coord: Coordinate system of the point, one of `COORDS`; empty without a point.
    """

    row: int
    reader: str
    value: int
    tracking_uid: str = ""
    series_uid: str = ""
    study_uid: str = ""
    point: tuple[float, float, float] | None = None
    coord: str = ""


@dataclass(frozen=True)
class StatedForAllRows:
    """Values for every row, from the options of the command."""

    reader: str = ""
    coord: str = ""


def check(
    table: LabelTable, asked: StatedForAllRows, known_readers: Iterable[str] = ()
) -> tuple[list[LabelRow], list[Message]]:
    """Check every row; give the reason for each row that cannot be used.

    Args:
        table: The unchecked rows.
        asked: Values of `--reader` and `--coord`.
        known_readers: Readers in the database.

    Returns:
        The usable rows, and an error for every value that is not usable.
    """
    rows: list[LabelRow] = []
    messages: list[Message] = []
    names = {_folded(name): name for name in known_readers}
    for number, cells in table.rows:
        of_row = _OfRow(number, cells, table, asked)
        parts = (of_row.reader(names), of_row.value(), of_row.point(), of_row.coord())
        wrong = [part for part in (*parts, of_row.unnamed()) if isinstance(part, Message)]
        messages += wrong
        if not wrong:
            rows.append(of_row.label(*parts))  # pyright: ignore[reportArgumentType] - no Message is left
    return rows, messages


@dataclass(frozen=True)
class _OfRow:
    """One row; every method returns a column's value, or the error in it."""

    row: int
    cells: Mapping[str, str]
    table: LabelTable
    asked: StatedForAllRows

    @property
    def named(self) -> bool:
        return "tracking_uid" in self.cells

    def reader(self, names: dict[str, str]) -> str | Message:
        written = [self.cells.get("reader", ""), self.table.reader, self.asked.reader]
        said = {" ".join(_plain(name).split()) for name in written} - {""}
        if len(said) != 1:
            found = " and ".join(f"'{name}'" for name in sorted(said)) or "no reader"
            return self._wrong("L08", "reader", f"{found}; name one, in the column or by --reader")
        (reader,) = said
        if reader in RULES:
            return self._wrong("L08", "reader", f"'{reader}' is the name of a consensus rule")
        known = names.setdefault(_folded(reader), reader)
        if known != reader:
            told = f"'{reader}' looks like '{known}'; write each reader in one way"
            return self._wrong("L08", "reader", told)
        return reader

    def value(self) -> int | Message:
        written = self.cells.get("value", "")
        word = _plain(written).lower()
        if word in MALIGNANT or word in BENIGN:
            return int(word in MALIGNANT)
        words = ", ".join((*MALIGNANT, *BENIGN))
        found = f"'{written}' is no label" if written else "no label"
        return self._wrong("L04", "value", f"{found}; wanted one of {words}, or leave the row out")

    def point(self) -> tuple[float, float, float] | Message | None:
        if self.named:
            return None
        x, y, z = (_plain(self.cells.get(name, "")) for name in "xyz")
        for name, text in zip("xyz", (x, y, z), strict=True):
            if not NUMBER.fullmatch(text) or not math.isfinite(float(text)):
                found = f"'{text}' is no number" if text else "no coordinate and no tracking_uid"
                return self._wrong("L05", name, found)
        return float(x), float(y), float(z)

    def coord(self) -> str | Message:
        if self.named:
            return ""
        written = (self.cells.get("coord", ""), self.table.coord, self.asked.coord)
        said = {_plain(name).upper() for name in written} - {""}
        if len(said) == 1 and said <= set(COORDS):
            return said.pop()
        found = " and ".join(sorted(said)) or "no coordinate system is stated"
        wanted = f"wanted one of {', '.join(COORDS)} in column coord or by --coord"
        return self._wrong("L05", "coord", f"{found}; {wanted}")

    def unnamed(self) -> Message | None:
        if self.named or {"series_uid", "study_uid"} & set(self.cells):
            return None
        return self._wrong("L03", "series_uid", "a point without series_uid or study_uid")

    def label(
        self, reader: str, value: int, point: tuple[float, float, float] | None, coord: str
    ) -> LabelRow:
        uids = {name: self.cells.get(name, "") for name in UIDS}
        return LabelRow(row=self.row, reader=reader, value=value, point=point, coord=coord, **uids)

    def _wrong(self, code: str, column: str, text: str) -> Message:
        return Message(code, "E", text, self.row, column)


def _plain(text: str) -> str:
    """Return a text without outer blanks, with full-width letters and digits as plain ones."""
    return unicodedata.normalize("NFKC", text).strip()


def _folded(reader: str) -> str:
    """Return a reader's name without case, blanks and punctuation, for comparison."""
    return "".join(c for c in _plain(reader).casefold() if c.isalnum()) or reader
