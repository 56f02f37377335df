"""What is printed: plain text where nobody watches, never markup by accident."""

import io
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from rich.console import Console

from lnscore import console
from lnscore.cli import printing
from lnscore.errors import Refusal
from lnscore.summary import ShownTable


def test_text_with_brackets_is_printed_as_it_is(capsys) -> None:
    printing.say("study [bold]x[/bold] [1.2.3]")
    console.note("mask [red]")
    printing.fail(Refusal("U03", "[a]", "[b]", "[c]"))
    out, err = capsys.readouterr()
    assert out == "study [bold]x[/bold] [1.2.3]\n"
    assert err == "mask [red]\nerror U03: [a]; wanted [b]. [c]\n"


def test_long_lines_are_not_broken_where_nobody_watches(capsys) -> None:
    printing.say("x" * 500)
    assert capsys.readouterr().out == "x" * 500 + "\n"


def test_json_is_one_sorted_document_with_paths_and_times_as_text(capsys) -> None:
    printing.print_json({"b": Path("x"), "a": datetime(2026, 1, 2, tzinfo=UTC)})
    text = capsys.readouterr().out
    assert json.loads(text) == {"a": "2026-01-02 00:00:00+00:00", "b": "x"}
    assert text.index('"a"') < text.index('"b"')


def test_tables_have_every_cell_and_no_markup(capsys) -> None:
    printing.print_table(ShownTable("Things", ["name", "value"], [["[b]", "1"], ["c", "2"]]))
    lines = [line.split() for line in capsys.readouterr().out.splitlines() if line.strip()]
    assert lines[0] == ["Things"]
    assert lines[-2:] == [["[b]", "1"], ["c", "2"]]


def test_progress_is_silent_for_a_short_task_where_nobody_watches(capsys) -> None:
    with console.progress("scoring", "nodes") as advance:
        advance(5, 10)
        advance(10, 10)
    assert capsys.readouterr().err == ""


def test_progress_is_a_line_every_ten_seconds_where_nobody_watches(capsys, monkeypatch) -> None:
    now_s = 100.0
    monkeypatch.setattr(console.time, "monotonic", lambda: now_s)
    with console.progress("scoring", "nodes") as advance:
        for done in range(0, 250, 10):
            now_s += 1.0
            advance(done, 250)
    assert capsys.readouterr().err.splitlines() == [
        "scoring: 90 of 250 nodes, 9.0 nodes/s, 18 s left",
        "scoring: 190 of 250 nodes, 9.5 nodes/s, 6 s left",
    ]


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0.4, "0 s"), (59.4, "59 s"), (90, "2 min"), (5400, "1.5 h")]
)
def test_time_left_is_in_a_unit_that_fits(seconds: float, shown: str) -> None:
    assert console.duration(seconds) == shown


def test_progress_on_a_terminal_shows_count_rate_and_time_left(monkeypatch) -> None:
    screen = io.StringIO()
    terminal = Console(file=screen, force_terminal=True, width=120)
    monkeypatch.setattr(console, "ERR", terminal)
    with console.progress("scoring", "nodes") as advance:
        advance(5, 10)
        advance(10, 10)
    text = screen.getvalue()
    assert "scoring" in text
    assert "10/10" in text
    assert "nodes/s" in text
