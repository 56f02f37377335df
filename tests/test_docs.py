"""The documents say what the code says."""

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from command_line import commands
from lnscore.cli.app import app
from lnscore.cli.reference import reference
from lnscore.errors import CODES

ROOT = Path(__file__).parents[1]
PAGES = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").glob("*.md")])


def test_every_code_is_listed_with_its_meaning() -> None:
    listed = dict(
        re.findall(r"^\| `(\w\d\d)` \| (.+) \|$", (ROOT / "docs/errors.md").read_text(), re.M)
    )
    assert listed == CODES


def test_every_code_that_is_raised_is_listed() -> None:
    raised = set()
    for package in ("lnscore", "db", "engines", "ground", "trainer"):
        for file in (ROOT / package).rglob("*.py"):
            raised |= set(re.findall(r'"([A-Z]\d\d)"', file.read_text()))
    assert raised - {"K17"} <= set(CODES)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_to_a_file(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text()):
        assert (page.parent / target).exists(), target


def test_the_command_reference_is_what_the_commands_say() -> None:
    text = (ROOT / "docs/cli.md").read_text(encoding="utf-8")
    assert text == reference(), "make docs writes it again"


@pytest.mark.parametrize("name", sorted(commands()))
def test_the_help_of_a_command_shows_every_default(name: str) -> None:
    shown = CliRunner().invoke(app, [*name.split(), "--help"], env={"COLUMNS": "200"}).output
    for option in commands()[name].params:
        default = option.default() if callable(option.default) else option.default
        if isinstance(option.show_default, str):
            default = f"({option.show_default})"
        if default not in (None, False, "", (), []):
            assert f"[default: {default}" in shown, f"{name} {option.name}"
