"""The header of an ordinary image straight from its bytes; all else is left to pydicom.

A night has a hundred thousand headers, nearly all of them plain: little endian, elements of
stated length, pixels at the end. Here they take a third of pydicom's time.
Whatever is not plain raises `NotPlain` and is read by pydicom, which alone refuses a file.
"""

from collections.abc import Callable, Container, Iterable
from functools import cache
from struct import Struct
from struct import error as OutOfBytes
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from lnscore.dicom.elements import tag_of

if TYPE_CHECKING:
    from pydicom.tag import BaseTag

META_AT = 132
META_START = b"\x02\x00\x00\x00UL\x04\x00"
PIXEL_DATA = b"\xe0\x7f\x10\x00"
PIXELS = {PIXEL_DATA, b"\xe0\x7f\x09\x00", b"\xe0\x7f\x08\x00"}
UNDEFINED = 0xFFFFFFFF

IMPLICIT = "1.2.840.10008.1.2"
EXPLICIT = ("1.2.840.10008.1.2.1", "1.2.840.10008.1.2.5")
CODECS = "1.2.840.10008.1.2.4."
CHARACTER_SETS = (b"ISO_IR 6", b"ISO_IR 100", b"ISO_IR 192", b"")

_TEXT = "AE AS CS DA DT LO LT PN SH ST TM UI"
_LONG_LENGTH = "OB OD OF OL OV OW SQ SV UC UN UR UT UV"
_SHORT = {name.encode(): name for name in f"{_TEXT} AT DS FD FL IS SL SS UL US".split()}
_LONG = {name.encode(): name for name in _LONG_LENGTH.split()}
_EMPTY_TEXT = frozenset(f"{_TEXT} UC UR UT".split())
_explicit = Struct("<4s2sH").unpack_from
_implicit = Struct("<4sL").unpack_from
_length = Struct("<L").unpack_from


class NotPlain(Exception):
    """A file that is not for this room."""


class Element(NamedTuple):
    """A value as it lies in the file, as pydicom's RawDataElement has it."""

    VR: str | None
    value: bytes | None


Elements = dict["BaseTag", Element]


class PlainHeader:
    """As much of pydicom's data set as `elements` looks at; the rest raises NotPlain."""

    def __init__(self, syntax: str, elements: Elements) -> None:
        """Hold what was read."""
        self.file_meta = {"TransferSyntaxUID": syntax}
        self._elements = elements

    def get_item(self, tag: "BaseTag") -> Element | None:
        """A value as it lies in the file, or None."""
        return self._elements.get(tag)

    def get(self, keyword: str) -> NoReturn:
        """A value that wants conversion."""
        raise NotPlain(keyword)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        raise NotPlain(name)


def plain_header(raw: bytes, keywords: Iterable[str]) -> tuple[PlainHeader, int]:
    """Read the named elements before the pixels.

    Args:
        raw: The beginning of the file.
        keywords: What to keep.

    Returns:
        The header, and the byte where the element of the pixels begins.

    Raises:
        NotPlain: Let pydicom read it.
    """
    if raw[META_AT : META_AT + 8] != META_START:
        raise NotPlain("no group length")
    try:
        meta, at = _read_explicit(raw, META_AT, _wanted(("TransferSyntaxUID",)), _not_meta)
        syntax = _syntax(meta)
        read = _read_implicit if syntax == IMPLICIT else _read_explicit
        found, at = read(raw, at, _wanted(tuple(keywords)), PIXELS.__contains__)
    except OutOfBytes as error:
        raise NotPlain("no pixels") from error
    characters = found.get(tag_of("SpecificCharacterSet"))
    if characters is not None and (characters.value or b"").strip() not in CHARACTER_SETS:
        raise NotPlain("another character set")
    if raw[at : at + 4] != PIXEL_DATA:
        raise NotPlain("pixels of another kind")
    return PlainHeader(syntax, found), at


@cache
def _wanted(keywords: tuple[str, ...]) -> dict[bytes, "BaseTag"]:
    """Tags by their bytes; the same objects as `tag_of` gives, which are found fastest."""
    tags = map(tag_of, keywords)
    return {Struct("<HH").pack(tag.group, tag.element): tag for tag in tags}


def _not_meta(tag: bytes) -> bool:
    return not tag.startswith(b"\x02\x00")


def _syntax(meta: Elements) -> str:
    value = next(iter(meta.values()), Element(None, None)).value or b""
    syntax = value.rstrip(b"\0 ").decode("latin-1")
    if syntax != IMPLICIT and syntax not in EXPLICIT and not syntax.startswith(CODECS):
        raise NotPlain(syntax)
    return syntax


def _read_explicit(
    raw: bytes, at: int, wanted: dict[bytes, "BaseTag"], ends: Callable[[bytes], bool]
) -> tuple[Elements, int]:
    found: Elements = {}
    while True:
        tag, vr, length = _explicit(raw, at)  # past the end it raises
        if ends(tag):
            return found, at
        start = at + 8
        name = _SHORT.get(vr)
        if name is None:
            name, (length,) = _LONG.get(vr), _length(raw, start)
            start += 4
        at = start + length
        if name is None or length == UNDEFINED or tag.startswith(b"\0\0"):
            raise NotPlain(vr)
        if tag in wanted:
            empty = b"" if name in _EMPTY_TEXT else None
            found[wanted[tag]] = Element(name, raw[start:at] if length else empty)


def _read_implicit(
    raw: bytes, at: int, wanted: dict[bytes, "BaseTag"], ends: Callable[[bytes], bool]
) -> tuple[Elements, int]:
    found: Elements = {}
    if raw[at + 4 : at + 6].isupper():
        raise NotPlain("explicit after all")
    while True:
        tag, length = _implicit(raw, at)  # past the end it raises
        if ends(tag):
            return found, at
        start = at + 8
        at = start + length
        if length == UNDEFINED or tag[:2] in _ODD_GROUPS:
            raise NotPlain(tag)
        if tag in wanted:
            found[wanted[tag]] = Element(None, raw[start:at] if length else None)


_ODD_GROUPS: Container[bytes] = (b"\0\0", b"\xfe\xff")
"""Commands of a network message, and the ends of items."""
