"""`lnscore` run in the test's own process."""

import sys
from collections.abc import Callable

import pytest

from lnscore import cli

Run = Callable[..., tuple[int, str, str]]


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
