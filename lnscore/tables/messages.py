"""The message about a table of pathology or labels: its code, severity, text and place."""

from dataclasses import dataclass
from typing import Any, Literal

Severity = Literal["E", "W", "I"]
"""Error, warning or information; only an error stops the whole import."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message about a table; it contains no patient's name.

    Attributes:
        code: Code of the message, as in the list of codes.
        severity: `E`, `W` or `I`.
        text: Text of the message, without the place.
        row: Line of the file or row of the sheet as the user sees it there, from 1; None
            if the message is about the whole file.
        column: Heading of the column, or its letter in a spreadsheet.
    """

    code: str
    severity: Severity
    text: str
    row: int | None = None
    column: str = ""

    @property
    def sentence(self) -> str:
        """The whole message: `P02: row 12, column station: station '106recX' not in ...`."""
        row = "" if self.row is None else f"row {self.row}"
        column = f"column {' '.join(self.column.split())}" if self.column else ""
        place = ", ".join(part for part in (row, column) if part)
        return f"{self.code}: {place}: {self.text}" if place else f"{self.code}: {self.text}"

    def as_dict(self) -> dict[str, Any]:
        """Return the message for `--json`."""
        return {
            "code": self.code,
            "severity": self.severity,
            "row": self.row,
            "column": self.column,
            "text": self.text,
        }
