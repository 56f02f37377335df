"""`lnscore pathology draft`: propose a mapping file, and print or write it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lnscore.errors import EXIT_DONE, Refusal
from lnscore.pathology.draft import Draft, draft
from lnscore.tables.sheets import read_sheet


@dataclass(frozen=True)
class DraftSummary:
    """A proposed mapping, with notes about it.

    Attributes:
        text: Text of the mapping file; empty if it was written to a file.
        notes: Counts, and what to do next.
        out: Path of the file that was written; None if none was.
    """

    text: str
    notes: tuple[str, ...]
    out: Path | None

    exit_code = EXIT_DONE

    def lines(self) -> list[str]:
        """Return the text of the mapping; nothing if it was written to a file."""
        return [self.text.rstrip("\n")] if self.text else []

    def as_dict(self) -> dict[str, Any]:
        """Return the mapping for `--json`."""
        return {"mapping": self.text, "notes": list(self.notes), "out": self.out}


def run(file: Path, sheet: str | None, out: Path | None) -> DraftSummary:
    """Propose a mapping, and write it if a file is named.

    Raises:
        Refusal: The table cannot be read; P18, `out` exists already or cannot be written.
    """
    table = read_sheet(file, sheet=sheet)
    proposed = draft(table)
    notes = [*table.notes, *_counts(proposed)]
    if out is not None:
        _write(out, proposed.text)
        notes.append(f"Next: check {out}, then lnscore pathology preview {file} --mapping {out}")
    return DraftSummary("" if out else proposed.text, tuple(notes), out)


def _write(out: Path, text: str) -> None:
    try:
        with out.open("x", encoding="utf-8", newline="\n") as file:
            file.write(text)
    except OSError as error:
        raise Refusal(
            "P18",
            f"{out} cannot be written ({error.strerror})",
            "a new file",
            "Name another file; an existing mapping is never overwritten.",
        ) from None


def _counts(one: Draft) -> list[str]:
    found = f"{one.pairs} pairs, {one.counts} columns of counts, {one.codes} columns of marks"
    lines = [f"{found}; {one.unsure} places are marked unsure"]
    if one.unused:
        lines.append(f"{len(one.unused)} columns are not used")
    return lines
