"""`lnscore pathology preview`: shows what an import would store and report; writes nothing."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lnscore.pathology.imported import PathologySummary, counted, spoken
from lnscore.pathology.importing import (
    compared,
    identities_or_told,
    read,
    summary_of,
)
from lnscore.pathology.options import ImportRequest
from lnscore.pathology.rows import CanonicalRow
from lnscore.settings import Settings
from lnscore.summary import ShownTable

SHOWN = 20
"""Largest number of printed rows; `--json` has all."""

COLUMNS = ["row", "column", "patient", "report", "surgery", "station", "nodes", "status"]


@dataclass
class PreviewSummary:
    """Canonical rows and messages (see `summary.Summary`).

    Attributes:
        summary: Counts and messages; nothing is written.
        rows: Every row of the file without an error.
        has_database: Whether patients and earlier reports were looked up in a database.
        numbers: Number of each patient's id in the file, which is shown in place of the id.
    """

    summary: PathologySummary
    rows: list[CanonicalRow]
    has_database: bool
    numbers: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Number the patients in the order of the file."""
        for row in self.rows:
            self.numbers.setdefault(row.patient_id, len(self.numbers) + 1)

    @property
    def exit_code(self) -> int:
        """1 if an error would stop the import; else 0."""
        return self.summary.exit_code

    def lines(self) -> list[str | ShownTable]:
        """Return a table of the findings, the counts, then the messages."""
        lines: list[str | ShownTable] = [ShownTable("Findings", *self._table())]
        lines.append(self.summary.lines()[0])
        if not self.has_database:
            lines.append("no database: patients and earlier reports were not looked up")
        if self.rows[SHOWN:]:
            lines.append(f"... and {len(self.rows) - SHOWN} more rows (--json has all)")
        lines += spoken(self.summary.messages)
        errors = sum(one.severity == "E" for one in self.summary.messages)
        lines.append(
            f"{counted(errors)}: an import would be stopped"
            if errors
            else "an import would succeed"
        )
        return lines

    def _table(self) -> tuple[list[str], list[list[str]]]:
        """Return the headings and the first rows, without empty columns."""
        cells = [self._cells(row) for row in self.rows[:SHOWN]]
        told = [i for i in range(len(COLUMNS)) if any(row[i] for row in cells)]
        return [COLUMNS[i] for i in told], [[row[i] for i in told] for row in cells]

    def as_dict(self) -> dict[str, Any]:
        """Return everything for `--json`."""
        rows = [self._values(row) for row in self.rows]
        return self.summary.as_dict() | {"has_database": self.has_database, "canonical": rows}

    def _cells(self, row: CanonicalRow) -> list[str]:
        numbers = [_cell(row.n_positive), _cell(row.n_examined)]
        return [
            str(row.row),
            " ".join(row.column.split()),
            str(self.numbers[row.patient_id]),
            row.report_date,
            row.surgery_date or "",
            "+".join(key.code for key in row.stations),
            "/".join(one or "?" for one in numbers) if any(numbers) else "",
            row.status,
        ]

    def _values(self, row: CanonicalRow) -> dict[str, Any]:
        return {
            "row": row.row,
            "column": row.column,
            "patient": self.numbers[row.patient_id],
            "report_id": row.report_id,
            "report_date": row.report_date,
            "surgery_date": row.surgery_date,
            "station": "+".join(f"{key.system}:{key.code}" for key in row.stations),
            "n_examined": row.n_examined,
            "n_positive": row.n_positive,
            "status": row.status,
            "neoadjuvant": row.neoadjuvant,
        }


def run(path: Path, settings: Settings, wanted: ImportRequest) -> PreviewSummary:
    """Read and check the file, and compare it with the database if there is one.

    Raises:
        Refusal: The secret of the pseudonyms is missing.
        DatabaseError: The database cannot be used.
    """
    collected = read(path, wanted, keep=True)
    who = identities_or_told(wanted, collected)
    found = compared(settings, collected, who, wanted)
    return PreviewSummary(summary_of(collected, found), collected.canonical, found is not None)


def _cell(value: int | None) -> str:
    return "" if value is None else str(value)
