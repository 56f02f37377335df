"""Reads counts of nodes as people type them; reports each conversion and guesses nothing."""

import re
import unicodedata
from dataclasses import dataclass

from lnscore.tables.cells import DATE_LIKE, shown
from lnscore.tables.messages import Message

MOST_NODES = 9999
"""Largest count; a larger number is something else, such as an id."""

_WHOLE = re.compile(r"\d{1,9}")
_OF = re.compile(r"(\d{1,9})\s*(?:/|of|out of|von|sur|de|di)\s*(\d{1,9})", re.IGNORECASE)
_NAMED = re.compile(r"n\s*[=:]\s*(\d{1,9})", re.IGNORECASE)
_POINT_ZERO = re.compile(r"(\d{1,9})[.,]0{1,6}")
_NOT_GIVEN = re.compile(
    r"[-–—−.?]+|n\.?\s?d\.?|n\.?\s?a\.?|n/a|nan|none|null|unknown", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class CellCount:
    """The count in a cell: a number of nodes, and for a fraction the number examined.

    Attributes:
        value: Number of nodes; None if the cell gives none.
        of: Number of examined nodes, the second number of `1/5`; None if there is no fraction.
        message: P11 if the cell is not a plain number; an error if it is no number at all.
    """

    value: int | None
    of: int | None = None
    message: Message | None = None


NOTHING = CellCount(None)


def read_count(text: str, row: int, column: str = "") -> CellCount:
    """Read one cell of examined or positive nodes.

    Args:
        text: Text of the cell; an empty cell gives no number and no message.
        row: Row of the cell, for the message.
        column: Column of the cell, for the message.

    Returns:
        The count. `1/5` is one positive of five examined. `-` and `ND` mean no number, not 0.
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
    """Turn full-width letters and signs into ASCII, and digits of any script into 0 to 9."""
    return "".join(_narrow(letter) for letter in text).strip()


def _narrow(letter: str) -> str:
    if letter.isascii():
        return letter
    # NFKC is not used, because it turns 3 with the footnote mark ² into 32.
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
