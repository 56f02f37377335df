"""Checks of source rows: turns the text of a reader into canonical rows and messages.

Every correction gives a message, and nothing is guessed: a cell that is not understood is an
error. The caller stops the import at the end, when all messages are collected.
"""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from db.records import NEOADJUVANT
from lnscore.pathology import finding_stations
from lnscore.pathology.rows import FIELDS, MANDATORY, CanonicalRow, SourceRow
from lnscore.tables import cells
from lnscore.tables.counts import CellCount, read_count
from lnscore.tables.dates import Order, read_date
from lnscore.tables.messages import Message

STATUSES = ("positive", "negative", "not_sampled", "indeterminate")

IDENTITY = ("patient_key", "report_id")
"""Fields that may not be cut to length: a cut id could be the id of another patient or report."""


def check(
    rows: Iterable[SourceRow | Message], order: Order = ""
) -> Iterator[CanonicalRow | Message]:
    """Check every row; messages of a row come before the row.

    A row with an error gives no canonical row. Identical rows give one.

    Args:
        rows: Rows and messages of a reader; its messages are passed on unchanged.
        order: Order of day and month in dates, if the user has stated it.
    """
    seen = _Seen()
    for row in rows:
        if isinstance(row, Message):
            yield row
        elif any(map(str.strip, row.values.values())):
            yield from _checked(row, order, seen)


def _checked(row: SourceRow, order: Order, seen: "_Seen") -> Iterator[CanonicalRow | Message]:
    checking = _Row(row, order)
    canonical = checking.canonical()
    yield from checking.notes
    if canonical is not None:
        notes, is_first = seen.add(canonical)
        yield from notes
        if is_first and not any(one.severity == "E" for one in notes):
            yield canonical


@dataclass
class _Row:
    """One row while it is checked, with the messages so far (`said`)."""

    row: SourceRow
    order: Order
    notes: list[Message] = field(default_factory=list)
    values: dict[str, str] = field(default_factory=dict)

    def canonical(self) -> CanonicalRow | None:
        """Return the canonical row; None if a check gave an error."""
        self._clean()
        self._missing()
        report_date = self._date("report_date", needed=True)
        surgery_date = self._date("surgery_date")
        stations, notes = finding_stations.stations(
            self.values["station_system"], self.values["station"]
        )
        for code, severity, text, name in notes:
            self._say(code, severity, text, name)
        examined, positive = self._counts()
        status = self._status(examined, positive)
        neoadjuvant = self._word("neoadjuvant", NEOADJUVANT) or "unknown"
        if len(stations) > 1 and status == "positive":
            merged = "+".join(key.code for key in stations)
            text = f"merged {merged} positive: weak label over {len(stations)} stations"
            self._say("P06", "I", text, "station")
        if report_date is None or any(one.severity == "E" for one in self.notes):
            return None
        return CanonicalRow(
            patient_id=self.values["patient_key"],
            report_id=self.values["report_id"],
            report_date=report_date,
            surgery_date=surgery_date,
            stations=stations,
            n_examined=examined,
            n_positive=positive,
            status=status,
            neoadjuvant=neoadjuvant,
            row=self.row.row,
            column=self.row.column,
        )

    def _say(self, code: str, severity: str, text: str, name: str = "") -> None:
        column = self.row.columns.get(name, name)
        self.notes.append(Message(code, severity, text, self.row.row, column))  # pyright: ignore[reportArgumentType]

    def _clean(self) -> None:
        for name in FIELDS:
            text = self.row.values.get(name, "")
            clean = cells.cleaned(text)
            if clean != text:
                self._said_of_cleaning(name, text)
            self.values[name] = clean

    def _said_of_cleaning(self, name: str, text: str) -> None:
        if cells.hides(text[: cells.MOST_CHARACTERS]):
            self._say("P23", "W", f"{name}: invisible characters were removed", name)
        if len(text.strip()) > cells.MOST_CHARACTERS:
            severity = "E" if name in IDENTITY else "W"
            long = f"{name}: {len(text)} characters, cut after {cells.MOST_CHARACTERS}"
            self._say("P23", severity, long, name)

    def _missing(self) -> None:
        for name in MANDATORY:
            # A missing system gives P01, whose message lists what the code could mean.
            if not self.values[name] and name != "station_system":
                self._say("P15", "E", f"{name} missing", name)

    def _date(self, name: str, *, needed: bool = False) -> str | None:
        column = self.row.columns.get(name, name)
        found = read_date(self.values[name], name, self.row.row, column, self.order, needed=needed)
        if found.message is not None:
            self.notes.append(found.message)
        return found.iso

    def _counts(self) -> tuple[int | None, int | None]:
        """Return the numbers of examined and positive nodes; `1/5` in either cell gives both."""
        examined, positive = self._count("n_examined"), self._count("n_positive")
        fraction = next((one for one in (positive, examined) if one.of is not None), None)
        n_examined, n_positive = examined.value, positive.value
        pairs = (examined.value, examined.of), (positive.value, positive.of)
        if None not in (examined.of, positive.of) and pairs[0] != pairs[1]:
            both = " and ".join(f"{value}/{of}" for value, of in pairs)
            self._say("P11", "E", f"n_examined and n_positive disagree: {both}", "n_examined")
        if fraction is not None:
            for name, one, own in (
                ("n_examined", examined, fraction.of), ("n_positive", positive, fraction.value)
            ):  # fmt: skip
                if one.of is None and one.value not in (None, own):
                    self._say(
                        "P11", "E", f"{name} is {one.value}, but {own} in the other cell", name
                    )
            n_examined, n_positive = fraction.of, fraction.value
        if n_examined is not None and n_positive is not None and n_positive > n_examined:
            text = f"n_positive {n_positive} > n_examined {n_examined}"
            self._say("P03", "E", text, "n_positive")
        return n_examined, n_positive

    def _count(self, name: str) -> CellCount:
        column = self.row.columns.get(name, name)
        count = read_count(self.values[name], self.row.row, column)
        if count.message is not None:
            self.notes.append(count.message)
        return count

    def _word(self, name: str, known: tuple[str, ...]) -> str:
        text = self.values[name]
        word = "_".join(text.casefold().replace("-", " ").replace("_", " ").split())
        if not word or word in known:
            return word
        wanted = f"{', '.join(known[:-1])} or {known[-1]}"
        self._say("P22", "E", f"{name} {cells.shown(text)} not known; wanted {wanted}", name)
        return ""

    def _status(self, examined: int | None, positive: int | None) -> str:
        status = self._word("status", STATUSES)
        if contradiction := _contradiction(status, examined, positive):
            self._say("P04", "E", contradiction, "status")
        elif status == "negative" and examined == 0:
            self._not_sampled()
            return "not_sampled"
        return status or self._derived(examined, positive)

    def _derived(self, examined: int | None, positive: int | None) -> str:
        """Derive the status from the counts; without an examined node it is never negative."""
        if positive:
            return "positive"
        if not examined:
            self._not_sampled()
            return "not_sampled"
        if positive is None:
            if any(one.code == "P11" and one.severity == "E" for one in self.notes):
                return "indeterminate"
            text = f"{examined} examined, positive not given: stored as indeterminate"
            self._say("P25", "W", text, "n_positive")
            return "indeterminate"
        return "negative"

    def _not_sampled(self) -> None:
        text = "n_examined 0 or blank: stored as not_sampled, not negative"
        self._say("P05", "W", text, "n_examined")


