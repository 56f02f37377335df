"""Compares the reports of a file with the database: unknown patients, conflicting reports."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from db import pathology, station_status
from db.pathology import Key, KnownReport, ReportRecord
from db.records import StationKey
from db.session import Session
from db.station_rule import MAX_DAYS, StationFinding, days_to_surgery, exclusions
from lnscore.pathology import patients
from lnscore.pathology.collecting import CollectedReports, Report
from lnscore.pathology.patients import Identities
from lnscore.pseudonym import Pseudonyms
from lnscore.tables.messages import Message

SAID_BY_A_LAB = ("positive", "negative", "indeterminate")

AT_ONCE = 2000
"""Number of patients whose earlier findings are held in memory at the same time."""

Place = frozenset[StationKey]


@dataclass
class ComparedReports:
    """The reports to store, and the messages of the comparison.

    Attributes:
        records: Reports with pseudonymous keys.
        messages: Messages P07 to P10, P20, P24 and P26.
        patients: Number of patients in the file.
        pending: Number of these patients who have no study yet.
    """

    records: list[ReportRecord] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)
    patients: int = 0
    pending: int = 0


def compare(
    session: Session,
    collected: CollectedReports,
    who: Identities,
    pseudonyms: Pseudonyms,
    *,
    allow_pending: bool = False,
    max_days: int = MAX_DAYS,
) -> ComparedReports:
    """Find every patient and every earlier report.

    Args:
        session: A snapshot of the database; nothing is written.
        collected: The reports of the file.
        who: Identities, which turn the ids of the file into patients.
        pseudonyms: Pseudonyms made with the database's secret.
        allow_pending: Whether to accept patients who have no study yet.
        max_days: Largest number of days from CT to surgery.
    """
    found = ComparedReports()
    keys = _keys(collected.reports, who, pseudonyms, found)
    known = pathology.study_dates(session, keys.values())
    _say_unknown(collected.reports, keys, known, who, allow_pending, found)
    first: dict[Key, int] = {}
    for report in collected.reports:
        key = keys.get(report.patient_id)
        if key is None:
            continue
        record = _record(report, key, collected.sha256, who, pseudonyms, found)
        there = first.setdefault((key, record.report_id), report.row)
        if there != report.row:
            text = f"one patient has two ids, and this report stands under both: see row {there}"
            found.messages.append(Message("P24", "E", text, report.row, "patient_key"))
            continue
        found.records.append(record)
        found.messages += _excluded(report, known.get(key, ()), max_days)
    found.messages += conflicts(session, found.records)
    return found


def _keys(
    reports: Iterable[Report], who: Identities, pseudonyms: Pseudonyms, found: ComparedReports
) -> dict[str, str]:
    """Map each patient's id to its key; add P20 once for each id not in the key file."""
    keys: dict[str, str] = {}
    missing = set()
    for report in reports:
        id_ = report.patient_id
        if id_ in keys or id_ in missing:
            continue
        person = who.person(id_)
        if person is None:
            missing.add(id_)
            found.messages.append(patients.not_in_key_file(report.row, "patient_key"))
        else:
            keys[id_] = person.key(pseudonyms)
    found.patients = len(set(keys.values())) + len(missing)
    return keys


def _say_unknown(
    reports: Iterable[Report],
    keys: dict[str, str],
    known: dict[str, list[str | None]],
    who: Identities,
    allow_pending: bool,
    found: ComparedReports,
) -> None:
    strangers: dict[str, Report] = {}
    for report in reports:
        key = keys.get(report.patient_id)
        if key is not None and key not in known:
            strangers.setdefault(key, report)
    found.pending = len(strangers)
    if not allow_pending:
        found.messages += [
            patients.unknown(one.patient_id, one.row, "patient_key") for one in strangers.values()
        ]
    if strangers:
        found.messages.append(patients.hint(who.issuer, found.pending, found.patients))


def _record(
    report: Report,
    key: str,
    sha256: str,
    who: Identities,
    pseudonyms: Pseudonyms,
    found: ComparedReports,
) -> ReportRecord:
    person = who.person(report.patient_id)
    ids = report.patient_id, person.patient_id if person else ""
    stored = patients.stored_report_id(report.report_id, ids, pseudonyms)
    if stored != report.report_id and not any(one.code == "P26" for one in found.messages):
        text = "report numbers that hold the patient's id are stored as keyed hashes"
        found.messages.append(Message("P26", "I", text))
    return ReportRecord(
        patient_key=key,
        report_id=stored,
        report_date=report.report_date,
        source_sha256=sha256,
        findings=tuple(report.findings),
        surgery_date=report.surgery_date,
        neoadjuvant=report.neoadjuvant,
    )


