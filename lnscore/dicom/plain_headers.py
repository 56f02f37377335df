"""Read the header of an ordinary image directly from its bytes; pydicom reads all other files.

One night may bring a hundred thousand headers, and nearly all are plain: little endian, elements
of stated length, pixels at the end. This module needs a third of pydicom's time for them.
A header that is not plain raises `NotPlain`; pydicom then reads the file. Only the code that
reads with pydicom refuses a file.
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
    """A file that this module cannot read; pydicom must read it."""


class Element(NamedTuple):
    """A value as it is stored in the file, with the same fields as pydicom's RawDataElement."""

    VR: str | None
    value: bytes | None


Elements = dict["BaseTag", Element]


class PlainHeader:
    """The part of pydicom's data set interface that `elements` uses; the rest raises NotPlain."""

    def __init__(self, syntax: str, elements: Elements) -> None:
        """Keep the transfer syntax and the elements that were read."""
        self.file_meta = {"TransferSyntaxUID": syntax}
        self._elements = elements

    def get_item(self, tag: "BaseTag") -> Element | None:
        """Return a value as it is stored in the file, or None."""
        return self._elements.get(tag)

    def get(self, keyword: str) -> NoReturn:
        """Raise NotPlain: the value needs a conversion that only pydicom can do."""
        raise NotPlain(keyword)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        raise NotPlain(name)


def plain_header(raw: bytes, keywords: Iterable[str]) -> tuple[PlainHeader, int]:
    """Read the named elements before the pixels.

    Args:
        raw: The beginning of the file.
        keywords: Keywords of the elements to keep.

    Returns:
        The header, and the byte where the pixel data element begins.

    Raises:
        NotPlain: The header is not plain; pydicom must read it.
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
    """Return the tags by their bytes; they are the objects of `tag_of`, which are found fastest."""
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
        tag, vr, length = _explicit(raw, at)  # raises beyond the end of the bytes
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
        tag, length = _implicit(raw, at)  # raises beyond the end of the bytes
        if ends(tag):
            return found, at
        start = at + 8
        at = start + length
        if length == UNDEFINED or tag[:2] in _ODD_GROUPS:
            raise NotPlain(tag)
        if tag in wanted:
            found[wanted[tag]] = Element(None, raw[start:at] if length else None)


_ODD_GROUPS: Container[bytes] = (b"\0\0", b"\xfe\xff")
"""Groups of network commands and of item delimiters, which a plain header does not contain."""
