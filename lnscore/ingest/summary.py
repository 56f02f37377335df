"""The summary of an ingest, as text and as JSON."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from db.records import RefusedRecord
from lnscore.errors import EXIT_DONE, EXIT_SOME_REFUSED
from lnscore.quarantine_rows import sentence

SHOWN = 20


@dataclass(kw_only=True)
class IngestSummary:
    """Counts and refusals of one ingest (see `summary.Summary`).

    Attributes:
        files: Number of files that were read.
        studies: Number of studies with CT.
        series: Number of series by outcome: new, revised, same, waiting, quarantined, or kept
            (the new copy is not usable, so the stored series stays).
        nodes: Number of nodes added.
        skipped: Number of files left out, by kind.
        notes: Notes on links that were not followed, on dates that are not valid, and on patch
            files that were missing.
        refused: Everything that was refused.
    """

    files: int = 0
    studies: int = 0
    series: Counter[str] = field(default_factory=Counter)
    nodes: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)
    refused: list[RefusedRecord] = field(default_factory=list)

    @property
    def exit_code(self) -> int:
        """3 if something was refused, else 0."""
        return EXIT_SOME_REFUSED if self.refused else EXIT_DONE

    def lines(self) -> list[str]:
        """Return the summary as a few lines of text."""
        counted = [f"{count} {name}" for name, count in sorted(self.series.items()) if count]
        series = ", ".join(counted)
        lines = [
            f"{self.files} files, {self.studies} studies, series: {series or 'none'}; "
            f"{self.nodes} nodes added"
        ]
        if self.skipped:
            skipped = ", ".join(f"{count} {name}" for name, count in sorted(self.skipped.items()))
            lines.append(f"left out: {skipped}")
        lines += self.notes[:SHOWN]
        if self.notes[SHOWN:]:
            lines.append(f"... and {len(self.notes) - SHOWN} more notes (--json has all)")
        lines += [f"refused: {sentence(one)}" for one in self.refused[:SHOWN]]
        if self.refused[SHOWN:]:
            lines.append(f"... and {len(self.refused) - SHOWN} more (lnscore status --refused)")
        return lines

    def as_dict(self) -> dict[str, Any]:
        """Return the summary for `--json`."""
        return {
            "files": self.files,
            "studies": self.studies,
            "series": dict(self.series),
            "nodes": self.nodes,
            "skipped": dict(self.skipped),
            "notes": self.notes,
            "refused": [_row(one) for one in self.refused],
            "exit_code": self.exit_code,
        }

    def counts(self) -> dict[str, Any]:
        """Return the numbers that are stored in the run's row."""
        return {
            "files": self.files,
            "studies": self.studies,
            "series": dict(self.series),
            "nodes": self.nodes,
            "refused": len(self.refused),
        }


def _row(one: RefusedRecord) -> dict[str, Any]:
    names = ("code", "scope", "found", "wanted", "fix", "path", "study_uid", "series_uid", "sha256")
    return {name: getattr(one, name) for name in names}