def _excluded(
    report: Report, study_dates: Sequence[str | None], max_days: int
) -> Iterator[Message]:
    """Yield P09 and P10: the report is stored, but training leaves it out."""
    said = StationFinding(
        id=0,
        report_id=0,
        report_date=report.report_date,
        stations=frozenset(),
        status="",
        surgery_date=report.surgery_date,
        neoadjuvant=report.neoadjuvant,
    )
    texts = dict.fromkeys(
        (code, days_to_surgery(said, day) if code == "P09" else None)
        for day in study_dates
        for code in exclusions(said, day, max_days)
    )
    for code, days in texts:
        text = (
            f"CT is {days} d before surgery (limit {max_days})"
            if code == "P09"
            else "CT after surgery, or neoadjuvant therapy between: excluded from training"
        )
        yield Message(code, "W", text, report.row, "surgery_date")


@dataclass(frozen=True, kw_only=True)
class _ComparedFinding:
    """The result of one specimen in one report; `row` is None if it is stored already."""

    report_date: str
    order: int
    report_id: str
    status: str
    row: int | None
    column: str = ""


def conflicts(session: Session, records: Sequence[ReportRecord]) -> Iterator[Message]:
    """Yield P08 for every specimen on which a report of the file disagrees with another one.

    Between two versions of one report every difference counts; between two reports only a
    laboratory result (`SAID_BY_A_LAB`) counts.
    """
    of_patient: dict[str, list[ReportRecord]] = {}
    for record in records:
        of_patient.setdefault(record.patient_key, []).append(record)
    patient_keys = list(of_patient)
    for start in range(0, len(patient_keys), AT_ONCE):
        keys = patient_keys[start : start + AT_ONCE]
        known = pathology.known_reports(session, keys)
        names = {one.id: report_id for (_, report_id), all_ in known.items() for one in all_}
        stored = station_status.findings_of(session, keys)
        for key in keys:
            yield from _of_patient(of_patient[key], stored.get(key, []), known, names)


def _of_patient(
    records: Sequence[ReportRecord],
    stored: Sequence[StationFinding],
    known: dict[Key, list[KnownReport]],
    names: dict[int, str],
) -> Iterator[Message]:
    current = [one for one in stored if not one.superseded]
    told: dict[Place, list[_ComparedFinding]] = {}
    replaced = set()
    for record in records:
        versions = known.get((record.patient_key, record.report_id), [])
        if pathology.seen_before(record, versions) is not None:
            continue
        before = [one for one in current if names.get(one.report_id) == record.report_id]
        replaced |= {one.report_id for one in before}
        yield from _between_versions(record, before)
        for one in record.findings:
            saying = _ComparedFinding(
                report_date=record.report_date,
                order=1,
                report_id=record.report_id,
                status=one.status,
                row=one.source_row,
                column=one.source_column,
            )
            told.setdefault(frozenset(one.stations), []).append(saying)
    for one in current:
        if one.report_id not in replaced and one.stations in told:
            saying = _ComparedFinding(
                report_date=one.report_date,
                order=0,
                report_id=names.get(one.report_id, ""),
                status=one.status,
                row=None,
            )
            told[one.stations].append(saying)
    for stations, all_ in told.items():
        yield from _between_reports(stations, all_)


def _between_versions(record: ReportRecord, before: Iterable[StationFinding]) -> Iterator[Message]:
    now = {frozenset(one.stations): one for one in record.findings}
    first = record.findings[0]
    for old in before:
        new = now.get(old.stations)
        was, then = old.status, new.status if new else "absent"
        if was == then:
            continue
        if old.report_date > record.report_date:
            was, then = then, was
        at = new or first
        yield _conflict(old.stations, was, then, at.source_row, at.source_column)


def _between_reports(stations: Place, told: Sequence[_ComparedFinding]) -> Iterator[Message]:
    looked = [one for one in told if one.status in SAID_BY_A_LAB]
    looked.sort(key=lambda one: (one.report_date, one.order))
    for old, new in pairwise(looked):
        at = new if new.row is not None else old
        if at.row is None or old.report_id == new.report_id or old.status == new.status:
            continue
        yield _conflict(stations, old.status, new.status, at.row, at.column)


def _conflict(stations: Place, was: str, now: str, row: int, column: str) -> Message:
    codes = "+".join(sorted(key.code for key in stations))
    text = f"report conflicts with earlier one ({was}→{now}); newest wins, old kept: {codes}"
    return Message("P08", "W", text, row, column)
