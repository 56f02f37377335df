"""Reads HL7 v2 ORU^R01 laboratory messages and turns them into findings, by a site's layout.

One finding is the result of one station (its OBX) in one report (OBR): how many nodes were
examined, how many had metastasis, or a status. Identifiers that the layout does not name are
reported, not guessed.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from lnscore.errors import Refusal
from lnscore.pathology.layouts import PLACE, Layout
from lnscore.pathology.rows import SourceRow
from lnscore.pathology.segments import Fields, Hl7Message, Segment, read_messages
from lnscore.tables.cells import shown
from lnscore.tables.messages import Message

WANTED = "ORU^R01"
FINAL = ("", "F", "C", "U")
"""Usable values of OBX-11: none, final, corrected, or final without a new examination."""
NOT_TEXT = ("ED", "RP")
"""Values of OBX-2 for enclosed or linked documents."""
DATES = ("report_date", "surgery_date")
TOLD = 12


class _Unusable(Exception):
    """A message that cannot be used: the line, and the reason."""

    def __init__(self, line: int, found: str) -> None:
        super().__init__(line, found)
        self.line, self.found = line, found


@dataclass
class _Finding:
    """The values of one station in one report, as far as they are read."""

    line: int
    values: dict[str, str]
    obx_values: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _Report:
    """One OBR: the values of the report, and its findings by the key of the station."""

    values: dict[str, str]
    findings: dict[str, _Finding] = field(default_factory=dict)


def read_hl7(path: Path, layout: Layout | None = None) -> Iterator[SourceRow | Message]:
    """Read every finding of a file of messages.

    Args:
        path: File with one or many messages.
        layout: Places of the values in the messages; None for the default layout.

    Returns:
        One row for each station and report, whose `row` is the line of its first OBX; P21, with
        message and line, for each part that cannot be used; P17 for identifiers that the
        layout does not name.

    Raises:
        Refusal: F10, F11 or P21 if the file cannot be read or hl7apy is not installed.
    """
    _require_hl7apy()
    reading = _Reading(layout or Layout())
    rows = 0
    for message in read_messages(path):
        if isinstance(message, Message):
            yield message
            continue
        try:
            findings = list(reading.findings(message))
        except _Unusable as error:
            yield Message("P21", "E", f"message {message.number}: {error.found}", error.line)
            continue
        rows += len(findings)
        yield from findings
    yield from reading.notes()
    if rows == 0:
        yield Message("P21", "E", "no finding: no OBX has an identifier of the layout")


def _require_hl7apy() -> None:
    try:
        import hl7apy  # noqa: F401
    except ModuleNotFoundError as error:
        raise Refusal(
            "P21",
            "HL7 messages need the package hl7apy, which is not installed",
            "hl7apy",
            "Install lnscore[records].",
        ) from error


class _Reading:
    """The reading of one file: its layout, and the parts that were left out."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.fields = {
            **dict.fromkeys(layout.stations, "station"),
            **dict.fromkeys(layout.examined, "n_examined"),
            **dict.fromkeys(layout.positive, "n_positive"),
            **dict.fromkeys(layout.status, "status"),
        }
        self.unused: Counter[str] = Counter()
        self.not_final: list[Message] = []

    def findings(self, message: Hl7Message) -> Iterator[SourceRow]:
        """Yield the findings of one message, all or none.

        Raises:
            _Unusable: The message is not an ORU^R01, or a segment is missing or damaged.
        """
        if message.type != WANTED:
            raise _Unusable(message.line, f"MSH-9 is {shown(message.type)}; wanted {WANTED}")
        patient: str | None = None
        report: _Report | None = None
        reports: list[_Report] = []
        for segment in message.segments:
            if segment.name == "PID":
                patient, report = self._patient(_fields(segment, message)), None
            elif segment.name == "OBR":
                report = self._report(_fields(segment, message), patient)
                reports.append(report)
            elif segment.name == "OBX":
                self._observe(segment, message, report)
        if not reports:
            raise _Unusable(message.line, f"no {'PID' if patient is None else 'OBR'} segment")
        for one in (finding for report in reports for finding in report.findings.values()):
            yield SourceRow(one.values | one.obx_values, one.line, self._columns(one))

    def notes(self) -> Iterator[Message]:
        """Yield a warning for each part of the file that was left out."""
        yield from self.not_final
        if self.unused:
            names = [f"{shown(name)} ({count})" for name, count in self.unused.most_common(TOLD)]
            more = f" and {len(self.unused) - TOLD} more" if len(self.unused) > TOLD else ""
            text = f"OBX-3 identifiers not in the layout: {', '.join(names)}{more}"
            yield Message("P17", "W", text, None, "OBX-3")

    def _patient(self, fields: Fields) -> str:
        layout, line = self.layout, fields.segment.line
        _, number, component = _place(layout.patient)
        ids = [
            one
            for one in fields.repetitions(number)
            if layout.assigning_authority in ("", one.text(4), one.text(4, 2))
            and layout.identifier_type in ("", one.text(5))
        ]
        if len(ids) != 1:
            # The text lists only the authorities: an id in it would identify a patient.
            of = ", ".join(shown(one.text(4)) for one in ids)
            found = f"{len(ids)} ids in PID-{number} ({of or 'none of the layout'})"
            told = f"{found}; wanted one, by assigning_authority or identifier_type of the layout"
            raise _Unusable(line, told)
        return ids[0].text(component)

    def _report(self, fields: Fields, patient: str | None) -> _Report:
        """Read the report from one OBR; its OBX may give the date of surgery instead."""
        if patient is None:
            raise _Unusable(fields.segment.line, "OBR without a PID before it")
        values = {"patient_key": patient}
        for name in ("report_id", *DATES):
            segment, number, component = _place(getattr(self.layout, name))
            text = fields.text(number, component) if segment == "OBR" else ""
            values[name] = _iso(text) if name in DATES else text
        return _Report(values)

    def _observe(self, segment: Segment, message: Hl7Message, report: _Report | None) -> None:
        if report is None:
            raise _Unusable(segment.line, "OBX without an OBR before it")
        kind = segment.text.split(message.encoding["FIELD"], 3)[2:3]
        if kind and kind[0] in NOT_TEXT:
            return
        fields = _fields(segment, message)
        names = {self.fields[code] for code in _codes(fields) if code in self.fields}
        if not names:
            self.unused[fields.text(3) or "none"] += 1
            return
        if len(names) > 1:
            raise _Unusable(segment.line, f"OBX-3 means {' and '.join(sorted(names))}")
        if fields.text(11) not in FINAL:
            state = shown(fields.text(11))
            text = f"message {message.number}: OBX-11 is {state}, not final: left out"
            self.not_final.append(Message("P21", "W", text, segment.line, "OBX-11"))
            return
        self._add(self._finding(fields, report), names.pop(), fields)

    def _finding(self, fields: Fields, report: _Report) -> _Finding:
        by_text = self.layout.station == "OBX-3.2"
        key = fields.text(3, 2) if by_text else fields.text(4)
        new = _Finding(fields.segment.line, dict(report.values))
        one = report.findings.setdefault(key, new)
        if self.layout.station != "OBX-5":
            one.values["station"] = key
            one.values["station_system"] = self._system(fields)
        return one

    def _add(self, one: _Finding, name: str, fields: Fields) -> None:
        value = self._value(name, fields)
        if one.obx_values.setdefault(name, value) != value:
            told = f"{name} {shown(value)} after {shown(one.obx_values[name])} for the same station"
            raise _Unusable(fields.segment.line, told)
        if name == "station":
            one.values["station_system"] = self._system(fields)
        segment, number, component = _place(self.layout.surgery_date)
        if segment == "OBX" and fields.text(number):
            one.values["surgery_date"] = _iso(fields.text(number, component))

    def _value(self, name: str, fields: Fields) -> str:
        if name == "status":
            words = [fields.text(5, 1), fields.text(5, 2)]
            known = [self.layout.words[word] for word in words if word in self.layout.words]
            return known[0] if known else words[1] or words[0]
        if fields.text(2) == "SN":  # comparator ^ number ^ separator ^ number
            comparator = fields.text(5, 1).removeprefix("=")
            return comparator + fields.text(5, 2) + fields.text(5, 3) + fields.text(5, 4)
        return fields.text(5)

    def _system(self, fields: Fields) -> str:
        place = self.layout.station_system_at
        if place is None:
            return self.layout.station_system
        _, number, component = _place(place)
        return fields.text(number, component) or self.layout.station_system

    def _columns(self, one: _Finding) -> dict[str, str]:
        counts = {name: "OBX-5" for name in one.obx_values}
        layout = self.layout
        return counts | {
            "patient_key": layout.patient,
            "report_id": layout.report_id,
            "report_date": layout.report_date,
            "surgery_date": layout.surgery_date,
            "station": layout.station,
        }


def _fields(segment: Segment, message: Hl7Message) -> Fields:
    try:
        return Fields(segment, message)
    except ValueError as error:
        raise _Unusable(segment.line, str(error)) from error


def _codes(fields: Fields) -> list[str]:
    """Return the identifier and the alternate identifier of an observation."""
    return [code for code in (fields.text(3, 1), fields.text(3, 4)) if code]


def _place(text: str) -> tuple[str, int, int]:
    found = PLACE.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} passed the layout's checks and is not a place")
    return found[1], int(found[2]), int(found[3] or 1)


def _iso(text: str) -> str:
    """Return the day of an HL7 time stamp as ISO date; any other text stays as it is."""
    day = text[:8]
    whole = len(day) == 8 and day.isascii() and day.isdigit()
    return f"{day[:4]}-{day[4:6]}-{day[6:]}" if whole else text
