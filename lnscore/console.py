"""Show progress and notes on standard error: bars on a terminal, plain lines elsewhere."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol, runtime_checkable

from rich.console import Console
from rich.markup import escape

ERR = Console(stderr=True, highlight=False, soft_wrap=True)


@runtime_checkable
class Advance(Protocol):
    """A function that shows the progress of a job; `total` may grow while the job runs."""

    def __call__(self, done: int, total: int, words: str = "") -> None:
        """Show that `done` of `total` units are done, with a short note."""
        ...


PLAIN_EVERY_S = 10.0


def note(line: str) -> None:
    """Print one line to standard error, such as a warning or the engine that was chosen."""
    ERR.print(escape(line))


@contextmanager
def progress(title: str, unit: str) -> Iterator[Advance]:
    """Show a bar with rate and time left on a terminal, and a line every ten seconds elsewhere.

    Args:
        title: Name of the work, two or three words.
        unit: Plural of what is counted, such as `nodes`.
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
    """Return a time with a suitable unit, such as 40 s, 3 min or 1.5 h."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 3600 else f"{seconds / 3600:.1f} h"
