"""Cleans the text of cells for storage, and shortens it for messages."""

import re

MOST_CHARACTERS = 500
"""Largest length of a cell; a longer text is not a code, number, date or id."""

SHOWN = 60

_HARMLESS = re.compile(r"[\t\r\n]+")
_INVISIBLE = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\ufffe\uffff]"
)
"""Control characters, zero-width characters, direction marks, lone surrogates."""

_MONTHS = "jan|feb|mar|apr|may|mai|jun|jul|aug|sep|oct|okt|nov|dec|dez"

DATE_LIKE = re.compile(
    rf"^\d{{4}}-\d\d?-\d\d?|^\d\d?[-. /](?:{_MONTHS})|^(?:{_MONTHS})[a-z]*[-. /]\d|^\d+月\d+日"
    r"|^\d\d?[./]\d\d?[./]\d{2,4}$",
    re.IGNORECASE,
)
"""Dates into which a spreadsheet turns 1-2 and 1/2."""


def cleaned(text: str) -> str:
    """Return a cell without line breaks, invisible characters and outer blanks, cut to length."""
    if text.isascii() and text.isprintable() and len(text) <= MOST_CHARACTERS:
        return text.strip()
    return _INVISIBLE.sub("", _HARMLESS.sub(" ", text[: MOST_CHARACTERS + 1]))[
        :MOST_CHARACTERS
    ].strip()


def hides(text: str) -> bool:
    """Return whether `cleaned` removes invisible characters; line breaks do not count."""
    return not text.isprintable() and _INVISIBLE.search(_HARMLESS.sub(" ", text)) is not None


def shown(text: str) -> str:
    """Return a cell for messages: in quotes, on one line, cut to length."""
    text = _INVISIBLE.sub("\ufffd", _HARMLESS.sub(" ", text[: SHOWN * 2]))
    return f"'{text}'" if len(text) <= SHOWN else f"'{text[:SHOWN]}…'"
