"""Proposes a mapping from the headings of a table; doubtful lines are marked `# unsure`."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

from db.records import NEOADJUVANT
from lnscore.errors import Refusal
from lnscore.pathology.columns_known import KnownColumn, known_columns
from lnscore.pathology.headings import Columns, parts_of
from lnscore.pathology.readings import StationColumn, reading_of
from lnscore.stations import vocabulary
from lnscore.tables.sheets import Sheet

LOOKED_AT = 300
"""Number of rows of data that are examined."""

MOST_COLUMNS = 2000
SYSTEMS = tuple(name for name in vocabulary.VERSIONS if name != "SCT")

LONG_ONLY = ("station", "side", "n_examined", "n_positive", "status")

_MARKS = {"0", "1", "y", "n", "yes", "no", "x", "+", "-", "true", "false"}
_CODE = re.compile(r"[A-Z]{1,5}\d{0,2}[A-Z]?")
_FRACTION = re.compile(r"\d{1,3}\s*/\s*\d{1,3}")


@dataclass(frozen=True, kw_only=True)
class Draft:
    """A proposed mapping.

    Attributes:
        text: Text of the mapping file, with comments.
        pairs: Number of stations with two columns, examined and positive.
        counts: Number of columns with one number, or with `1/5`, in a cell.
        codes: Number of columns with marks.
        unsure: Number of lines that are marked `# unsure`.
        unused: Headings of the columns that the mapping does not use.
    """

    text: str
    pairs: int
    counts: int
    codes: int
    unsure: int
    unused: tuple[str, ...]


def draft(sheet: Sheet) -> Draft:
    """Propose a mapping.

    Args:
        sheet: The table; its first rows show which columns hold dates and marks.
    """
    return _Drafting(sheet).draft()


@dataclass
class _Drafting:
    """A proposal while it is written: its lines, and the columns used so far."""

    sheet: Sheet
    lines: list[str] = field(default_factory=list)
    used: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.columns = Columns(self.sheet.headings)
        self.parts = [parts_of(cells) for cells in self.sheet.headings]
        self.samples = _samples(self.sheet)
        self.known = known_columns(self.parts, self.samples)

    def draft(self) -> Draft:
        """Write all parts, in the order of the mapping."""
        system, readings, others = self._best_system()
        self._head()
        self._identity()
        self._system(system, others, bool(readings))
        pairs, counts, codes = self._wide(readings) if readings else (0, 0, 0)
        if not readings:
            self._long()
        if "source_row" in self.known:
            self.lines.append(f"ignored: [{self._name(self.known['source_row'].column)}]")
        unused = tuple(
            path for i, path in enumerate(self.columns.paths) if path and i not in self.used
        )
        if unused:
            self.lines.append("# Not used:")
            self.lines += [f"#   {_quoted(path)}" for path in unused]
        unsure = sum("# unsure:" in line for line in self.lines)
        return Draft(
            text="\n".join(self.lines) + "\n",
            pairs=pairs,
            counts=counts,
            codes=codes,
            unsure=unsure,
            unused=unused,
        )

    def _head(self) -> None:
        depth = len(self.sheet.headings[0]) if self.sheet.headings else 1
        self.lines += [
            "# Proposed from the headings. Check every line, above all those marked `unsure`.",
            *(f"# {note}" for note in self.sheet.notes),
            "version: 1",
            f"header_rows: {depth}",
        ]
        if skipped := self.sheet.first_row - 1 - depth:
            self.lines.append(f"skip_rows: {skipped}")

    def _identity(self) -> None:
        known = self.known
        if "patient_key" in known:
            self._field("patient_key", known["patient_key"])
        else:
            self._say(
                'patient_key: {template: "row-{row}"}', "no column of ids: the row number is used"
            )
        if "report_id" in known:
            self._field("report_id", known["report_id"])
        else:
            self._say(
                'report_id: {template: "report-{row}"}',
                "no column of report numbers: the row is used",
            )
        self._dates()
        if "neoadjuvant" in known:
            name = self._name(known["neoadjuvant"].column)
            words = sorted({text for text in self.samples[known["neoadjuvant"].column] if text})
            values = ", ".join(
                f"{_quoted(word)}: {word if word in NEOADJUVANT else 'unknown'}"
                for word in words[:12]
            )
            self._say(
                f"neoadjuvant: {{column: {name}, values: {{{values}}}}}",
                f"give for each word: {', '.join(NEOADJUVANT[:-1])} or {NEOADJUVANT[-1]}",
            )

    def _field(self, name: str, known: KnownColumn) -> None:
        self._say(f"{name}: {{column: {self._name(known.column)}}}", known.unsure)

    def _dates(self) -> None:
        report, surgery = self.known.get("report_date"), self.known.get("surgery_date")
        if report is not None:
            self._date("report_date", report, report.unsure)
        elif surgery is not None:
            self._date("report_date", surgery, "no report date: the surgery date is used")
        else:
            self._say('report_date: {column: "?", format: iso}', "no column of dates was found")
        if surgery is not None:
            self._date("surgery_date", surgery, surgery.unsure)

    def _date(self, name: str, known: KnownColumn, unsure: str) -> None:
        form, doubt = date_format(self.samples[known.column])
        doubts = "; ".join(one for one in (unsure, doubt) if one)
        self._say(f"{name}: {{column: {self._name(known.column)}, format: {form}}}", doubts)

    def _system(self, system: str, others: Sequence[str], wide: bool) -> None:
        if "station_system" in self.known and not wide:
            self._field("station_system", self.known["station_system"])
        elif others:
            self._say(f"station_system: {system}", f"{', '.join(others)} would fit as well")
        else:
            self._say(f"station_system: {system}", "" if wide else "no column names the system")

    def _best_system(self) -> tuple[str, list[StationColumn], list[str]]:
        """Return the system that matches the most headings, and others that match as many."""
        taken = {one.column for name, one in self.known.items() if name not in LONG_ONLY}
        free = [i for i in range(min(len(self.parts), MOST_COLUMNS)) if i not in taken]
        read = {
            name: [one for i in free if (one := reading_of(name, i, self.parts[i]))]
            for name in SYSTEMS
        }
        counts = {name: len(readings) for name, readings in read.items()}
        best = max(counts, key=lambda name: counts[name])
        if self._is_long(read[best]):
            return best, [], []
        others = [name for name in SYSTEMS if name != best and counts[name] == counts[best]]
        return best, read[best], others

    def _is_long(self, readings: Sequence[StationColumn]) -> bool:
        return not readings or ("station" in self.known and len(readings) < 3)

    def _long(self) -> None:
        self.lines.append("long:")
        if "station" in self.known:
            self._say(
                f"  station: {{column: {self._name(self.known['station'].column)}}}",
                self.known["station"].unsure,
            )
        else:
            self._say('  station: {column: "?"}', "no column of stations was found")
        for name in ("side", "n_examined", "n_positive", "status"):
            if name in self.known:
                column = self._name(self.known[name].column)
                self._say(f"  {name}: {{column: {column}}}", self.known[name].unsure)

    def _wide(self, readings: Sequence[StationColumn]) -> tuple[int, int, int]:
        by_role: dict[str, dict[str, StationColumn]] = {"total": {}, "positive": {}, "": {}}
        twice = []
        for one in readings:
            place = by_role[one.role]
            if one.station in place:
                twice.append(one)
            place.setdefault(one.station, one)
        both = [s for s in by_role["total"] if s in by_role["positive"]]
        single = [
            one
            for role, place in by_role.items()
            for station, one in place.items()
            if not role or station not in both
        ]
        marks = [one for one in single if not one.role and self._holds_marks(one.column)]
        counts = [one for one in single if one not in marks]
        unknown = self._unknown_codes()
        if both or counts:
            self._say(
                "zero_means: refuse", "does 0 mean the count 0 (zero) or not sampled (not_sampled)?"
            )
        self._section("pairs", [self._pair(by_role, station) for station in both])
        self._section("counts", [self._count(one) for one in counts])
        self._section("codes", [self._mark(one) for one in marks])
        for column in unknown:
            self.lines.append(
                f"# unsure: which station is {_quoted(self.columns.paths[column])}? "
                "Add it to codes, as {column: ..., station: ..., values: {...}}"
            )
        for one in twice:
            self.lines.append(
                f"# unsure: {self._name(one.column)} is a second column of {one.station}"
            )
        return len(both), len(counts), len(marks)

    def _section(self, name: str, entries: Sequence[tuple[str, str]]) -> None:
        if entries:
            self.lines.append(f"{name}:")
            for entry, unsure in entries:
                self._say(f"  - {entry}", unsure)

    def _pair(self, by_role: dict[str, dict[str, StationColumn]], station: str) -> tuple[str, str]:
        total, positive = by_role["total"][station], by_role["positive"][station]
        code, unsure = _station(total)
        names = f"total: {self._name(total.column)}, positive: {self._name(positive.column)}"
        return f"{{station: {code}, {names}}}", unsure

    def _count(self, one: StationColumn) -> tuple[str, str]:
        code, unsure = _station(one)
        holds, filled = one.role, [text for text in self.samples[one.column] if text]
        if any(_FRACTION.fullmatch(text) for text in filled):
            holds = "positive/total"
        elif not holds:
            holds = "positive"
            unsure = "; ".join(
                filter(None, (unsure, "does it count positive nodes or all (total)?"))
            )
        return f"{{column: {self._name(one.column)}, station: {code}, holds: {holds}}}", unsure

    def _mark(self, one: StationColumn) -> tuple[str, str]:
        code, unsure = _station(one)
        words = sorted({text for text in self.samples[one.column] if text})
        values = ", ".join(f"{_quoted(word)}: {_meant(word)}" for word in words)
        doubt = "does a mark mean positive, or only dissected?"
        unsure = "; ".join(filter(None, (unsure, doubt)))
        name = self._name(one.column)
        return f"{{column: {name}, station: {code}, values: {{{values}}}}}", unsure

    def _holds_marks(self, column: int) -> bool:
        filled = {text.casefold() for text in self.samples[column] if text}
        return bool(filled) and filled <= _MARKS

    def _unknown_codes(self) -> list[int]:
        """Return columns of marks whose heading is a short code that no vocabulary has."""
        return [
            i
            for i, parts in enumerate(self.parts[:MOST_COLUMNS])
            if i not in self.used
            and parts
            and _CODE.fullmatch(parts[-1])
            and self._holds_marks(i)
            and not any(reading_of(name, i, parts) for name in SYSTEMS)
        ]

    def _name(self, column: int) -> str:
        self.used.add(column)
        return _quoted(self.columns.names[column])

    def _say(self, line: str, unsure: str = "") -> None:
        self.lines.append(f"{line}  # unsure: {unsure}" if unsure else line)


def date_format(texts: Sequence[str]) -> tuple[str, str]:
    """Return how dates are written, and the doubt about it."""
    found = [match for text in texts if (match := re.fullmatch(r"(\d+)\D(\d+)\D(\d+).*", text))]
    if not found:
        return "iso", "no dates among the first rows"
    if sum(len(match[1]) == 4 for match in found) * 2 > len(found):
        iso = all(match[0][4] == "-" for match in found if len(match[1]) == 4)
        return ("iso" if iso else "year/month/day"), ""
    if any(len(match[3]) == 2 for match in found):
        return '"%d/%m/%y"', "years have two digits; which number is the day?"
    first, second = (any(int(match[i]) > 12 for match in found) for i in (1, 2))
    if first and second:
        return "day/month/year", "days and months are in either order"
    if first or second:
        return ("day/month/year" if first else "month/day/year"), ""
    return "day/month/year", "no number above 12 in the first rows: which is the day?"


def _samples(sheet: Sheet) -> list[list[str]]:
    """Return the cells of the first rows, column by column."""
    width = len(sheet.headings)
    columns: list[list[str]] = [[] for _ in range(width)]
    for cells in _first_rows(sheet):
        for column, text in enumerate(cells[:width]):
            columns[column].append(text.strip())
    return columns


def _first_rows(sheet: Sheet) -> Iterator[tuple[str, ...]]:
    try:
        yield from islice(sheet.rows, LOOKED_AT)
    except Refusal:
        return  # the headings are enough for a proposal; the import reports the error


def _station(one: StationColumn) -> tuple[str, str]:
    return _quoted(
        one.station
    ), "no side is given: are both sides one specimen?" if one.both_sides else ""


def _meant(word: str) -> str:
    return "positive" if word.casefold() in ("1", "y", "yes", "x", "+", "true") else "skip"


def _quoted(text: str) -> str:
    """Return a text as a quoted YAML scalar."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(_escaped(letter) for letter in escaped) + '"'


def _escaped(letter: str) -> str:
    if letter.isprintable():
        return letter
    code = ord(letter)
    return f"\\U{code:08x}" if code > 0xFFFF else f"\\u{code:04x}"
