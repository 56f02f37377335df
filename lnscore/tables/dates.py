"""Dates as people type them, to ISO; an order of day and month that is not stated is no guess."""

import re
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Literal

from lnscore.tables.cells import shown
from lnscore.tables.counts import narrow
from lnscore.tables.messages import Message

Order = Literal["", "DMY", "MDY"]
"""Of day and month where the year comes last; empty where nobody has stated it."""

ORDERS: tuple[Order, ...] = ("", "DMY", "MDY")

FIRST_YEAR, LAST_YEAR = 1900, 2100
PIVOT = 70
"""Two-digit years from this on are of the 20th century."""

_TIME = r"(?:[T ]\d\d?:\d\d.{0,20})?"
_YEAR_FIRST = re.compile(rf"(\d{{4}})[-/.年](\d\d?)[-/.月](\d\d?)日?{_TIME}")
_PLAIN = re.compile(r"\d{4}-\d\d-\d\d")
_EIGHT = re.compile(r"(\d{4})(\d\d)(\d\d)")
_YEAR_LAST = re.compile(rf"(\d\d?)([-/. ])(\d\d?)\2(\d{{4}}|\d\d){_TIME}")
_NAMED = re.compile(r"(\d\d?)[-/. ]+([a-z]{3})[a-z]*\.?[-/., ]+(\d{4}|\d\d)", re.IGNORECASE)
_NAME_FIRST = re.compile(r"([a-z]{3})[a-z]*\.? (\d\d?),? (\d{4})", re.IGNORECASE)
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")


@dataclass(frozen=True, slots=True)
class ReadDate:
    """What a cell says.

    Attributes:
        iso: ISO date; None where the cell says none.
        message: P16 where the cell is no date, or the year was completed.
    """

    iso: str | None
    message: Message | None = None


NO_DATE = ReadDate(None)


def read_date(
    text: str, name: str, row: int, column: str = "", order: Order = "", *, needed: bool = False
) -> ReadDate:
    """Read one cell.

    Args:
        text: The cell; empty is no date and nothing to say.
        name: The field's name, for the message.
        row: Where it stands, for the message.
        column: Where it stands, for the message.
        order: Of day and month, where the user has stated it.
        needed: What is no date is an error; else it is stored as null, with a warning.

    Returns:
        The date. Which of `03/04/2020` is the month is an error where `order` is not stated.
    """
    if not text:
        return NO_DATE
    if text.isascii() and _PLAIN.fullmatch(text) and (iso := _parsed(text, order)[0]):
        return ReadDate(iso)
    plain = narrow(text)
    if (ambiguous := _ambiguous(plain)) and not order:
        a, b = ambiguous
        found = (
            f"{name} {shown(text)} may be day {a} of month {b} or day {b} of month {a}; "
            "state the order, with --dates DMY or --dates MDY"
        )
        return ReadDate(None, Message("P16", "E", found, row, column))
    iso, two_digits = _parsed(plain, order)
    if iso is None:
        wanted = "; wanted such as 2026-01-31" if needed else ": stored as null"
        severity = "E" if needed else "W"
        found = f"{name} {shown(text)} is not a date{wanted}"
        return ReadDate(None, Message("P16", severity, found, row, column))
    if two_digits:
        found = f"{name} {shown(text)} read as {iso}"
        return ReadDate(iso, Message("P16", "W", found, row, column))
    return ReadDate(iso)


def _ambiguous(plain: str) -> tuple[int, int] | None:
    if not (found := _YEAR_LAST.fullmatch(plain)):
        return None
    a, b = int(found[1]), int(found[3])
    return (a, b) if a != b and 1 <= a <= 12 and 1 <= b <= 12 else None


@lru_cache(maxsize=16384)
def _parsed(plain: str, order: Order) -> tuple[str | None, bool]:
    """The ISO date, and whether its year was completed."""
    if found := _YEAR_FIRST.fullmatch(plain) or _EIGHT.fullmatch(plain):
        return _iso(found[1], found[2], found[3]), False
    if found := _YEAR_LAST.fullmatch(plain):
        a, b, year = found[1], found[3], found[4]
        # Without an order only one reading is a date, or both are the same.
        day, month = (b, a) if order == "MDY" or (not order and int(b) > 12) else (a, b)
        return _iso(year, month, day), len(year) == 2
    if found := _NAMED.fullmatch(plain):
        return _iso(found[3], _month(found[2]), found[1]), len(found[3]) == 2
    if found := _NAME_FIRST.fullmatch(plain):
        return _iso(found[3], _month(found[1]), found[2]), False
    return None, False


def _month(name: str) -> str:
    name = name.casefold()
    return str(_MONTHS.index(name) + 1) if name in _MONTHS else "0"


def _iso(year: str, month: str, day: str) -> str | None:
    number = int(year)
    if len(year) == 2:
        number += 1900 if number >= PIVOT else 2000
    try:
        found = date(number, int(month), int(day))
    except ValueError:
        return None
    return found.isoformat() if FIRST_YEAR <= number <= LAST_YEAR else None
