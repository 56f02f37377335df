"""What an ingest says of itself."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from db.records import RefusedRecord
from lnscore.errors import EXIT_DONE, EXIT_SOME_REFUSED
from lnscore.refused import sentence

SHOWN = 20


@dataclass(kw_only=True)
class IngestSummary:
    """Counts and refusals of one ingest (see `summary.Summary`).

    Attributes:
        files: Files looked at.
        studies: Studies with CT.
        series: Series by what became of them: new, revised, same, waiting, quarantined, or
            kept (what came is not usable, what is stored stays).
        nodes: Nodes added.
        flags: Series flags by code.
        skipped: Files left out, by kind.
        notes: What was not followed or could not be dated.
        refused: Everything that was not used.
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
        """3 where something was refused."""
        return EXIT_SOME_REFUSED if self.refused else EXIT_DONE

    def lines(self) -> list[str]:
        """What happened, in a few lines."""
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
        """The same for `--json`."""
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
        """What the run's row keeps: numbers only."""
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
