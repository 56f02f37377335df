"""All that lnscore prints: tables and progress bars on a terminal, plain lines elsewhere."""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn, Protocol, runtime_checkable

import typer
from rich.console import Console
from rich.markup import escape

from lnscore.summary import Summary

PIPED_WIDTH = 120  # a file or a log has no width of its own

OUT = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else PIPED_WIDTH)
ERR = Console(stderr=True, highlight=False, soft_wrap=True)


@runtime_checkable
class Advance(Protocol):
    """Called with (done, total, a few words to show); both numbers may grow."""

    def __call__(self, done: int, total: int, words: str = "") -> None:
        """Show it."""
        ...


PLAIN_EVERY_S = 10.0
WHOLE_CELL = 12  # characters


def say(line: str) -> None:
    """Print one line to standard output."""
    OUT.print(escape(line))


def note(line: str) -> None:
    """Print one line to standard error: progress, warnings, what was chosen."""
    ERR.print(escape(line))


def fail(error: Exception) -> None:
    """Print an error's sentence to standard error."""
    ERR.print(f"[bold red]error[/] {escape(str(error))}")


def print_json(value: Any) -> None:  # noqa: ANN401
    """Print one JSON document for a machine."""
    sys.stdout.write(json.dumps(value, indent=2, sort_keys=True, default=str) + "\n")


def finish(summary: Summary, *, as_json: bool) -> NoReturn:
    """Print what a job says of itself and leave with its exit code.

    Raises:
        typer.Exit: Always.
    """
    if as_json:
        print_json(summary.as_dict())
    else:
        for line in summary.lines():
            say(line)
    raise typer.Exit(summary.exit_code)


def print_table(title: str, columns: list[str], rows: list[list[str]]) -> None:
    """Print a table; the cells are plain text."""
    from rich import box
    from rich.table import Table

    table = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left", title_style="bold")
    for place, column in enumerate(columns):
        widest = max((len(row[place]) for row in rows), default=0)
        # Dates and codes stay on one line where the terminal is narrow; sentences give way.
        table.add_column(column, overflow="fold", no_wrap=widest <= WHOLE_CELL)
    for row in rows:
        table.add_row(*(escape(cell) for cell in row))
    OUT.print(table)


@contextmanager
def progress(title: str, unit: str) -> Iterator[Advance]:
    """A bar with rate and time left on a terminal; a plain line every ten seconds elsewhere.

    Args:
        title: What is going on, two or three words.
        unit: What is counted, plural.
    """
    if ERR.is_terminal:
        with _bar(title, unit) as advance:
            yield advance
    else:
        yield _plain(title, unit)


@contextmanager
def _bar(title: str, unit: str) -> Iterator[Advance]:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.progress import TimeRemainingColumn as TimeLeft

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeLeft(),
        TextColumn("{task.fields[words]}"),
    )
    with Progress(*columns, console=ERR) as bar:
        task = bar.add_task(title, total=None, rate="", words="")
        started = time.monotonic()

        def advance(done: int, total: int, words: str = "") -> None:
            rate = done / max(time.monotonic() - started, 1e-6)
            speed, told = f"{rate:.1f} {unit}/s", escape(words)
            bar.update(task, completed=done, total=total, rate=speed, words=told)

        yield advance


def _plain(title: str, unit: str) -> Advance:
    started = time.monotonic()
    last = started

    def advance(done: int, total: int, words: str = "") -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= PLAIN_EVERY_S:
            last = now
            rate = done / (now - started)
            left = f", {duration((total - done) / rate)} left" if rate else ""
            told = f", {words}" if words else ""
            note(f"{title}: {done} of {total} {unit}, {rate:.1f} {unit}/s{left}{told}")

    return advance


def duration(seconds: float) -> str:
    """A time as people say it: 40 s, 3 min, 1.5 h."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 3600 else f"{seconds / 3600:.1f} h"
