"""Reads one file into checked reports with all messages; uses no database and writes nothing."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from db.pathology import FindingRecord
from lnscore.dicom.sources import sha256_of
from lnscore.pathology.checking import check
from lnscore.pathology.options import Format, TableOptions
from lnscore.pathology.reading import open_pathology
from lnscore.pathology.rows import CanonicalRow
from lnscore.tables.dates import Order
from lnscore.tables.messages import Message

EVERY = 1000
"""Number of rows between two steps of the progress bar."""


@dataclass(slots=True, kw_only=True)
class Report:
    """One report of the file, with the patient's id as the file has it."""

    patient_id: str
    report_id: str
    report_date: str
    surgery_date: str | None
    neoadjuvant: str
    row: int
    findings: list[FindingRecord] = field(default_factory=list)


@dataclass(kw_only=True)
class CollectedReports:
    """The reports of one file, with the messages of the checks.

    Attributes:
        sha256: SHA-256 of the file; empty if it could not be read.
        format: Format of the file.
        said: Notes on how the file was read, such as its encoding.
        rows: Number of findings without an error.
        messages: All messages, in the order of the file.
        reports: All reports, in the order of the file.
        canonical: Every row without an error, if the rows were to be kept.
    """

    sha256: str
    format: Format
    notes: tuple[str, ...]
    rows: int = 0
    messages: list[Message] = field(default_factory=list)
    reports: list[Report] = field(default_factory=list)
    canonical: list[CanonicalRow] = field(default_factory=list)

    @property
    def is_sound(self) -> bool:
        """Whether there is no error, so that the file can be imported."""
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
        options: Options for reading it.
        order: Order of day and month in dates.
        advance: Function that is called with the number of rows read so far.
        keep: Whether to keep the canonical rows, for a preview.
    """
    reading = open_pathology(path, options)
    found = CollectedReports(sha256=_sha256(path), format=reading.format, notes=reading.notes)
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
    """Reports so far, and the rows and columns of their findings."""

    reports: dict[tuple[str, str], Report] = field(default_factory=dict)
    taken: set[tuple[int, str, str, str]] = field(default_factory=set)
    texts: dict[str, str] = field(default_factory=dict)

    def add(self, row: CanonicalRow) -> None:
        """Add a row to its report."""
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
        """Return one common object for equal texts: 200,000 copies of a heading take megabytes."""
        return self.texts.setdefault(text, text)

    def _place(self, row: CanonicalRow, report: Report) -> str:
        """Return the column of a finding, numbered where one cell gave several findings."""
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
