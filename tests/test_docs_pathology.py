"""The worked example of docs/pathology.md: its commands, one after the other, say what it says."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[1] / "docs"
PAGE = (DOCS / "pathology.md").read_text(encoding="utf-8")


def shown() -> list[tuple[str, str]]:
    """Every block of the page that is run or typed, in its order."""
    return re.findall(r"```(console|yaml)\n(.*?)```", PAGE, re.DOTALL)


def commands(block: str) -> list[tuple[list[str], list[str]]]:
    """Arguments after `lnscore`, and the lines that the page shows."""
    parts = re.split(r"^\$ lnscore ", block, flags=re.MULTILINE)[1:]
    return [(head.split(), lines) for head, *lines in (part.splitlines() for part in parts)]


def typed(block: str, file: Path) -> None:
    """Put lines into the mapping: in the place of the line of that key, or at the end."""
    text = file.read_text(encoding="utf-8")
    for line in block.splitlines():
        key = line.split(":")[0]
        text, replaced = re.subn(rf"^{key}:.*$", lambda _, new=line: new, text, flags=re.MULTILINE)
        text = text if replaced else f"{text}{line}\n"
    file.write_text(text, encoding="utf-8")


@pytest.mark.slow
def test_the_worked_example_says_what_the_page_says(tmp_path: Path) -> None:
    shutil.copy(DOCS / "registry.xlsx", tmp_path)
    for kind, block in shown():
        if kind == "yaml":
            typed(block, tmp_path / "map.yaml")
            continue
        for arguments, lines in commands(block):
            done = subprocess.run(
                [sys.executable, "-P", "-m", "lnscore", *arguments],
                cwd=tmp_path,
                capture_output=True,
                encoding="utf-8",
                check=False,
            )
            said = done.stdout + done.stderr
            assert done.returncode == int(any(line.startswith("error") for line in lines)), said
            for line in lines:
                assert line in said, (arguments, said)
