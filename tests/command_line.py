"""`lnscore` run in the test's own process; its commands by name."""

import sys
from collections.abc import Callable

import pytest
import typer
import typer.main

from lnscore.cli import app as cli
from lnscore.cli import reference
from lnscore.cli.printing import finish
from lnscore.summary import Summary

Run = Callable[..., tuple[int, str, str]]


def commands() -> dict[str, typer.main.TyperCommand]:
    """Every command by its full name, as `engine list`."""
    return dict(reference.commands())


@pytest.fixture
def lnscore(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command: exit code, standard output, standard error."""

    def run(*words: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["lnscore", *map(str, words)])
        with pytest.raises(SystemExit) as leaving:
            cli.main()
        out, err = capsys.readouterr()
        assert isinstance(leaving.value.code, int)
        return leaving.value.code, out, err

    return run


def printed(summary: Summary, *, as_json: bool = False) -> int:
    """Print a summary as a command does; the exit code."""
    with pytest.raises(typer.Exit) as leaving:
        finish(summary, as_json=as_json)
    return leaving.value.exit_code
