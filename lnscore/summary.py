"""What a job returns to the command line: lines and tables to read, a document for a machine.

A job prints nothing on standard output. `lnscore.cli.printing` shows its summary, either as
text or as one JSON document, and leaves with its exit code.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from lnscore.errors import EXIT_DONE


@dataclass(frozen=True)
class TextTable:
    """A table to read on a terminal.

    Attributes:
        title: Line above the table.
        columns: Headings.
        rows: Cells as plain text, as many in a row as there are headings.
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

    def lines(self) -> Sequence[str | TextTable]:
        """Lines and tables in the order in which they are printed."""
        ...

    def as_dict(self) -> Any:  # noqa: ANN401
        """The document for `--json`; a command has one form of it, whatever its options are."""
        ...


@dataclass(frozen=True)
class Answer:
    """The summary of a command that only shows something.

    Attributes:
        shown: Lines and tables to print.
        document: The same for `--json`.
        exit_code: Exit code of the command.
    """

    shown: Sequence[str | TextTable]
    document: Any
    exit_code: int = EXIT_DONE

    def lines(self) -> Sequence[str | TextTable]:
        """Lines and tables in the order in which they are printed."""
        return self.shown

    def as_dict(self) -> Any:  # noqa: ANN401
        """The document for `--json`."""
        return self.document
