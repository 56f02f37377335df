"""Which characters the bytes of a table stand for: by its mark, by proof, or by likelihood."""

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
"""Byte order marks; UTF-32 before UTF-16, whose mark it begins with."""

NAMES = {"utf-8-sig": "UTF-8 with a byte order mark", "cp932": "Shift-JIS", "cp949": "EUC-KR"}
GUESSED = ("gb18030", "cp932", "cp949")
"""Encodings of hospitals that write no mark, in the order in which a tie is decided."""

_COMMON = {"gb18030": ("gb2312", 0xB0, 0xD7), "cp932": ("shift_jis", 0x82, 0x97),
           "cp949": ("euc_kr", 0xB0, 0xC8)}  # fmt: skip
"""For each, the lead bytes of its everyday characters: level 1 of GB 2312 and of JIS, Hangul."""

_CHUNK = 1 << 16
_SAMPLE = 1 << 18


@dataclass(frozen=True)
class Encoding:
    """A codec that decodes the file, and how certain that is."""

    codec: str
    said: str


def encoding_of(path: Path, named: str | None = None) -> Encoding:
    """Find the encoding of a text file.

    A byte order mark decides, then UTF-16 by its zero bytes, then UTF-8 by proof. What is left
    is a likelihood, and `said` says so; Windows-1252 (Latin-1) takes any bytes and is last.

    Args:
        path: The file.
        named: By the user: used without a guess.

    Raises:
        Refusal: P14, for an unknown or impossible encoding or a file that is no text.
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
    """Whether all bytes of the file are text in this encoding."""
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
    """UTF-16 without a mark: ASCII characters have their zero byte always on the same side."""
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
    """The first lines that are not plain ASCII."""
    lines: list[bytes] = []
    with path.open("rb") as file:
        while sum(map(len, lines)) < _CHUNK and (line := file.readline(_CHUNK)):
            if not line.isascii():
                lines.append(line)
    return b"".join(lines)


def _score(telling: bytes, codec: str) -> float:
    """Share of characters beyond ASCII that are everyday ones of this encoding."""
    text = telling.decode(codec, errors="ignore")
    beyond = [letter for letter in text if not letter.isascii()]
    plain, first, last = _COMMON[codec]
    common = 0
    for letter in beyond:
        code = letter.encode(plain, errors="ignore")
        common += len(code) == 2 and (first <= code[0] <= last or _is_sign(letter))
    # The lead bytes of Hangul are Chinese ones too; a dozen different ones are not so by chance.
    bonus = 0.01 if codec == "cp949" and len(set(beyond)) >= 12 else 0
    return common / max(len(beyond), 1) + bonus


def _is_sign(letter: str) -> bool:
    """Full-width forms and East Asian punctuation, which all these encodings have."""
    return (
        unicodedata.category(letter)[0] in "PSZN" and unicodedata.east_asian_width(letter) in "WF"
    )


def _latin(telling: bytes) -> float:
    """Share of the bytes beyond ASCII that are a letter alone among ASCII, as in `Léon`."""
    text = telling.decode("latin-1")
    beyond = [i for i, letter in enumerate(text) if not letter.isascii()]
    alone = [
        i
        for i in beyond
        if text[i].isalpha() and text[i - 1 : i].isascii() and text[i + 1 : i + 2].isascii()
    ]
    # Below what a text of double bytes reaches in its own encoding, above what it gets in others.
    return max(0.05, 0.95 * len(alone) / max(len(beyond), 1))


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            yield chunk


def refused(found: str, wanted: str, fix: str) -> Refusal:
    """P14: the table cannot be read."""
    return Refusal("P14", found, wanted, fix)
