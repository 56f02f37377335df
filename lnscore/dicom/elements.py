"""Read the values of a DICOM data set directly from their bytes.

This is faster than pydicom's element objects: a header has about forty values, and one night
may bring a hundred thousand headers. A value that cannot be decoded counts as missing; nothing
is guessed.
"""

import math
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydicom.tag import BaseTag


@cache
def tag_of(keyword: str) -> "BaseTag":
    """Return the tag of a keyword; each keyword is looked up only once."""
    from pydicom.datadict import tag_for_keyword
    from pydicom.tag import Tag

    return Tag(tag_for_keyword(keyword) or 0)


@cache
def _standard_vrs() -> frozenset[str]:
    from pydicom.valuerep import STANDARD_VR

    return frozenset(map(str, STANDARD_VR))


def value_of(dataset: Any, keyword: str) -> Any:  # noqa: ANN401
    """Return a value as stored in the file: bytes, or pydicom's value if it was converted."""
    element = dataset.get_item(tag_of(keyword))
    if element is None:
        return None
    known = element.VR is None or element.VR in _standard_vrs()
    return element.value if known else dataset.get(keyword)  # pydicom raises its own error


def is_ascii(value: bytes) -> bool:
    """Return whether the bytes are ASCII text, whatever the character set of the file is.

    Bytes with an ISO 2022 escape are not: they switch to another character set in seven bits.
    """
    return value.isascii() and b"\x1b" not in value


def text(dataset: Any, keyword: str) -> str:  # noqa: ANN401
    """Return a tag as text; empty if it is absent or has several values."""
    value = value_of(dataset, keyword)
    if isinstance(value, bytes):
        if not is_ascii(value):
            value = dataset.get(keyword)
        elif b"\\" in value:
            return ""
        else:
            return value.decode("ascii").strip("\0 ")
    return str(value).strip() if isinstance(value, (str, int, float)) else ""


def texts(dataset: Any, keyword: str) -> tuple[str, ...]:  # noqa: ANN401
    """Return all values of a tag as text."""
    value = value_of(dataset, keyword)
    if isinstance(value, bytes):
        return tuple(part.strip("\0 ") for part in value.decode("latin-1").split("\\"))
    if value is None or isinstance(value, str):
        return (value,) if value else ()
    return tuple(str(part) for part in value)


def numbers(dataset: Any, keyword: str, count: int) -> tuple[float, ...] | None:  # noqa: ANN401
    """Return the `count` finite numbers of a decimal string tag, or None if it holds others."""
    value = value_of(dataset, keyword)
    if isinstance(value, bytes):
        value = value.strip(b"\0 ").split(b"\\")
    elif isinstance(value, (int, float)):
        value = [value]
    elif value is None or isinstance(value, str):
        return None
    try:
        found = tuple(float(part) for part in value)
    except (TypeError, ValueError):
        return None
    return found if len(found) == count and all(map(math.isfinite, found)) else None


@cache
def _vr_of(keyword: str) -> str:
    from pydicom.datadict import dictionary_VR

    return dictionary_VR(tag_of(keyword))


def whole(dataset: Any, keyword: str) -> int | None:  # noqa: ANN401
    """Return a binary or integer string tag as an int; None if it is absent or not a number.

    A binary value is read as unsigned.
    """
    element = dataset.get_item(tag_of(keyword))
    if element is None or element.value is None:
        return None
    value = element.value
    try:
        if isinstance(value, bytes):
            # Without a stated VR, the dictionary decides whether two bytes are a binary number
            # or two digits.
            vr = _vr_of(keyword) if element.VR in (None, "UN") else element.VR
            if len(value) == 2 and vr not in ("IS", "DS"):
                order = "little" if getattr(element, "is_little_endian", True) else "big"
                return int.from_bytes(value, order)
            return int(value.strip(b"\0 "))
        return int(value)
    except (TypeError, ValueError):
        return None


def items(dataset: Any, keyword: str) -> Sequence[Any]:  # noqa: ANN401
    """Return the items of a sequence; empty if the sequence is absent."""
    tag = tag_of(keyword)
    return [] if dataset.get_item(tag) is None else dataset[tag].value or []
