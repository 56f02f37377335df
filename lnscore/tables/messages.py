"""What is said about a pathology table: a code, how grave it is, where it stands."""

from dataclasses import dataclass
from typing import Any, Literal

Severity = Literal["E", "W", "I"]
"""An error stops the whole import; a warning and an information do not."""


@dataclass(frozen=True, slots=True)
class Message:
    """One thing to say, without a patient's name.

    Attributes:
        code: As in the list of codes.
        severity: `E`, `W` or `I`.
        text: The sentence without its place.
        row: Line of the file or row of the sheet as the user sees it there, from 1; None
            where the whole file is meant.
        column: Its heading, or its letter in a spreadsheet.
    """

    code: str
    severity: Severity
    text: str
    row: int | None = None
    column: str = ""

    @property
    def sentence(self) -> str:
        """The whole sentence: `P02: row 12, column station: station '106recX' not in ...`."""
        row = "" if self.row is None else f"row {self.row}"
        column = f"column {' '.join(self.column.split())}" if self.column else ""
        place = ", ".join(part for part in (row, column) if part)
        return f"{self.code}: {place}: {self.text}" if place else f"{self.code}: {self.text}"

    def as_dict(self) -> dict[str, Any]:
        """The same for `--json`."""
        return {
            "code": self.code,
            "severity": self.severity,
            "row": self.row,
            "column": self.column,
            "text": self.text,
        }
