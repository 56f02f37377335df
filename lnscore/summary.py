"""The result of a job for the command line: lines and tables of text, or a JSON document.

A job prints nothing on standard output. `lnscore.cli.printing` prints its summary, either as
text or as one JSON document, and ends with its exit code.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from lnscore.errors import EXIT_DONE


@dataclass(frozen=True)
class ShownTable:
    """A table to print on a terminal.

    Attributes:
        title: Line above the table.
        columns: Headings of the columns.
        rows: Rows of cells as plain text; each has as many cells as there are headings.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


@runtime_checkable
class Summary(Protocol):
    """The result of a job."""

    @property
    def exit_code(self) -> int:
        """Exit code of the command (see `lnscore.errors`)."""
        ...

    def lines(self) -> Sequence[str | ShownTable]:
        """Return lines and tables in the order in which they are printed."""
        ...

    def as_dict(self) -> Any:  # noqa: ANN401
        """Return the document for `--json`; its form does not depend on the other options."""
        ...


@dataclass(frozen=True)
class Answer:
    """The summary of a command that only shows something.

    Attributes:
        shown: Lines and tables to print.
        document: Document for `--json`.
        exit_code: Exit code of the command.
    """

    shown: Sequence[str | ShownTable]
    document: Any
    exit_code: int = EXIT_DONE

    def lines(self) -> Sequence[str | ShownTable]:
        """Return lines and tables in the order in which they are printed."""
        return self.shown

    def as_dict(self) -> Any:  # noqa: ANN401
        """Return the document for `--json`."""
        return self.document
