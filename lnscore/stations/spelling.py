"""Normalizes the spellings of a station: '#106 rec R', 'No. 106recR', '１０６recR' are the same."""

import re
import unicodedata
from collections.abc import Iterator, Mapping

_GAP = r"[\s._\-‐-―−#']"
_GAPS = re.compile(rf"{_GAP}+")
_HELD_APART = re.compile(rf"(?<=\d){_GAP}+(?=\d)|(?<=[ivx]){_GAP}+(?=[ivx])")
_WORDS = r"(?:lymph[\s-]*nodes?|nodes?|lns?|stations?|stn|groups?|grp|levels?|lvl|nos?|nr|n[°º])"
# No gap may match in two ways: a long text that does not match must fail fast.
_BEFORE = re.compile(
    rf"^(?:[\s.:#_-]*{_WORDS}(?=[\s.:#_\-\d]|[ivx]+[abc]?[rl]?\b))*[\s.:#_-]*(?=\S)"
)
_AFTER = re.compile(rf"(?<=\S)(?:[\s._-]+{_WORDS})+[\s.]*$")
_WHOLE = re.compile(r"^(\d{1,3})\.0$")
_ADDED = 5
"""Most characters that may be missing at the end of a text: 106 for 106recR."""
_SIDES = {
    "R": (("right", "右"), ("r", "rt")),
    "L": (("left", "左"), ("l", "lt")),
    "ipsi": (("ipsilateral", "homolateral"), ("ipsi", "homo")),
    "contra": (("contralateral", "heterolateral"), ("contra", "hetero")),
}
"""For each side: words that may touch the station's name, and short words that may not."""


def normal(text: str) -> str:
    """Return the form in which codes and aliases are compared.

    Case, width, '#', 'No.', "station", "LN", blanks, dots and hyphens do not matter. Separated
    digits and separated Roman numerals stay apart: neither '1-2' nor 'I-V' is one station.
    """
    text = _WHOLE.sub(r"\1", _bare(text))  # a spreadsheet may write 7 as 7.0
    return _GAPS.sub("", _HELD_APART.sub("|", text))


def without_side(text: str) -> Iterator[tuple[str, str]]:
    """Yield each way to remove a side from the start or end of a text: the side and the rest."""
    text = _bare(text)
    for side, (words, short) in _SIDES.items():
        for word in (*words, *short):
            apart = "" if word in words else _GAP
            if match := re.match(rf"{word}(?={apart}){_GAP}*(?=\S)", text):
                yield side, text[match.end() :]
            apart = "" if word in words else rf"(?<={_GAP[:-1]}(,])"
            if match := re.search(rf"(?<=\S)(?:{_GAP}|[(,])*{apart}{word}[.)]*$", text):
                yield side, text[: match.start()]


def near(text: str, forms: Mapping[str, str]) -> tuple[str, ...]:
    """Return codes that look like a text, at most three.

    These are the codes that begin with the text; if there are none, the codes at the smallest
    edit distance that share the longest beginning with it. They are in the order of the list.

    Args:
        text: Text as typed.
        forms: The `normal` form of each code.
    """
    key = normal(text)
    begun = [
        code
        for code, form in forms.items()
        if form.startswith(key) and len(form) - len(key) <= _ADDED
    ]
    if begun:
        return tuple(begun[:3])
    nearest, found = max(1, len(key) // 3), []
    for code, form in forms.items():
        if abs(len(form) - len(key)) > nearest:
            continue
        if (distance := _distance(key, form)) < nearest:
            nearest, found = distance, [code]
        elif distance == nearest:
            found.append(code)
    starts = {code: _shared(key, forms[code]) for code in found}
    return tuple(code for code, start in starts.items() if start == max(starts.values()))[:3]


def squeezed(text: str) -> str:
    """Return only the letters and digits of a text, to compare names of systems."""
    return re.sub(r"[\W_]+", "", unicodedata.normalize("NFKC", text).casefold())


def _bare(text: str) -> str:
    """Return a text in one width and case, without words that only mean "station"."""
    text = unicodedata.normalize("NFKC", text).casefold().strip()
    return _AFTER.sub("", _BEFORE.sub("", text))


def _shared(one: str, other: str) -> int:
    pairs = enumerate(zip(one, other, strict=False))
    return next((i for i, (a, b) in pairs if a != b), min(len(one), len(other)))


def _distance(one: str, other: str) -> int:
    """Return the Levenshtein distance: number of letters to change, add or leave out."""
    row = list(range(len(other) + 1))
    for i, letter in enumerate(one, start=1):
        last, row[0] = row[0], i
        for j, with_letter in enumerate(other, start=1):
            last, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, last + (letter != with_letter))
    return row[-1]
