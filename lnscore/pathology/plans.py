"""Applies a mapping to the columns of one table: the plan of what to take from each row."""

from collections.abc import Callable, Sequence
from collections.abc import Mapping as Map
from dataclasses import dataclass, field

from lnscore.pathology.fields import MappedField, Resolver, worded
from lnscore.pathology.headings import Columns, compared
from lnscore.pathology.mapping import (
    CodeColumn,
    CountColumn,
    DateColumn,
    ExaminedAndPositive,
    FieldText,
    LongTable,
    Mapping,
    RowCondition,
)
from lnscore.pathology.mapping_spelling import Spelling
from lnscore.pathology.rows import FIELDS, MANDATORY
from lnscore.tables.messages import Message

ADVICE = "write a mapping file: `lnscore pathology draft FILE` proposes one"

COUNT_FIELDS = {
    "positive": ("n_positive",),
    "total": ("n_examined",),
    "positive/total": ("n_positive",),
}

Condition = Callable[[Sequence[str]], bool]


@dataclass(frozen=True, kw_only=True)
class FindingPlan:
    """The plan of one finding of a row.

    Attributes:
        fields: Source of each field's text in the row.
        station: Station, if the mapping gives it; empty if the row does.
        side: Source of the side in the row, if the row gives it.
        side_word: Word for the side, if the mapping gives it.
        joined_by: Character that joins merged stations in a cell.
        zeros: Whether a 0 may mean that nothing was sampled.
    """

    fields: Map[str, MappedField]
    station: str = ""
    side: MappedField | None = None
    side_word: str = ""
    joined_by: str = ""
    zeros: bool = False


@dataclass(kw_only=True)
class ReadingPlan:
    """The plan for all rows of a table.

    Attributes:
        common: Fields that all findings of a row share.
        items: Plans of the findings of a row.
        dates: Column and format of the dates among the common fields.
        conditions: Conditions on a row; a row that fails one is left out.
        spelling: Spelling of the stations.
        tumour: Source of the side of the tumour in a row.
        zero_means: Meaning of a 0, as in the mapping.
        left_out: Reason for each finding to leave out, by its row and column.
        said: Messages P15 and P17.
    """

    common: Map[str, MappedField]
    items: Sequence[FindingPlan]
    dates: Map[str, DateColumn] = field(default_factory=dict)
    conditions: Sequence[Condition] = ()
    spelling: Spelling = field(default_factory=Spelling)
    tumour: MappedField | None = None
    zero_means: str = "zero"
    left_out: Map[tuple[int, int], str] = field(default_factory=dict)
    notes: list[Message] = field(default_factory=list)


def plan_of(columns: Columns, mapping: Mapping, id_column: str | None) -> ReadingPlan:
    """Apply a mapping to a table; P15 for each missing column, P17 for the unused ones."""
    resolver = Resolver(columns)
    patient = FieldText(column=id_column) if id_column else mapping.patient_key
    common = {
        "patient_key": resolver.value(patient),
        "report_id": resolver.value(mapping.report_id),
        "report_date": resolver.cell(mapping.report_date.column),
        "station_system": resolver.value(mapping.station_system),
    }
    dates = {"report_date": mapping.report_date}
    if mapping.surgery_date:
        common["surgery_date"] = resolver.cell(mapping.surgery_date.column)
        dates["surgery_date"] = mapping.surgery_date
    if mapping.neoadjuvant:
        common["neoadjuvant"] = resolver.value(mapping.neoadjuvant)
    side = mapping.tumour_side
    plan = ReadingPlan(
        common=common,
        items=_items(resolver, mapping),
        dates=dates,
        conditions=[_condition(resolver, only) for only in mapping.rows],
        spelling=Spelling(
            mapping.aliases,
            mapping.sides,
            side.right if side else (),
            side.left if side else (),
        ),
        tumour=resolver.cell(side.column) if side else None,
        zero_means=mapping.zero_means or "zero",
        left_out={(one.row, resolver.column(one.column)): one.because for one in mapping.left_out},
    )
    ignored = {compared(name) for name in mapping.ignored}
    plan.notes = [*resolver.notes, *_unmapped(resolver, ignored)]
    return plan


