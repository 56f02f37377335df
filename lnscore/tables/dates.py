"""Reads dates as people type them and returns ISO dates; never guesses day and month."""

import re
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Literal

from lnscore.tables.cells import shown
from lnscore.tables.counts import narrow
from lnscore.tables.messages import Message

Order = Literal["", "DMY", "MDY"]
"""Order of day and month in dates that end with the year; empty if it is not stated."""

ORDERS: tuple[Order, ...] = ("", "DMY", "MDY")

FIRST_YEAR, LAST_YEAR = 1900, 2100
PIVOT = 70
"""First two-digit year that is read as 19xx; smaller ones are read as 20xx."""

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
    """The date in a cell.

    Attributes:
        iso: ISO date; None if the cell gives none.
        message: P16 if the cell is not a date, or if its year had two digits.
    """

    iso: str | None
    message: Message | None = None


NO_DATE = ReadDate(None)


def read_date(
    text: str, name: str, row: int, column: str = "", order: Order = "", *, needed: bool = False
) -> ReadDate:
    """Read the date in one cell.

    Args:
        text: Text of the cell; an empty cell gives no date and no message.
        name: The field's name, for the message.
        row: Row of the cell, for the message.
        column: Column of the cell, for the message.
        order: Order of day and month, if the user has stated it.
        needed: Whether a text that is not a date is an error; if not, it is stored as null, with
            a warning.

    Returns:
        The date. `03/04/2020` is an error if `order` is not stated.
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
    """Return the ISO date, and whether its year had two digits."""
    if found := _YEAR_FIRST.fullmatch(plain) or _EIGHT.fullmatch(plain):
        return _iso(found[1], found[2], found[3]), False
    if found := _YEAR_LAST.fullmatch(plain):
        a, b, year = found[1], found[3], found[4]
        # Here, without a stated order, only one order gives a date, or both give the same.
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
