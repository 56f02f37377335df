"""`lnscore pathology draft`: a proposed mapping file, printed or written."""

from pathlib import Path

from lnscore import console
from lnscore.errors import Refusal
from lnscore.pathology.draft import Draft, draft
from lnscore.tables.sheets import read_sheet


def run(file: Path, sheet: str | None, out: Path | None) -> None:
    """Propose a mapping; the text goes to standard output or to `out`, the counts are told.

    Raises:
        Refusal: The table cannot be read; P18, `out` is there already or cannot be written.
    """
    table = read_sheet(file, sheet=sheet)
    proposed = draft(table)
    if out is None:
        print_text(proposed.text)
    else:
        _write(out, proposed.text)
    for line in (*table.said, *_told(proposed)):
        console.note(line)
    if out is not None:
        console.note(f"Next: look at {out}, then lnscore pathology preview {file} --mapping {out}")


def print_text(text: str) -> None:
    """The mapping itself, as it is."""
    console.say(text.rstrip("\n"))


def _write(out: Path, text: str) -> None:
    try:
        with out.open("x", encoding="utf-8", newline="\n") as file:
            file.write(text)
    except OSError as error:
        raise Refusal(
            "P18",
            f"{out} cannot be written ({error.strerror})",
            "a new file",
            "Name another; a mapping that is there is never overwritten.",
        ) from None


def _told(one: Draft) -> list[str]:
    found = f"{one.pairs} pairs, {one.counts} columns of counts, {one.codes} columns of marks"
    lines = [f"{found}; {one.unsure} places are marked unsure"]
    if one.unused:
        lines.append(f"{len(one.unused)} columns are not used")
    return lines