def plan_of_canonical(columns: Columns, id_column: str | None) -> ReadingPlan:
    """Make the plan of a table with canonical headings; P15 if mandatory ones are missing."""
    resolver = Resolver(columns)
    found: dict[str, MappedField] = {}
    for i, path in enumerate(columns.paths):
        name = _canonical(path)
        if name not in FIELDS or (name == "patient_key" and id_column):
            continue
        if name in found:
            text = f"column {name} is there twice; {ADVICE}"
            resolver.notes.append(Message("P15", "E", text))
        found[name] = resolver.cell(columns.names[i])
    if id_column:
        found["patient_key"] = resolver.cell(id_column)
    # A missing system gives P01 for each row, whose message lists what the code could mean.
    missing = [one for one in MANDATORY if one not in found and one != "station_system"]
    if missing:
        text = f"no column {', '.join(missing)}; {ADVICE}"
        resolver.notes.append(Message("P15", "E", text))
    notes = [*resolver.notes, *_unmapped(resolver, set())]
    found.pop("source_row", None)
    return ReadingPlan(common={}, items=[FindingPlan(fields=found)], notes=notes)


def _canonical(path: str) -> str:
    return "_".join(compared(path).replace("_", " ").replace("-", " ").split())


def _items(resolver: Resolver, mapping: Mapping) -> list[FindingPlan]:
    items = [_pair(resolver, one) for one in mapping.pairs]
    items += [_count(resolver, one) for one in mapping.counts]
    items += [_code(resolver, one) for one in mapping.codes]
    if mapping.long:
        items.append(_long(resolver, mapping.long))
    return items


def _pair(resolver: Resolver, pair: ExaminedAndPositive) -> FindingPlan:
    fields = {
        "n_positive": resolver.cell(pair.positive),
        "n_examined": resolver.cell(pair.total),
    }
    return FindingPlan(fields=fields, station=pair.station, side_word=pair.side, zeros=True)


def _count(resolver: Resolver, count: CountColumn) -> FindingPlan:
    fields = {name: resolver.cell(count.column) for name in COUNT_FIELDS[count.holds]}
    return FindingPlan(fields=fields, station=count.station, side_word=count.side, zeros=True)


def _code(resolver: Resolver, code: CodeColumn) -> FindingPlan:
    cell, words = resolver.cell(code.column), worded(code.values)
    status = MappedField(lambda cells, row: words(cell.take(cells, row)), cell.heading, cell.column)
    return FindingPlan(fields={"status": status}, station=code.station, side_word=code.side)


def _long(resolver: Resolver, long: LongTable) -> FindingPlan:
    named = {"station": long.station, "n_examined": long.n_examined,
             "n_positive": long.n_positive, "status": long.status}  # fmt: skip
    fields = {name: resolver.value(one) for name, one in named.items() if one is not None}
    side = resolver.value(long.side) if long.side else None
    return FindingPlan(fields=fields, side=side, joined_by=long.joined_by)


def _condition(resolver: Resolver, only: RowCondition) -> Condition:
    column = resolver.column(only.column)
    if only.filled is not None:
        return lambda cells: bool(cells[column].strip()) == only.filled
    words = {compared(word) for word in only.is_ or only.is_not or ()}
    wanted = only.is_ is not None
    return lambda cells: (compared(cells[column]) in words) == wanted


def _unmapped(resolver: Resolver, ignored: set[str]) -> list[Message]:
    """Return P17 with every column that has a heading and is neither used nor ignored."""
    columns = resolver.columns
    left = [
        path
        for i, path in enumerate(columns.paths)
        if path
        and i not in resolver.used
        and not {compared(path), compared(columns.names[i])} & ignored
    ]
    if not left:
        return []
    listed = ", ".join(f"'{path}'" for path in left)
    one = "column is" if len(left) == 1 else "columns are"
    return [Message("P17", "W", f"{len(left)} {one} not mapped: {listed}")]