def _contradiction(status: str, examined: int | None, positive: int | None) -> str:
    if status == "negative" and positive:
        return f"status 'negative' but n_positive {positive}"
    if status == "positive" and positive == 0:
        return "status 'positive' but n_positive 0"
    if status == "positive" and examined == 0:
        return "status 'positive' but n_examined 0"
    if status == "indeterminate" and positive:
        return f"status 'indeterminate' but n_positive {positive}"
    if status == "not_sampled" and (examined or positive):
        return f"status 'not_sampled' but n_examined {examined or positive}"
    return ""


class _Seen:
    """Rows read so far: finds repeated rows, and rows of one report with different report data."""

    def __init__(self) -> None:
        self._rows: dict[bytes, tuple[int, bytes]] = {}
        self._reports: dict[bytes, tuple[int, tuple[str, str, str]]] = {}

    def add(self, one: CanonicalRow) -> tuple[list[Message], bool]:
        """Return the row's messages, and whether it is the first of its report and stations."""
        notes = self._same_report(one)
        codes = sorted(f"{key.system} {key.version} {key.code}" for key in one.stations)
        place = _digest(one.patient_id, one.report_id, *codes)
        content = _digest(repr((one.n_examined, one.n_positive, one.status)))
        if place not in self._rows:
            self._rows[place] = one.row, content
            return notes, True
        first, there = self._rows[place]
        text = "duplicate row (same report + station)"
        if content == there:
            return [*notes, Message("P12", "W", f"{text}: used once", one.row, one.column)], False
        differs = Message("P12", "E", f"{text} differs from row {first}", one.row, one.column)
        return [*notes, differs], False

    def _same_report(self, one: CanonicalRow) -> list[Message]:
        """Return P24 for each date or therapy that differs from the report's first row."""
        facts = one.report_date, one.surgery_date or "blank", one.neoadjuvant
        report = _digest(one.patient_id, one.report_id)
        first, there = self._reports.setdefault(report, (one.row, facts))
        names = "report_date", "surgery_date", "neoadjuvant"
        return [
            Message(
                "P24", "E", f"{name} {own}; row {first} of the report has {other}", one.row, name
            )
            for name, own, other in zip(names, facts, there, strict=True)
            if own != other
        ]


def _digest(*parts: str) -> bytes:
    """Return a short hash of the parts, so that 200,000 ids need not be kept in memory."""
    text = "".join(f"{len(part)}:{part}" for part in parts)
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=12).digest()
