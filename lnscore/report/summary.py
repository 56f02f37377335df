"""The summary of `lnscore report`, as text and as JSON."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lnscore.errors import EXIT_DONE, EXIT_SOME_REFUSED


@dataclass(kw_only=True)
class ReportSummary:
    """Counts of a report, and what is missing in it.

    Attributes:
        page: Page to open.
        studies: Number of studies.
        nodes: Number of nodes.
        scored: Number of nodes that the newest engine has scored.
        pages_written: Number of study pages that were written.
        pages_current: Number of study pages that were current already.
        problems: Number of things that were refused or wait, as the report lists them.
        lacking: Studies with missing pictures or without a page.
        tables_kept: Whether the index and the tables were not changed, because the folder
            holds all studies and only one was reported.
    """

    page: Path
    studies: int = 0
    nodes: int = 0
    scored: int = 0
    pages_written: int = 0
    pages_current: int = 0
    problems: int = 0
    lacking: list[str] = field(default_factory=list)
    tables_kept: bool = False

    @property
    def exit_code(self) -> int:
        """3 if a study lacks its pictures or its page, else 0."""
        return EXIT_SOME_REFUSED if self.lacking else EXIT_DONE

    def lines(self) -> list[str]:
        """Return the counts, what is missing, and the page to open."""
        lines = [
            f"{_count(self.studies, 'study', 'studies')}, {_count(self.nodes, 'node')}, "
            f"{self.scored} scored; {_count(self.pages_written, 'page')} written, "
            f"{self.pages_current} already current"
        ]
        if self.problems:
            place = "on the page" if self.tables_kept else "in the index"
            lines.append(f"{self.problems} refused or waiting: listed {place}")
        if self.lacking:
            lines.append(
                f"{_count(len(self.lacking), 'study', 'studies')} with missing pictures or page; "
                f"the page or the index gives the reason: {', '.join(self.lacking)}"
            )
        if self.tables_kept:
            lines.append("The folder holds all studies, so its index and tables were not changed")
        return [*lines, f"Open {self.page}"]

    def as_dict(self) -> dict[str, Any]:
        """Return the summary for `--json`."""
        counts = {name: value for name, value in vars(self).items() if name != "page"}
        return counts | {"page": str(self.page), "exit_code": self.exit_code}


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"
