"""Store and read reports of surgical pathology and their findings, many at once."""

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from sqlalchemy import bindparam, insert, select, update
from sqlalchemy.orm import Session

from db import schema
from db.batches import batches
from db.records import StationKey
from db.studies import station_ids

AT_ONCE = 2000
"""Number of reports that are held in memory and written together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingRecord:
    """One finding of a report.

    Attributes:
        stations: The station; several if they were sent as one specimen.
        status: `positive`, `negative`, `not_sampled` or `indeterminate`.
        source_row: Line of the source, from 1.
        n_examined: Number of nodes examined, None if not given.
        n_positive: Number of these nodes with metastasis, None if not given.
        source_column: Column of the source, if one line holds several findings.
    """

    stations: tuple[StationKey, ...]
    status: str
    source_row: int
    n_examined: int | None = None
    n_positive: int | None = None
    source_column: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportRecord:
    """One report; dates are in ISO format, `patient_key` is `patient.pseudo_key`."""

    patient_key: str
    report_id: str
    report_date: str
    source_sha256: str
    findings: tuple[FindingRecord, ...]
    surgery_date: str | None = None
    neoadjuvant: str = "unknown"

    @property
    def content_sha256(self) -> str:
        """SHA-256 of the dates, the therapy and the findings, without their place in the source."""
        findings = sorted(
            [
                sorted(f"{key.system} {key.version} {key.code}" for key in one.stations),
                [-1 if n is None else n for n in (one.n_examined, one.n_positive)],
                one.status,
            ]
            for one in self.findings
        )
        said = [self.report_date, self.surgery_date, self.neoadjuvant, findings]
        return hashlib.sha256(json.dumps(said).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class KnownReport:
    """One stored version of a report."""

    id: int
    report_date: str
    source_sha256: str
    content_sha256: str | None
    superseded: bool


Key = tuple[str, str]
"""Patient key and report id."""


@dataclass
class AddedReports:
    """Counts of what was done with the reports.

    Attributes:
        new: Reports that were stored for the first time.
        changed: Reports of which another version was current; the new version was added.
        same: Reports whose version is stored already.
        outdated: Those of `same` whose stored version is superseded; the later version stays
            current.
        findings: Findings that were added.
    """

    new: int = 0
    changed: int = 0
    same: int = 0
    outdated: int = 0
    findings: int = 0


def add_report(session: Session, record: ReportRecord) -> int:
    """Add one report (see `add_reports`) and return the id of the version with its content."""
    add_reports(session, [record])
    same = record.content_sha256
    versions = known_reports(session, [record.patient_key])[record.patient_key, record.report_id]
    return next(one.id for one in reversed(versions) if one.content_sha256 == same)


def add_reports(
    session: Session,
    records: Iterable[ReportRecord],
    advance: Callable[[int], None] | None = None,
) -> AddedReports:
    """Add reports with their findings, unless they are stored already.

    If a report has several versions, the one with the latest report date is current; if the dates
    are equal, the one that was added last. The other versions are kept and point to a newer one.
    The status of a station that no finding names is unknown, not negative.

    Args:
        session: The caller's transaction.
        records: The reports; at most one version of each.
        advance: Called with the number of findings processed so far.

    Raises:
        ValueError: A finding names no station.
    """
    added, stations, gone_by = AddedReports(), _Stations(session), 0
    rest = iter(records)
    while some := list(islice(rest, AT_ONCE)):
        for record in some:
            if any(not finding.stations for finding in record.findings):
                raise ValueError(f"a finding of report {record.report_id} names no station")
        _add(session, _unknown(session, some, added), stations, added)
        gone_by += sum(len(record.findings) for record in some)
        if advance is not None:
            advance(gone_by)
    return added


def known_reports(session: Session, patient_keys: Iterable[str]) -> dict[Key, list[KnownReport]]:
    """Return all stored versions of the reports of these patients, in the order of their ids."""
    table = schema.PathologyReport
    found: dict[Key, list[KnownReport]] = {}
    for keys in batches(sorted(set(patient_keys))):
        query = select(
            table.patient_key, table.report_id, table.id, table.report_date,
            table.source_sha256, table.content_sha256, table.superseded_by_id,
        ).where(table.patient_key.in_(keys)).order_by(table.id)  # fmt: skip
        for row in session.execute(query):
            patient_key, report_id, report, reported, source, content, superseded_by = row
            known = KnownReport(report, reported, source, content, superseded_by is not None)
            found.setdefault((patient_key, report_id), []).append(known)
    return found


def seen_before(record: ReportRecord, versions: Sequence[KnownReport]) -> KnownReport | None:
    """Return the stored version that a report repeats, or None if the report is new.

    This is the current version if its content is the same. Otherwise it is a superseded version
    with the same content from the same file, so that a file that is imported every night adds
    nothing.
    """
    same = [one for one in versions if one.content_sha256 == record.content_sha256]
    current = [one for one in same if not one.superseded]
    of_file = [one for one in same if one.source_sha256 == record.source_sha256]
    return next(iter(current + of_file), None)


_New = list[tuple[ReportRecord, KnownReport | None]]
"""Reports to add, each with the version that is current so far."""


def _unknown(session: Session, records: Sequence[ReportRecord], added: AddedReports) -> _New:
    known = known_reports(session, (record.patient_key for record in records))
    new: _New = []
    for record in records:
        versions = known.get((record.patient_key, record.report_id), [])
        current = next((one for one in versions if not one.superseded), None)
        there = seen_before(record, versions)
        added.same += there is not None
        added.outdated += there is not None and there.superseded
        if there is None:
            added.changed += current is not None
            added.new += current is None
            new.append((record, current))
    return new


def _add(session: Session, new: _New, stations: "_Stations", added: AddedReports) -> None:
    if not new:
        return
    now = datetime.now(UTC)
    rows = [_report_row(record, now) for record, _ in new]
    ids = _inserted(session, schema.PathologyReport, rows)
    replaced = []
    for (record, current), report_id in zip(new, ids, strict=True):
        if current is not None:
            mine = record.report_date, report_id
            older, newer = sorted(((current.report_date, current.id), mine))
            replaced.append({"older": older[1], "newer": newer[1]})
    _supersede(session, replaced)
    _add_findings(session, [r for r, _ in new], ids, stations)
    added.findings += sum(len(record.findings) for record, _ in new)


def _report_row(record: ReportRecord, now: datetime) -> dict[str, Any]:
    return {
        "patient_key": record.patient_key,
        "report_id": record.report_id,
        "report_date": record.report_date,
        "surgery_date": record.surgery_date,
        "neoadjuvant": record.neoadjuvant,
        "source_sha256": record.source_sha256,
        "content_sha256": record.content_sha256,
        "created_at": now,
    }


def _supersede(session: Session, pairs: list[dict[str, int]]) -> None:
    if pairs:
        table = schema.PathologyReport.__table__
        one = update(table).where(table.c.id == bindparam("older"))  # pyright: ignore[reportArgumentType]
        session.connection().execute(one.values(superseded_by_id=bindparam("newer")), pairs)


def _add_findings(
    session: Session, records: Sequence[ReportRecord], ids: Sequence[int], stations: "_Stations"
) -> None:
    findings = [(i, one) for i, r in zip(ids, records, strict=True) for one in r.findings]
    rows = [
        {
            "report_id": report_id,
            "n_examined": one.n_examined,
            "n_positive": one.n_positive,
            "status": one.status,
            "source_row": one.source_row,
            "source_column": one.source_column,
        }
        for report_id, one in findings
    ]
    stations.learn(key for _, one in findings for key in one.stations)
    finding_ids = _inserted(session, schema.FindingRow, rows)
    links = [
        {"finding_id": finding_id, "station_id": stations.ids[key]}
        for finding_id, (_, one) in zip(finding_ids, findings, strict=True)
        for key in dict.fromkeys(one.stations)
    ]
    if links:
        session.execute(insert(schema.FindingStation), links)


def _inserted(session: Session, table: Any, rows: list[dict[str, Any]]) -> list[int]:  # noqa: ANN401
    """Insert rows and return their ids in the same order."""
    if not rows:
        return []
    given = insert(table).returning(table.id, sort_by_parameter_order=True)
    return list(session.scalars(given, rows))


class _Stations:
    """Cache of station ids, so that each is queried once."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.ids: dict[StationKey, int] = {}

    def learn(self, keys: Iterable[StationKey]) -> None:
        """Find or add the stations that are not in the cache yet."""
        unknown = {key for key in keys if key not in self.ids}
        if unknown:
            self.ids |= station_ids(self._session, unknown)


def study_dates(session: Session, patient_keys: Iterable[str]) -> dict[str, list[str | None]]:
    """Return study dates by patient key; patients that are not in the database are left out."""
    found: dict[str, list[str | None]] = {}
    for keys in batches(sorted(set(patient_keys))):
        query = (
            select(schema.Patient.pseudo_key, schema.Study.study_date)
            .join(schema.Study, isouter=True)
            .where(schema.Patient.pseudo_key.in_(keys))
            .order_by(schema.Study.study_date)
        )
        for patient_key, study_date in session.execute(query):
            found.setdefault(patient_key, []).append(study_date)
    return found
