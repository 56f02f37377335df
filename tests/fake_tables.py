"""Pathology tables as hospitals keep them, written from rows whose truth is known."""

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import openpyxl

HEADINGS = (
    "patient_key", "report_id", "report_date", "surgery_date", "station_system", "station",
    "n_examined", "n_positive", "status", "neoadjuvant", "source_row",
)  # fmt: skip

MAPPING = """version: 1
patient_key: {column: Patient}
report_id: {column: Report}
report_date: {column: Date, format: day/month/year}
station_system: JES11
zero_means: zero
"""


@dataclass(frozen=True)
class Fact:
    """One finding."""

    patient: str
    report: str
    station: str
    examined: int
    positive: int

    @property
    def canonical(self) -> tuple[str, ...]:
        status = "positive" if self.positive else "negative"
        counts = str(self.examined), str(self.positive)
        start = self.patient, self.report, "2024-03-01", "2024-02-01", "JES11", self.station
        return (*start, *counts, status, "none", "")


def write_text(
    path: Path,
    rows: Iterable[Sequence[str]],
    encoding: str = "utf-8",
    delimiter: str = ",",
    newline: str = "\n",
) -> Path:
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=delimiter, lineterminator=newline).writerows(rows)
    path.write_bytes(text.getvalue().encode(encoding))
    return path


def write_workbook(
    path: Path, rows: Iterable[Sequence[object]], merged: Sequence[str] = ()
) -> Path:
    book = openpyxl.Workbook()
    sheet = book.worksheets[0]
    for row in rows:
        sheet.append(list(row))
    for cells in merged:
        sheet.merge_cells(cells)
    book.save(path)
    return path


def wide_rows(facts: Sequence[Fact], headings: dict[str, tuple[str, ...]], cell) -> list[list[str]]:
    """One line a report; `headings` by station, `cell(fact)` its cells."""
    rows = [["Patient", "Report", "Date", *(one for names in headings.values() for one in names)]]
    reports: dict[tuple[str, str], dict[str, Fact]] = {}
    for fact in facts:
        reports.setdefault((fact.patient, fact.report), {})[fact.station] = fact
    for (patient, report), stations in reports.items():
        cells: list[str] = []
        for station, names in headings.items():
            fact = stations.get(station)
            cells += cell(fact) if fact else [""] * len(names)
        rows.append([patient, report, "01/03/2024", *cells])
    return rows
