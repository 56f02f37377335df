"""Reads a station, its side and the kind of count from the heading of a column."""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from lnscore.pathology.mapping_spelling import on_side
from lnscore.stations import vocabulary
from lnscore.tables.headers import POSITIVE, TOTAL

Role = Literal["total", "positive", ""]

SIDES = {
    "ipsi": ("ipsi", "homolat"),
    "contra": ("contra", "controlat", "heterolat"),
    "R": ("right", "droit", "rechts", "右"),
    "L": ("left", "gauche", "links", "左"),
}

BETWEEN = "/+,&、;_"
"""Characters that join stations of one specimen, most common first."""

_NOT_A_STATION = {"n", "m", "t", "no", "id", "age", "sex", "y", "pt", "ct", "pn", "cn", "ptnm"}
_PREFIX = re.compile(r"^(?:ln|lns|lymph|node|nodes)[ _.-]+", re.IGNORECASE)
_EDGE = r"[ _.:()\[\]-]+"
_EDGES = (
    (re.compile(rf"^([^\W\d_]+|\+){_EDGE}(.+)$"), 1, 2),
    (re.compile(rf"^(.+?){_EDGE}([^\W\d_]+\+?|\+)[)\]]?$"), 2, 1),
)
"""Patterns of a word at one end; the groups of that word and of the rest."""


@dataclass(frozen=True)
class StationColumn:
    """One column of one station, or of several taken as one specimen.

    Attributes:
        column: Number of the column, from 0.
        station: Code of the station, or several codes joined by `+`.
        role: Kind of count in the column; "" if the heading does not say.
    """

    column: int
    station: str
    role: Role

    @property
    def both_sides(self) -> bool:
        """Whether a station with two sides is given without a side."""
        bases = [code.rstrip("RL") for code in self.station.split("+")]
        return len(set(bases)) < len(bases)


def reading_of(system: str, column: int, parts: Sequence[str]) -> StationColumn | None:
    """Read the header cells of a column; None if they name no station of the system."""
    side, named = "", None
    role: Role = ""
    for part in parts:
        plain = _plain(part)
        if own := _role(plain):
            role = own
        elif found := _station(system, part, side):
            named, role = found[0], found[1] or role
        else:
            side = side_in(plain) or side
    if named is None:
        return None
    return StationColumn(column, named, role)


def side_in(plain: str) -> str:
    """Return `R`, `L`, `ipsi` or `contra` if a heading names exactly one; else ""."""
    found = {side for side, starts in SIDES.items() for one in starts if one in plain}
    return found.pop() if len(found) == 1 else ""


def _station(system: str, text: str, side: str) -> tuple[str, Role] | None:
    for rest, role in _splits(text):
        if code := _codes(system, rest, side):
            return code, role
    return None


def _splits(text: str) -> Iterator[tuple[str, Role]]:
    """Yield the text as it is, then without a first or last word that says what is counted."""
    text = " ".join(unicodedata.normalize("NFKC", text).split())
    for whole in dict.fromkeys((text, _PREFIX.sub("", text))):
        yield whole, ""
        for pattern, word, rest in _EDGES:
            match = pattern.match(whole)
            if match and (role := _role(_plain(match[word]))):
                yield match[rest].strip(" _()[]"), role


def _codes(system: str, text: str, side: str) -> str | None:
    """Return the code that a text names, or several joined by `+` if all parts are stations."""
    if _plain(text) in _NOT_A_STATION:
        return None
    if code := _code(system, text, side):
        return code
    for joint in BETWEEN:
        parts = [part.strip() for part in text.split(joint)]
        if 1 < len(parts) <= 12 and all(parts):
            codes = [_code(system, part, side) for part in parts]
            if all(codes):
                return "+".join(dict.fromkeys(filter(None, codes)))
    return None


def _code(system: str, text: str, side: str) -> str | None:
    """Return one code, or the codes of both sides if the station has two and none is given."""
    found = vocabulary.find(system, text)
    if side and (code := on_side(system, text, side)):
        return code
    if found.station is not None:
        return found.station.key.code
    return "+".join(one.key.code for one in found.sides if one.side in "RL") or None


def _role(plain: str) -> Role:
    return "total" if plain in TOTAL else "positive" if plain in POSITIVE else ""


def _plain(text: str) -> str:
    text = unicodedata.normalize("NFKD", text).casefold()
    text = "".join(letter for letter in text if not unicodedata.combining(letter))
    return unicodedata.normalize("NFC", text).strip(" .:()[]#_")
