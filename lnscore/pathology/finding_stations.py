"""Finds the stations of one finding, or the messages that say why there is none."""

from functools import lru_cache

from db.records import StationKey
from lnscore.stations import vocabulary
from lnscore.tables.cells import DATE_LIKE, shown
from lnscore.tables.counts import narrow

MessageParts = tuple[str, str, str, str]
"""One message: code, severity, text, field."""

FAMILIES = {"JES11": "JES", "JES12": "JES"}
"""Editions that a message with the meaning of a code shows under one name."""

MOST_MEANINGS = 4
MOST_MERGED = 12


@lru_cache(maxsize=8192)
def stations(
    system_text: str, text: str
) -> tuple[tuple[StationKey, ...], tuple[MessageParts, ...]]:
    """Find the stations of one specimen; `+` joins several.

    Args:
        system_text: The system's name as written.
        text: A code, an alias, or several joined by `+`.

    Returns:
        The stations, and messages P01, P02 or P13, all of them errors.
    """
    system = vocabulary.system_of(system_text) if system_text else None
    parts = [part.strip() for part in narrow(text).split("+") if part.strip()]
    if system is None:
        return (), (("P01", "E", _undecided(system_text, parts), "station_system"),)
    if text and not parts:
        return (), (("P02", "E", f"station {shown(text)} names no station", "station"),)
    if len(parts) > MOST_MERGED:
        found = f"{len(parts)} merged stations; wanted at most {MOST_MERGED}"
        return (), (("P02", "E", found, "station"),)
    keys: list[StationKey] = []
    said: list[MessageParts] = []
    for part in parts:
        found = vocabulary.find(system, part)
        if found.station is not None:
            keys.append(found.station.key)
        else:
            said.append(_not_found(system, part, found))
    return tuple(dict.fromkeys(keys)), tuple(said)


def _not_found(system: str, part: str, found: vocabulary.StationMatch) -> MessageParts:
    if found.sides:
        sides = " or ".join(station.key.code for station in found.sides)
        return ("P13", "E", f"station side missing ({shown(part)}): {sides}", "station")
    if DATE_LIKE.search(part):
        hint = (
            "; a spreadsheet may have turned '1-2' into a date: "
            "format the column as text and type it again"
        )
    else:
        hint = f"; did you mean {', '.join(found.near)}?" if found.near else ""
    return ("P02", "E", f"station {shown(part)} not in {system}{hint}", "station")


def _undecided(system_text: str, parts: list[str]) -> str:
    known = ", ".join(vocabulary.systems())
    if system_text:
        # "JES" and "AJCC" have editions whose numbers differ.
        return f"station_system {shown(system_text)} is not known or not decided; one of {known}"
    for part in parts:
        if meanings := _meanings(part):
            several = "is ambiguous" if len(meanings) > 1 else "is not enough"
            return f"station_system missing; {shown(part)} {several} ({' / '.join(meanings)})"
    return f"station_system missing; one of {known}"


def _meanings(part: str) -> list[str]:
    """Return each meaning of a code once, with the first system that has it."""
    told: dict[str, str] = {}
    every = vocabulary.anywhere(part)
    same = vocabulary.normal(part)
    written = [one for one in every if vocabulary.normal(one.key.code) == same]
    for station in written or every:
        system = FAMILIES.get(station.key.system, station.key.system)
        told.setdefault(station.meaning, f"{system} {station.meaning}")
    return list(told.values())[:MOST_MEANINGS]
