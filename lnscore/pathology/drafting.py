"""`lnscore pathology draft`: a proposed mapping file, printed or written."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lnscore.errors import EXIT_DONE, Refusal
from lnscore.pathology.draft import Draft, draft
from lnscore.tables.sheets import read_sheet


@dataclass(frozen=True)
class DraftSummary:
    """A proposed mapping and what is to be known about it.

    Attributes:
        text: The mapping file; empty where it was written to a file.
        notes: Counts, and what to do next.
        out: The file that was written, if any.
    """

    text: str
    notes: tuple[str, ...]
    out: Path | None

    exit_code = EXIT_DONE

    def lines(self) -> list[str]:
        """The mapping itself, as it is."""
        return [self.text.rstrip("\n")] if self.text else []

    def as_dict(self) -> dict[str, Any]:
        """The same for a machine."""
        return {"mapping": self.text, "notes": list(self.notes), "out": self.out}


def run(file: Path, sheet: str | None, out: Path | None) -> DraftSummary:
    """Propose a mapping, and write it where a file is named.

    Raises:
        Refusal: The table cannot be read; P18, `out` is there already or cannot be written.
    """
    table = read_sheet(file, sheet=sheet)
    proposed = draft(table)
    notes = [*table.notes, *_counts(proposed)]
    if out is not None:
        _write(out, proposed.text)
        notes.append(f"Next: look at {out}, then lnscore pathology preview {file} --mapping {out}")
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
            "Name another; a mapping that is there is never overwritten.",
        ) from None


def _counts(one: Draft) -> list[str]:
    found = f"{one.pairs} pairs, {one.counts} columns of counts, {one.codes} columns of marks"
    lines = [f"{found}; {one.unsure} places are marked unsure"]
    if one.unused:
        lines.append(f"{len(one.unused)} columns are not used")
    return lines
