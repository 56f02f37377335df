"""How one field of a finding is taken from the cells of a row."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache

from lnscore.pathology.headings import Columns, compared
from lnscore.pathology.mapping import DATE_FORMATS, DateColumn, FieldText
from lnscore.tables.messages import Message

Take = Callable[[Sequence[str], int], str]
"""Text of a field from the cells of a row and the row's number."""

_SLOT = re.compile(r"\{([^{}]+)\}")
_SEPARATOR = re.compile(r"(?<=\d)[-. ]+(?=\d)")


@dataclass(frozen=True)
class MappedField:
    """A field: how to take it, and the heading that messages name."""

    take: Take
    heading: str = ""
    column: int | None = None


@dataclass
class Resolver:
    """Finds the columns that a mapping names; notes which are used and which are not there."""

    columns: Columns
    used: set[int] = field(default_factory=set)
    said: list[Message] = field(default_factory=list)

    def column(self, name: str) -> int:
        """Number of a column; where it is not there P15 is noted and 0 stands in."""
        found = self.columns.find(name)
        if isinstance(found, Message):
            if found not in self.said:
                self.said.append(found)
            return 0
        self.used.add(found)
        return found

    def cell(self, name: str) -> MappedField:
        """The text of a column as it is."""
        column = self.column(name)
        return MappedField(lambda cells, row: cells[column], self.columns.shown(column), column)

    def value(self, wanted: FieldText) -> MappedField:
        """A column, a template or one text, its words turned into ours."""
        if wanted.value is not None:
            text = wanted.value
            return MappedField(lambda cells, row: text)
        taken = self.cell(wanted.column) if wanted.column else self._template(wanted.template or "")
        if not wanted.values:
            return taken
        words, take = worded(wanted.values), taken.take
        return MappedField(lambda cells, row: words(take(cells, row)), taken.heading, taken.column)

    def _template(self, template: str) -> MappedField:
        """`{row}` and `{heading}` filled in; empty where a column of it is, half an id is none."""
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
    """A function that turns a table's word into ours; what it does not know stays."""
    known = {compared(word): ours for word, ours in values.items()}

    def words(text: str) -> str:
        return known.get(compared(text), text)

    return words


def iso_date(text: str, wanted: DateColumn) -> str | None:
    """ISO date of a cell; "" where it is empty, None where it is not written as stated."""
    if not (text := text.strip()):
        return ""
    return _parsed(text, wanted.format)


@lru_cache(maxsize=16384)
def _parsed(text: str, form: str) -> str | None:
    # What a workbook holds as a date is ISO already, whatever the format in the cells.
    patterns = [DATE_FORMATS.get(form, form), "%Y-%m-%d", "%Y-%m-%d %H:%M:%S"]
    plain = _SEPARATOR.sub("/", text) if form in DATE_FORMATS and form != "iso" else text
    for pattern, written in zip(patterns, (plain, text, text), strict=True):
        try:
            day = datetime.strptime(written, pattern).date()
        except (ValueError, re.error):
            continue
        return day.isoformat() if day.year >= 1000 else None
    return None
