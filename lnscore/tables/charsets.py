"""Finds the encoding of a text file: by its byte order mark, by decoding, or by likelihood."""

import codecs
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lnscore.errors import Refusal

MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
"""Byte order marks; UTF-32 is before UTF-16, because its mark begins with that of UTF-16."""

NAMES = {"utf-8-sig": "UTF-8 with a byte order mark", "cp932": "Shift-JIS", "cp949": "EUC-KR"}
GUESSED = ("gb18030", "cp932", "cp949")
"""Encodings that are used without a mark, in the order that decides a tie."""

_COMMON = {"gb18030": ("gb2312", 0xB0, 0xD7), "cp932": ("shift_jis", 0x82, 0x97),
           "cp949": ("euc_kr", 0xB0, 0xC8)}  # fmt: skip
"""For each encoding, its base charset, and the first and last lead byte of common characters.

The common characters are level 1 of GB 2312, level 1 of JIS, and Hangul.
"""

_CHUNK = 1 << 16
_SAMPLE = 1 << 18


@dataclass(frozen=True)
class Encoding:
    """A codec that decodes the file, and a note that says how it was chosen."""

    codec: str
    notes: str


def encoding_of(path: Path, named: str | None = None) -> Encoding:
    """Find the encoding of a text file.

    The checks are, in this order: a byte order mark, the zero bytes of UTF-16, the escape codes
    of ISO-2022-JP, and whether the whole file decodes as UTF-8. Otherwise the most likely
    encoding is used, and `said` tells the user so. Windows-1252 (Latin-1) is the last choice, as
    any bytes decode in it.

    Args:
        path: The file.
        named: Encoding given by the user, used without detection.

    Raises:
        Refusal: P14 if the encoding is unknown or does not fit, or the file is not text.
    """
    if named:
        return _named(path, named)
    with path.open("rb") as file:
        sample = file.read(_SAMPLE)
    for mark, codec in MARKS:
        if sample.startswith(mark):
            return _certain(path, codec)
    if b"\0" in sample:
        return _certain(path, _utf16(sample))
    if b"\x1b$" in sample and decodes(path, "iso2022_jp"):
        return _certain(path, "iso2022_jp")
    if decodes(path, "utf-8"):
        return Encoding("utf-8", "encoding: UTF-8")
    return _likely(path)


def decodes(path: Path, codec: str) -> bool:
    """Return whether the whole file can be decoded in this encoding."""
    decoder = codecs.getincrementaldecoder(codec)()
    try:
        for chunk in _chunks(path):
            decoder.decode(chunk)
        decoder.decode(b"", final=True)
    except UnicodeError:
        return False
    return True


def _named(path: Path, name: str) -> Encoding:
    try:
        codec = codecs.lookup(name.strip()).name
        "a".encode(codec).decode(codec)
    except (LookupError, UnicodeError, TypeError, ValueError):
        raise refused(
            f"encoding {name!r} is not known",
            "such as utf-8, utf-16, gb18030, shift_jis, latin-1",
            "Correct the name of the encoding",
        ) from None
    with path.open("rb") as file:
        marked = codec == "utf-8" and file.read(3) == codecs.BOM_UTF8
    return _certain(path, "utf-8-sig" if marked else codec)


def _certain(path: Path, codec: str) -> Encoding:
    name = NAMES.get(codec, codec.upper().replace("_", "-"))
    if not decodes(path, codec):
        raise refused(
            f"the file is not {name} throughout",
            "one encoding from the first byte to the last",
            "Save the table as UTF-8, or name its encoding",
        )
    return Encoding(codec, f"encoding: {name}")


def _utf16(sample: bytes) -> str:
    """Return the byte order of UTF-16: ASCII characters have their zero byte on one side."""
    even, odd = sample[0::2].count(0), sample[1::2].count(0)
    if min(even, odd) * 20 <= max(even, odd) and max(even, odd) * 20 >= len(sample) // 2:
        return "utf-16-be" if even > odd else "utf-16-le"
    raise refused(
        "the file holds zero bytes: it is no text",
        "a table as text (CSV, TSV) or a workbook (XLSX)",
        "Export the table again as CSV or XLSX",
    )


def _likely(path: Path) -> Encoding:
    telling = _telling(path)
    scores = {codec: _score(telling, codec) for codec in GUESSED if decodes(path, codec)}
    scores["cp1252"] = _latin(telling)
    best = max(scores, key=lambda codec: scores[codec])
    if best == "cp1252":
        codec = "cp1252" if decodes(path, "cp1252") else "latin-1"
        return Encoding(codec, "encoding: Latin-1, as a last resort: check the letters")
    name = NAMES.get(best, best.upper())
    return Encoding(best, f"encoding: {name}, by its commonest characters: check the letters")


def _telling(path: Path) -> bytes:
    """Return the first lines that are not plain ASCII."""
    lines: list[bytes] = []
    with path.open("rb") as file:
        while sum(map(len, lines)) < _CHUNK and (line := file.readline(_CHUNK)):
            if not line.isascii():
                lines.append(line)
    return b"".join(lines)


def _score(telling: bytes, codec: str) -> float:
    """Return the share of non-ASCII characters that are common ones of this encoding."""
    text = telling.decode(codec, errors="ignore")
    beyond = [letter for letter in text if not letter.isascii()]
    plain, first, last = _COMMON[codec]
    common = 0
    for letter in beyond:
        code = letter.encode(plain, errors="ignore")
        common += len(code) == 2 and (first <= code[0] <= last or _is_sign(letter))
    # Lead bytes of Hangul are also common in Chinese; 12 different characters make Hangul likely.
    bonus = 0.01 if codec == "cp949" and len(set(beyond)) >= 12 else 0
    return common / max(len(beyond), 1) + bonus


def _is_sign(letter: str) -> bool:
    """Return whether a character is a full-width sign, which all these encodings have."""
    return (
        unicodedata.category(letter)[0] in "PSZN" and unicodedata.east_asian_width(letter) in "WF"
    )


def _latin(telling: bytes) -> float:
    """Return 0.95 times the share of non-ASCII bytes that are a letter between ASCII, as in `Léon`.

    The result is at least 0.05.
    """
    text = telling.decode("latin-1")
    beyond = [i for i, letter in enumerate(text) if not letter.isascii()]
    alone = [
        i
        for i in beyond
        if text[i].isalpha() and text[i - 1 : i].isascii() and text[i + 1 : i + 2].isascii()
    ]
    # This is below the score of a double-byte text in its own encoding, and above it in others.
    return max(0.05, 0.95 * len(alone) / max(len(beyond), 1))


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            yield chunk


def refused(found: str, wanted: str, fix: str) -> Refusal:
    """Return the refusal P14: the table cannot be read."""
    return Refusal("P14", found, wanted, fix)
