"""Station systems by name, and the station that a segment's code or text states.

A station is `(system, version, code)`, never a bare number: 7 is subcarinal in one system
and left gastric in another. Codes are kept as they were written.
"""

import re
from collections.abc import Iterable

from pydicom.dataset import Dataset
from pydicom.sr.coding import Code

from db.records import StationKey
from lnscore.errors import Refusal

VERSIONS = {
    "AJCC7": "2010",
    "AJCC8": "2017-ESO",
    "IASLC": "2009",
    "JES11": "2015",
    "JES12": "2022",
    "CHN": "2017",
    "TIGER": "2019",
    "SCT": "CID7600",
}
"""Edition of each system that may be written as `SYSTEM:CODE`."""

_WRITTEN = re.compile(r"(?<![\w:])([A-Za-z]\w*):(\w[\w.-]*)(?![\w:])")
_SIDES = {"R": Code("24028007", "SCT", "Right"), "L": Code("7771000", "SCT", "Left")}
_MODIFIERS = (
    "AnatomicRegionModifierSequence",
    "PrimaryAnatomicStructureModifierSequence",
    "SegmentedPropertyTypeModifierCodeSequence",
)
_NO_PLACE = {"59441001", "312500006", "90606007", "60996007", "18457007"}
"""CID 7600 codes that say "a lymph node" and not where: plain, regional, superficial, deep..."""


def parse_station(text: str) -> StationKey:
    """Read one `SYSTEM:CODE`, such as `AJCC8:4R` or `JES11:106recR`.

    Raises:
        Refusal: N06, for another form or a system that is not in `VERSIONS`.
    """
    written = _WRITTEN.fullmatch(text.strip())
    if not written or written[1].upper() not in VERSIONS:
        raise Refusal(
            "N06",
            f"station {text.strip()!r}",
            f"SYSTEM:CODE with a system of {', '.join(VERSIONS)}",
            "Write the system with the code, as AJCC8:4R",
        )
    return _key(written[1].upper(), written[2])


def station_in(text: str) -> tuple[StationKey | None, tuple[str, ...]]:
    """Find the station that a label or description names.

    Args:
        text: Free text, such as "LN 3 AJCC8:4R".

    Returns:
        The station, and warnings: N06 where only unknown systems are named, N07 where one
        system is named with several codes (then there is no station: no guess).
    """
    pairs = _WRITTEN.findall(text)
    known = [_key(system.upper(), code) for system, code in pairs if system.upper() in VERSIONS]
    if not known:
        return None, ("N06",) if pairs else ()
    if len({key for key in known if key.system == known[0].system}) > 1:
        return None, ("N07",)
    return known[0], ()


def station_of_codes(items: Iterable[Dataset]) -> StationKey | None:
    """Read the station from anatomic code items (DICOM CID 7600, SNOMED CT).

    Args:
        items: Items of AnatomicRegionSequence, PrimaryAnatomicStructureSequence or
            SegmentedPropertyTypeCodeSequence, most telling first.

    Returns:
        `("SCT", "CID7600", code)`, the code followed by `-R` or `-L` where a modifier says
        the side; None where no item is a lymph node's place.
    """
    for item in items:
        code = str(item.get("CodeValue", ""))
        # The code list takes 0.3 s to import: not for the plain "lymph node" of most segments.
        if code and code not in _NO_PLACE and (place := _place(item)):
            return _key("SCT", place + _side(item))
    return None


def _key(system: str, code: str) -> StationKey:
    return StationKey(system, VERSIONS[system], code)


def _place(item: Dataset) -> str | None:
    """SNOMED CT code of an item of CID 7600 (pydicom knows the old SRT codes of it too)."""
    from pydicom.sr.codedict import codes

    found = _code(item)
    places = (place.value for place in codes.cid7600.concepts.values() if place == found)
    return next((place for place in places if place not in _NO_PLACE), None)


def _code(item: Dataset) -> Code:
    return Code(str(item.get("CodeValue", "")), str(item.get("CodingSchemeDesignator", "")), "")


def _side(item: Dataset) -> str:
    modifiers = [code for name in _MODIFIERS for code in item.get(name, [])]
    sides = {
        letter
        for modifier in modifiers
        for letter, side in _SIDES.items()
        if _code(modifier) == side
    }
    return f"-{sides.pop()}" if len(sides) == 1 else ""
