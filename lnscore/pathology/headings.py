"""Finds the columns of a table by their headings, or by their spreadsheet letter."""

import difflib
import re
import unicodedata
from dataclasses import dataclass
from functools import cached_property

from lnscore.tables.messages import Message

BETWEEN = " | "
"""Separator between the header cells of one column, which are listed from the top."""

_LETTER = re.compile(r"\[([A-Za-z]{1,3})\]")


@dataclass(frozen=True)
class Columns:
    """The columns of a table.

    Attributes:
        headings: Header cells of each column, from the top.
    """

    headings: tuple[tuple[str, ...], ...]

    @cached_property
    def paths(self) -> tuple[str, ...]:
        """Path of each column: all its header cells, `Right | 4R | total`; "" if it has none."""
        return tuple(BETWEEN.join(parts_of(cells)) for cells in self.headings)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Name of each column in a mapping: its path, or its letter if two share a path."""
        forms = [compared(path) for path in self.paths]
        return tuple(
            path if path and forms.count(compared(path)) == 1 else f"[{letter_of(i)}]"
            for i, path in enumerate(self.paths)
        )

    def shown(self, column: int) -> str:
        """Return the heading of a column for messages; its letter if it has no heading."""
        return self.paths[column] or letter_of(column)

    def find(self, name: str) -> int | Message:
        """Find the column that a name in a mapping means.

        Args:
            name: The whole path, or its lowest cells if only one column has these, or a
                letter in brackets, `[Y]`.

        Returns:
            Its number from 0, or P15 if no column has the name (with headings that look alike)
            or several have it.
        """
        if letter := _LETTER.fullmatch(name.strip()):
            column = number_of(letter[1])
            if column < len(self.headings):
                return column
            return _missing(f"column {name} is beyond the last one, {self._last()}")
        for forms in self._forms:
            found = [i for i, form in enumerate(forms) if form == compared(name) != ""]
            if len(found) > 1:
                letters = ", ".join(f"[{letter_of(i)}]" for i in found[:6])
                return _missing(f"column {name!r} is there {len(found)} times: write {letters}")
            if found:
                return found[0]
        near = self._near(name)
        hint = f"; did you mean {', '.join(map(repr, near))}?" if near else ""
        return _missing(f"column {name!r} is not in the table{hint}")

    @cached_property
    def _forms(self) -> tuple[list[str], ...]:
        """Forms of the paths for comparison: whole paths, then shorter and shorter ends of them."""
        parts = [parts_of(cells) for cells in self.headings]
        depth = max(map(len, parts), default=0)
        return tuple(
            [compared(BETWEEN.join(one[-size:])) if len(one) >= size else "" for one in parts]
            for size in range(depth, 0, -1)
        )

    def _near(self, name: str) -> list[str]:
        forms = {compared(path): path for path in reversed(self.paths) if path}
        near = difflib.get_close_matches(compared(name), list(forms)[:2000], n=3, cutoff=0.6)
        return [forms[form] for form in near]

    def _last(self) -> str:
        return f"[{letter_of(len(self.headings) - 1)}]"


def parts_of(cells: tuple[str, ...]) -> tuple[str, ...]:
    """Return the header cells of a column without empty cells and repeats of a merged cell."""
    filled = [cell for cell in cells if cell]
    return tuple(cell for i, cell in enumerate(filled) if i == 0 or cell != filled[i - 1])


def compared(name: str) -> str:
    """Return the form in which headings are compared: case, width and blanks do not matter."""
    return " ".join(unicodedata.normalize("NFKC", name).casefold().replace("|", " | ").split())


def letter_of(column: int) -> str:
    """Return the spreadsheet letter of a column; columns are counted from 0."""
    letters = ""
    column += 1
    while column:
        column, rest = divmod(column - 1, 26)
        letters = chr(65 + rest) + letters
    return letters


def number_of(letters: str) -> int:
    """Return the column, counted from 0, of a spreadsheet letter."""
    number = 0
    for letter in letters.upper():
        number = number * 26 + ord(letter) - 64
    return number - 1


def _missing(text: str) -> Message:
    return Message("P15", "E", text)
