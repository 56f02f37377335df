"""Print on standard output: lines, tables and JSON documents.

Only the command line prints; jobs return a summary (see `lnscore.summary`). Progress and notes
go to standard error (see `lnscore.console`).
"""

import json
import sys
from typing import Any, NoReturn

import typer
from rich.console import Console
from rich.markup import escape

from lnscore.console import ERR
from lnscore.summary import ShownTable, Summary

PIPED_WIDTH = 120
"""Width of a line in characters, if the output goes to a file or another program."""
WHOLE_CELL = 12
"""Columns whose cells have at most this many characters are never wrapped."""

OUT = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else PIPED_WIDTH)


def finish(summary: Summary, *, as_json: bool) -> NoReturn:
    """Print the summary of a job and end with its exit code.

    Raises:
        typer.Exit: Always.
    """
    if as_json:
        print_json(summary.as_dict())
    else:
        for part in summary.lines():
            if isinstance(part, ShownTable):
                print_table(part)
            else:
                say(part)
    raise typer.Exit(summary.exit_code)


def say(line: str) -> None:
    """Print one line."""
    OUT.print(escape(line))


def fail(error: Exception) -> None:
    """Print an error on standard error."""
    ERR.print(f"[bold red]error[/] {escape(str(error))}")


def print_json(document: Any) -> None:  # noqa: ANN401
    """Print one JSON document for a machine."""
    sys.stdout.write(json.dumps(document, indent=2, sort_keys=True, default=str) + "\n")


def print_table(shown: ShownTable) -> None:
    """Print a table."""
    from rich import box
    from rich.table import Table

    table = Table(title=shown.title, box=box.SIMPLE_HEAD, title_justify="left", title_style="bold")
    for place, column in enumerate(shown.columns):
        widest = max((len(row[place]) for row in shown.rows), default=0)
        # On a narrow terminal sentences are wrapped; dates and codes stay on one line.
        table.add_column(column, overflow="fold", no_wrap=widest <= WHOLE_CELL)
    for row in shown.rows:
        table.add_row(*(escape(cell) for cell in row))
    OUT.print(table)
