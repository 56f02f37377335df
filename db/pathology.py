"""Surgical pathology: reports, and what each says of its stations."""

from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from db import schema
from db.records import StationKey
from db.studies import station_ids


@dataclass(frozen=True)
class FindingRecord:
    """One line of a report.

    Attributes:
        stations: One; several where they were sent as one specimen.
        status: `positive`, `negative`, `not_sampled` or `indeterminate`.
        source_row: Line of the source, from 1.
        n_examined: Nodes looked at, None where not given.
        n_positive: Of these with metastasis.
        source_column: Where one line of the source holds several findings.
    """

    stations: tuple[StationKey, ...]
    status: str
    source_row: int
    n_examined: int | None = None
    n_positive: int | None = None
    source_column: str = ""


@dataclass(frozen=True)
class ReportRecord:
    """One report; dates are ISO, `patient_key` is `patient.pseudo_key`."""

    patient_key: str
    report_id: str
    report_date: str
    source_sha256: str
    findings: tuple[FindingRecord, ...]
    surgery_date: str | None = None
    neoadjuvant: str = "unknown"


def add_report(session: Session, record: ReportRecord) -> int:
    """Add a report with its findings, or find that it is there already.

    Of several versions of one report the latest by report date counts; the others stay and
    point to it. A station that no finding names is unknown, not negative.

    Args:
        session: The caller's transaction.
        record: The report.

    Returns:
        The report's id.

    Raises:
        ValueError: A finding names no station.
    """
    if any(not finding.stations for finding in record.findings):
        raise ValueError(f"a finding of report {record.report_id} names no station")
    table = schema.PathologyReport
    same = table.patient_key == record.patient_key, table.report_id == record.report_id
    known = session.scalar(
        select(table.id).where(*same, table.source_sha256 == record.source_sha256)
    )
    if known is not None:
        return known
    current = session.scalar(select(table).where(*same, table.superseded_by_id.is_(None)))
    report = table(
        patient_key=record.patient_key,
        report_id=record.report_id,
        report_date=record.report_date,
        surgery_date=record.surgery_date,
        neoadjuvant=record.neoadjuvant,
        source_sha256=record.source_sha256,
        created_at=datetime.now(UTC),
    )
    session.add(report)
    session.flush()
    if current is not None:
        older, newer = sorted((current, report), key=lambda r: (r.report_date, r.id))
        older.superseded_by_id = newer.id
    _add_findings(session, report.id, record)
    return report.id


def _add_findings(session: Session, report_id: int, record: ReportRecord) -> None:
    stations = station_ids(session, (key for one in record.findings for key in one.stations))
    links = []
    for finding in record.findings:
        row = schema.Finding(
            report_id=report_id,
            n_examined=finding.n_examined,
            n_positive=finding.n_positive,
            status=finding.status,
            source_row=finding.source_row,
            source_column=finding.source_column,
        )
        session.add(row)
        session.flush()
        links += [
            {"finding_id": row.id, "station_id": stations[key]}
            for key in dict.fromkeys(finding.stations)
        ]
    if links:
        session.execute(insert(schema.FindingStation), links)
