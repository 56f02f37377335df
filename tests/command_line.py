"""`lnscore` run in the test's own process; its commands by name."""

import sys
from collections.abc import Callable

import pytest
import typer.main

from lnscore.cli import app as cli

Run = Callable[..., tuple[int, str, str]]


def commands() -> dict[str, typer.main.TyperCommand]:
    """Every command by its full name, as `engine list`; a group that does something is one."""
    found = {}

    def walk(group, prefix: str) -> None:
        for name, command in group.commands.items():
            inner = hasattr(command, "commands")
            if not inner or command.invoke_without_command:
                found[prefix + name] = command
            if inner:
                walk(command, f"{prefix}{name} ")

    walk(typer.main.get_command(cli.app), "")
    return found


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
