"""Counts of nodes as people type them: what was read as what is said, nothing is guessed."""

import re
import unicodedata
from dataclasses import dataclass

from lnscore.tables.cells import DATE_LIKE, shown
from lnscore.tables.messages import Message

MOST_NODES = 9999
"""Above this a count is something else: an id, a year written twice."""

_WHOLE = re.compile(r"\d{1,9}")
_OF = re.compile(r"(\d{1,9})\s*(?:/|of|out of|von|sur|de|di)\s*(\d{1,9})", re.IGNORECASE)
_NAMED = re.compile(r"n\s*[=:]\s*(\d{1,9})", re.IGNORECASE)
_POINT_ZERO = re.compile(r"(\d{1,9})[.,]0{1,6}")
_NOT_GIVEN = re.compile(
    r"[-–—−.?]+|n\.?\s?d\.?|n\.?\s?a\.?|n/a|nan|none|null|unknown", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class CellCount:
    """What a cell says: nodes, and where it is a fraction how many were examined.

    Attributes:
        value: Whole number; None where the cell says none.
        of: The second number of `1/5`.
        message: P11 where the cell is not simply a number; an error where it is none.
    """

    value: int | None
    of: int | None = None
    message: Message | None = None


NOTHING = CellCount(None)


def read_count(text: str, row: int, column: str = "") -> CellCount:
    """Read one cell of examined or positive nodes.

    Args:
        text: The cell; empty is no number and nothing to say.
        row: Where it stands, for the message.
        column: Where it stands, for the message.

    Returns:
        The count. `1/5` is one positive of five examined. `-` and `ND` say no number, not 0.
    """
    if not text:
        return NOTHING
    if text.isascii() and text.isdigit() and len(text) <= 4:
        return CellCount(int(text))
    plain = narrow(text)
    if given := _WHOLE.fullmatch(plain) or _NAMED.fullmatch(plain) or _POINT_ZERO.fullmatch(plain):
        value = int(given[1] if given.re.groups else given[0])
        return _said(text, CellCount(value), str(value), row, column)
    if fraction := _OF.fullmatch(plain):
        value, of = int(fraction[1]), int(fraction[2])
        meant = f"{value} positive of {of} examined"
        return _said(text, CellCount(value, of), meant, row, column)
    if _NOT_GIVEN.fullmatch(plain):
        return _said(text, NOTHING, "no number given, not 0", row, column)
    hint = "; a spreadsheet may have turned '1/2' into a date" if DATE_LIKE.search(plain) else ""
    return CellCount(
        None, message=_error(f"{shown(text)} is not a whole number{hint}", row, column)
    )


def narrow(text: str) -> str:
    """Full-width letters, figures and signs as ASCII; figures of any script as 0 to 9."""
    return "".join(_narrow(letter) for letter in text).strip()


def _narrow(letter: str) -> str:
    if letter.isascii():
        return letter
    # Not NFKC: it makes 32 of a 3 with a footnote's raised 2.
    if (figure := unicodedata.decimal(letter, None)) is not None:
        return str(figure)
    code = ord(letter)
    if 0xFF01 <= code <= 0xFF5E:
        return chr(code - 0xFEE0)
    return " " if letter.isspace() else letter


def _said(text: str, count: CellCount, meant: str, row: int, column: str) -> CellCount:
    if max(count.value or 0, count.of or 0) > MOST_NODES:
        found = f"{shown(text)} is no count of nodes; wanted 0 to {MOST_NODES}"
        return CellCount(None, message=_error(found, row, column))
    if count.value is not None and text == str(count.value):
        return count
    return CellCount(
        count.value, count.of, Message("P11", "W", f"{shown(text)} parsed as {meant}", row, column)
    )


def _error(text: str, row: int, column: str) -> Message:
    return Message("P11", "E", text, row, column)
