"""What `lnscore report` says of itself."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lnscore.errors import EXIT_DONE, EXIT_SOME_REFUSED


@dataclass(kw_only=True)
class ReportSummary:
    """What a report holds and what it lacks.

    Attributes:
        page: The page to open.
        problems: Refused or waiting, as the report lists them.
        lacking: Studies with missing pictures or without a page.
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
        """3 where a study lacks its pictures or its page."""
        return EXIT_SOME_REFUSED if self.lacking else EXIT_DONE

    def lines(self) -> list[str]:
        """Counts, what is missing, what to open."""
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
                f"{_count(len(self.lacking), 'study', 'studies')} with pictures or the page "
                f"missing, the reason is on the page or in the index: {', '.join(self.lacking)}"
            )
        if self.tables_kept:
            lines.append("The folder holds all studies: its index and tables were left alone")
        return [*lines, f"Open {self.page}"]

    def as_dict(self) -> dict[str, Any]:
        """The same for `--json`."""
        counts = {name: value for name, value in vars(self).items() if name != "page"}
        return counts | {"page": str(self.page), "exit_code": self.exit_code}


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"
