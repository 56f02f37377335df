"""Reads the station that the code or the text of a segment states.

A station is `(system, version, code)`, never a bare number: 7 is subcarinal in one system
and left gastric in another. Other spellings of a station are stored as the code of the system.
"""

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from pydicom.dataset import Dataset

from db.records import StationKey
from lnscore.errors import Refusal
from lnscore.stations.vocabulary import VERSIONS, StationMatch, find

if TYPE_CHECKING:
    from pydicom.sr.coding import Code

_WRITTEN = re.compile(r"(?<![\w:])([A-Za-z]\w*):(\w[\w.-]*)(?![\w:])")
_SIDES = {"R": "24028007", "L": "7771000"}
"""SNOMED CT codes of right and left."""
_MODIFIERS = (
    "AnatomicRegionModifierSequence",
    "PrimaryAnatomicStructureModifierSequence",
    "SegmentedPropertyTypeModifierCodeSequence",
)
NO_PLACE = {"59441001", "312500006", "90606007", "60996007", "18457007"}
"""CID 7600 codes of a lymph node without a location: plain, regional, superficial, deep..."""


def parse_station(text: str) -> StationKey:
    """Read one `SYSTEM:CODE`, such as `AJCC8:4R` or `JES11:106recR`.

    Raises:
        Refusal: N06 if the text has another form or the system is not in `VERSIONS`; N10 if the
            system does not have the code, or the side is missing.
    """
    written = _WRITTEN.fullmatch(text.strip())
    if not written or written[1].upper() not in VERSIONS:
        raise Refusal(
            "N06",
            f"station {text.strip()!r}",
            f"SYSTEM:CODE with a system of {', '.join(VERSIONS)}",
            "Write the system with the code, as AJCC8:4R",
        )
    system, code = written[1].upper(), written[2]
    found = find(system, code)
    if found.station is None:
        raise not_there(system, code, found)
    return found.station.key


def station_in(text: str) -> tuple[StationKey | None, tuple[str, ...]]:
    """Find the station that a label or description names.

    Args:
        text: Free text, such as "LN 3 AJCC8:4R".

    Returns:
        The station, and warnings: N06 if only unknown systems are named, N07 if one system
        is named with several codes, N10 if the system does not have the code or the side is
        missing. If there is a warning, the station is None, as nothing is guessed.
    """
    pairs = _WRITTEN.findall(text)
    known = [(system.upper(), code) for system, code in pairs if system.upper() in VERSIONS]
    if not known:
        return None, ("N06",) if pairs else ()
    first = known[0][0]
    named = {find(first, code).station for system, code in known if system == first}
    if None in named:
        return None, ("N10",)
    if len(named) > 1:
        return None, ("N07",)
    (station,) = named
    return (station.key, ()) if station else (None, ())


def station_of_codes(items: Iterable[Dataset]) -> StationKey | None:
    """Read the station from anatomic code items (DICOM CID 7600, SNOMED CT).

    Args:
        items: Items of AnatomicRegionSequence, PrimaryAnatomicStructureSequence or
            SegmentedPropertyTypeCodeSequence, most specific first.

    Returns:
        `("SCT", "CID7600", code)`, with `-R` or `-L` after the code if a modifier gives the
        side; None if no item is the location of a lymph node.
    """
    for item in items:
        code = str(item.get("CodeValue", ""))
        # pydicom's codes take 0.4 s to import, so the plain "lymph node" of most files skips it.
        if code and code not in NO_PLACE and (place := _place(item)):
            return StationKey("SCT", VERSIONS["SCT"], place + _side(item))
    return None


def not_there(system: str, code: str, found: StationMatch) -> Refusal:
    """Return the refusal N10: the system does not have the code, or the side is missing."""
    if found.sides:
        codes = [station.key.code for station in found.sides]
        return Refusal(
            "N10",
            f"station side missing ({code!r} of {system})",
            f"one of {', '.join(codes)}",
            f"Write the side, as {system}:{codes[0]}",
        )
    meant = f"Did you mean {', '.join(found.near)}? " if found.near else ""
    return Refusal(
        "N10",
        f"station {code!r} is not in {system}",
        f"a code of {system} {VERSIONS[system]}",
        f"{meant}lnscore stations list {system} shows them all",
    )


def _place(item: Dataset) -> str | None:
    """Return the SNOMED CT code of an item of CID 7600; pydicom also maps old SRT codes."""
    from pydicom.sr.codedict import codes

    found = _code(item)
    concepts = codes.cid7600.concepts.values()
    places = (one.value for one in concepts if one == found and one.scheme_designator == "SCT")
    return next((place for place in places if place not in NO_PLACE), None)


def _code(item: Dataset) -> "Code":
    from pydicom.sr.coding import Code

    return Code(str(item.get("CodeValue", "")), str(item.get("CodingSchemeDesignator", "")), "")


def _side(item: Dataset) -> str:
    from pydicom.sr.coding import Code

    modifiers = [code for name in _MODIFIERS for code in item.get(name, [])]
    sides = {
        letter
        for modifier in modifiers
        for letter, side in _SIDES.items()
        if _code(modifier) == Code(side, "SCT", "")
    }
    return f"-{sides.pop()}" if len(sides) == 1 else ""
