"""Takes the fields of a finding from the cells of a row."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache

from lnscore.pathology.headings import Columns, compared
from lnscore.pathology.mapping import DATE_FORMATS, DateColumn, FieldText
from lnscore.tables.messages import Message

Take = Callable[[Sequence[str], int], str]
"""Function that returns the text of a field, from the cells of a row and the row's number."""

_SLOT = re.compile(r"\{([^{}]+)\}")
_SEPARATOR = re.compile(r"(?<=\d)[-. ]+(?=\d)")


@dataclass(frozen=True)
class MappedField:
    """A field: the function that takes it from a row, and the heading for messages."""

    take: Take
    heading: str = ""
    column: int | None = None


@dataclass
class Resolver:
    """Finds the columns that a mapping names; records which are used and which are missing."""

    columns: Columns
    used: set[int] = field(default_factory=set)
    notes: list[Message] = field(default_factory=list)

    def column(self, name: str) -> int:
        """Return the number of a column; if it is missing, record P15 and return 0."""
        found = self.columns.find(name)
        if isinstance(found, Message):
            if found not in self.notes:
                self.notes.append(found)
            return 0
        self.used.add(found)
        return found

    def cell(self, name: str) -> MappedField:
        """Return a field that is the unchanged text of a column."""
        column = self.column(name)
        return MappedField(lambda cells, row: cells[column], self.columns.shown(column), column)

    def value(self, wanted: FieldText) -> MappedField:
        """Return a field from a column, a template or a fixed text, with its words translated."""
        if wanted.value is not None:
            text = wanted.value
            return MappedField(lambda cells, row: text)
        taken = self.cell(wanted.column) if wanted.column else self._template(wanted.template or "")
        if not wanted.values:
            return taken
        words, take = worded(wanted.values), taken.take
        return MappedField(lambda cells, row: words(take(cells, row)), taken.heading, taken.column)

    def _template(self, template: str) -> MappedField:
        """Return a field that fills `{row}` and `{heading}`; empty if one of the cells is."""
        names = [name for name in _SLOT.findall(template) if name != "row"]
        columns = {name: self.column(name) for name in names}
        pieces = _SLOT.split(template)

        def take(cells: Sequence[str], row: int) -> str:
            filled = {name: cells[column].strip() for name, column in columns.items()}
            if not all(filled.values()):
                return ""
            filled["row"] = str(row)
            return "".join(filled[one] if i % 2 else one for i, one in enumerate(pieces))

        return MappedField(take, " | ".join(self.columns.shown(one) for one in columns.values()))


def worded(values: Mapping[str, str]) -> Callable[[str], str]:
    """Return a function that translates a word of the table; it keeps unknown words."""
    known = {compared(word): ours for word, ours in values.items()}

    def words(text: str) -> str:
        return known.get(compared(text), text)

    return words


def iso_date(text: str, wanted: DateColumn) -> str | None:
    """Return the ISO date of a cell; "" if it is empty, None if it does not have the format."""
    if not (text := text.strip()):
        return ""
    return _parsed(text, wanted.format)


@lru_cache(maxsize=16384)
def _parsed(text: str, form: str) -> str | None:
    # A date cell of a workbook is read as ISO, whatever format the workbook shows.
    patterns = [DATE_FORMATS.get(form, form), "%Y-%m-%d", "%Y-%m-%d %H:%M:%S"]
    plain = _SEPARATOR.sub("/", text) if form in DATE_FORMATS and form != "iso" else text
    for pattern, written in zip(patterns, (plain, text, text), strict=True):
        try:
            day = datetime.strptime(written, pattern).date()
        except (ValueError, re.error):
            continue
        return day.isoformat() if day.year >= 1000 else None
    return None
