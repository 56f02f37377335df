"""One file to reports, checked, with everything that was said; no database, nothing written."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from db.pathology import FindingRecord
from lnscore.dicom.sources import sha256_of
from lnscore.pathology.checking import check
from lnscore.pathology.reading import Format, TableOptions, open_pathology
from lnscore.pathology.rows import CanonicalRow
from lnscore.tables.dates import Order
from lnscore.tables.messages import Message

EVERY = 1000
"""Rows between two steps of the progress bar."""


@dataclass(slots=True, kw_only=True)
class Report:
    """One report of the file, under the patient's id that the file has."""

    patient_id: str
    report_id: str
    report_date: str
    surgery_date: str | None
    neoadjuvant: str
    row: int
    findings: list[FindingRecord] = field(default_factory=list)


@dataclass(kw_only=True)
class CollectedReports:
    """What a file says.

    Attributes:
        sha256: Of the file; empty where it could not be read.
        format: What it is.
        said: What was detected to read it.
        rows: Findings that were read and are sound.
        messages: In the order of the file.
        reports: In the order of the file.
        canonical: Every sound row, where they were to be kept.
    """

    sha256: str
    format: Format
    said: tuple[str, ...]
    rows: int = 0
    messages: list[Message] = field(default_factory=list)
    reports: list[Report] = field(default_factory=list)
    canonical: list[CanonicalRow] = field(default_factory=list)

    @property
    def is_sound(self) -> bool:
        """Whether nothing stops the import."""
        return all(message.severity != "E" for message in self.messages)


def collect(
    path: Path,
    options: TableOptions,
    order: Order = "",
    advance: Callable[[int, int], None] | None = None,
    *,
    keep: bool = False,
) -> CollectedReports:
    """Read and check a whole file.

    Args:
        path: The file.
        options: How to read it.
        order: Of day and month in dates.
        advance: Is told how many rows have gone by.
        keep: Keep the canonical rows, for a preview.
    """
    reading = open_pathology(path, options)
    found = CollectedReports(sha256=_sha256(path), format=reading.format, said=reading.said)
    grouped = _Grouped()
    for one in check(reading.rows, order):
        if isinstance(one, Message):
            found.messages.append(one)
            continue
        found.rows += 1
        if keep:
            found.canonical.append(one)
        grouped.add(one)
        if advance is not None and found.rows % EVERY == 0:
            advance(found.rows, found.rows)
    found.reports = list(grouped.reports.values())
    if not found.rows and found.is_sound:
        found.messages.append(Message("P14", "E", "there is no finding in the file"))
    if found.sha256 and _sha256(path) != found.sha256:
        found.messages.append(Message("P14", "E", "the file changed while it was read; run again"))
    return found


@dataclass
class _Grouped:
    """Reports so far, and the places of their findings."""

    reports: dict[tuple[str, str], Report] = field(default_factory=dict)
    taken: set[tuple[int, str, str, str]] = field(default_factory=set)
    texts: dict[str, str] = field(default_factory=dict)

    def add(self, row: CanonicalRow) -> None:
        """File a row under its report."""
        key = row.patient_id, row.report_id
        report = self.reports.get(key)
        if report is None:
            report = self.reports[key] = Report(
                patient_id=self.shared(row.patient_id),
                report_id=row.report_id,
                report_date=row.report_date,
                surgery_date=row.surgery_date,
                neoadjuvant=row.neoadjuvant,
                row=row.row,
            )
        report.findings.append(
            FindingRecord(
                stations=row.stations,
                status=row.status,
                source_row=row.row,
                n_examined=row.n_examined,
                n_positive=row.n_positive,
                source_column=self._place(row, report),
            )
        )

    def shared(self, text: str) -> str:
        """One text for all rows: 200,000 copies of a heading or an id are megabytes."""
        return self.texts.setdefault(text, text)

    def _place(self, row: CanonicalRow, report: Report) -> str:
        """The column, numbered where one cell gave several findings."""
        column, number = self.shared(row.column), 1
        while (row.row, column, report.patient_id, report.report_id) in self.taken:
            number += 1
            column = f"{row.column} #{number}"
        self.taken.add((row.row, column, report.patient_id, report.report_id))
        return column


def _sha256(path: Path) -> str:
    try:
        return sha256_of(str(path))
    except OSError:
        return ""
