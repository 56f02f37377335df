"""Turns the rows of a wide or long table into findings, as the mapping says."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from lnscore.errors import Refusal
from lnscore.pathology.fields import iso_date
from lnscore.pathology.headings import Columns, letter_of
from lnscore.pathology.mapping import Mapping
from lnscore.pathology.mapping_spelling import UnknownSide
from lnscore.pathology.plans import FindingPlan, ReadingPlan, plan_of, plan_of_canonical
from lnscore.pathology.rows import SourceRow
from lnscore.tables.cells import shown
from lnscore.tables.counts import read_count
from lnscore.tables.messages import Message
from lnscore.tables.sheets import Sheet
from lnscore.tables.workbooks import MergedCell

COUNTED = ("n_examined", "n_positive", "status")
"""Fields that belong to one finding only: a merged cell cannot give them to several."""


def source_rows(
    sheet: Sheet, mapping: Mapping | None = None, *, id_column: str | None = None
) -> Iterator[SourceRow | Message]:
    """Read every finding of a table.

    Args:
        sheet: The table.
        mapping: The mapping; None if the headings are the canonical ones.
        id_column: Column of the patients' ids, in place of the one in the mapping.

    Yields:
        Findings and messages. P15 if a column is missing; there are no findings then. P17 with
        the unused columns. P14 if the table cannot be read to its end or a row is too long.
    """
    columns = Columns(sheet.headings)
    plan = (
        plan_of(columns, mapping, id_column) if mapping else plan_of_canonical(columns, id_column)
    )
    yield from plan.notes
    if any(message.severity == "E" for message in plan.notes):
        return
    reader, width = _Reader(plan), len(sheet.headings)
    try:
        for number, cells in enumerate(sheet.rows, start=sheet.first_row):
            if any(map(str.strip, cells)):
                yield from reader.read(_fitted(cells, width), number)
                yield from _beyond(cells, width, number)
    except Refusal as refusal:
        text = f"{refusal.found}; wanted {refusal.wanted}. {refusal.fix}"
        yield Message(refusal.code, "E", text)


def _fitted(cells: Sequence[str], width: int) -> Sequence[str]:
    return cells if len(cells) >= width else (*cells, *[""] * (width - len(cells)))


def _beyond(cells: Sequence[str], width: int, number: int) -> Iterator[Message]:
    """Yield P14 for a cell to the right of the last heading: the row may be shifted."""
    for column in range(width, len(cells)):
        if cells[column].strip():
            text = f"a cell beyond the last heading: {len(cells)} cells, {width} headings"
            yield Message("P14", "E", text, number, letter_of(column))
            return


@dataclass
class _Reader:
    """Reads the findings row by row."""

    plan: ReadingPlan
    zeros_said: set[str] = field(default_factory=set)

    def read(self, cells: Sequence[str], number: int) -> Iterator[SourceRow | Message]:
        """Yield the findings and messages of a row that meets all conditions."""
        if not all(condition(cells) for condition in self.plan.conditions):
            return
        items = [
            (item, values) for item in self.plan.items if (values := _taken(item, cells, number))
        ]
        if not items:
            return
        common, notes = self._common(cells, number)
        yield from notes
        for item, values in items:
            message = self._left_out(item, number) or _merged(item, cells, number)
            if message or (message := self._zero(item, values, number)):
                yield message
            elif values:
                yield self._finding(item, common | values, cells, number)

    def _left_out(self, item: FindingPlan, number: int) -> Message | None:
        """Return P27 for a finding that the mapping leaves out."""
        if self.plan.left_out:
            for one in item.fields.values():
                if one.column is not None and (number, one.column) in self.plan.left_out:
                    because = self.plan.left_out[number, one.column]
                    text = f"left out, as the mapping says: {because}"
                    return Message("P27", "W", text, number, one.heading)
        return None

    def _common(self, cells: Sequence[str], number: int) -> tuple[dict[str, str], list[Message]]:
        """Return the fields that all findings share, and P16 for a date in another format."""
        values, notes = {"source_row": str(number)}, []
        for name, one in self.plan.common.items():
            values[name] = one.take(cells, number)
            if date := self.plan.dates.get(name):
                iso = iso_date(values[name], date)
                if iso is None:
                    found = f"{name} {shown(values[name])} is not a date written as {date.format}"
                    notes.append(_no_date(name, found, number, one.heading))
                values[name] = iso or ""
        return values, notes

    def _finding(
        self, item: FindingPlan, values: dict[str, str], cells: Sequence[str], number: int
    ) -> SourceRow | Message:
        columns = {
            name: one.heading for name, one in (*self.plan.common.items(), *item.fields.items())
        }
        if item.station:
            columns["station"] = next(iter(item.fields.values())).heading
        side = item.side.take(cells, number) if item.side else item.side_word
        tumour = self.plan.tumour.take(cells, number) if self.plan.tumour else ""
        try:
            values["station"] = self.plan.spelling.spelled(
                values.get("station_system", ""),
                item.station or values.get("station", ""),
                side=side,
                tumour=tumour,
                joined_by=item.joined_by,
            )
        except UnknownSide as unknown:
            text = f"the side {shown(str(unknown))} is not explained in the mapping"
            return Message("P18", "E", text, number, columns["station"])
        return SourceRow(values, number, columns)

    def _zero(self, item: FindingPlan, values: dict[str, str], number: int) -> Message | None:
        """Set the values that a 0 means; if it is refused, clear them and return P18 per column."""
        if not item.zeros or not _is_zero(values):
            return None
        if self.plan.zero_means == "refuse":
            heading = " | ".join(one.heading for one in item.fields.values())
            values.clear()
            if heading in self.zeros_said:
                return None
            self.zeros_said.add(heading)
            text = "0 may mean no node or not sampled: the mapping has zero_means: refuse"
            return Message("P18", "E", text, number, heading)
        if self.plan.zero_means == "not_sampled":
            values.update({name: "" for name in item.fields}, status="not_sampled")
        elif "n_examined" not in values:
            values["status"] = "negative"
        return None


def _taken(item: FindingPlan, cells: Sequence[str], number: int) -> dict[str, str]:
    """Return the texts of a finding; none if its columns are empty or it is to be skipped."""
    values = {name: one.take(cells, number) for name, one in item.fields.items()}
    # An empty finding of a long table is kept: the checks report its missing station.
    empty = item.station and not any(map(str.strip, values.values()))
    return {} if empty or values.get("status") == "skip" else values


def _merged(item: FindingPlan, cells: Sequence[str], number: int) -> Message | None:
    """Return P14 if a number is in a cell that is merged over several findings."""
    for name in COUNTED:
        one = item.fields.get(name)
        if one and one.column is not None and isinstance(cells[one.column], MergedCell):
            text = (
                "the cell is merged with its neighbour, one number for several findings; "
                "join their stations with + in one row, or split the number"
            )
            return Message("P14", "E", text, number, one.heading)
    return None


def _is_zero(values: dict[str, str]) -> bool:
    counts = [read_count(text.strip(), 0) for text in values.values() if text.strip()]
    return all(one.value == 0 and not one.of for one in counts)


def _no_date(name: str, found: str, number: int, heading: str) -> Message:
    if name == "report_date":
        return Message("P16", "E", found, number, heading)
    return Message("P16", "W", f"{found}: stored as null", number, heading)
