"""The documents say what the code says."""

import re
from pathlib import Path

import pytest

from command_line import commands
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
    for package in ("lnscore", "db", "engines", "trainer"):
        for file in (ROOT / package).rglob("*.py"):
            raised |= set(re.findall(r'"([A-Z]\d\d)"', file.read_text()))
    assert raised - {"K17"} <= set(CODES)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_to_a_file(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text()):
        assert (page.parent / target).exists(), target


def test_every_option_of_every_command_is_in_the_command_reference() -> None:
    text = (ROOT / "docs/cli.md").read_text()
    missing = []
    for name, command in commands().items():
        section = text.partition(f"## lnscore {name}\n")[2].split("\n## ")[0]
        for option in command.params:
            long = [word for word in option.opts if word.startswith("--")]
            missing += [f"{name} {word}" for word in long if f"`{word}" not in section]
    assert missing == []
