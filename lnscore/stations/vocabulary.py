"""Station systems: their stations, and the spellings of these.

Each system is one JSON file in `data/stations`, which is read at first use. A text is looked up
within one system only, because the same words mean different stations in different systems.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files

from db.records import StationKey
from lnscore.stations.spelling import near, normal, squeezed, without_side

VERSIONS = {
    "AJCC8": "2017-ESO",
    "AJCC7": "2010",
    "IASLC": "2009",
    "JES11": "2015",
    "JES12": "2022",
    "CHN": "2017",
    "NECK": "2014",
    "TIGER": "2019",
    "SCT": "CID7600",
}
"""Edition of each system that may be written as `SYSTEM:CODE`."""

LONGEST = 120
"""Largest length of a text that can name a station."""


@dataclass(frozen=True, kw_only=True)
class Station:
    """One station of one system.

    Attributes:
        key: System, version and code.
        meaning: Name of the station in English words.
        side: `R`, `L`, `ipsi`, `contra`, or "" if the station has no side.
        base: The code without its side; the code itself if there is no side.
        aliases: Other spellings, as people type them.
        snomed: SNOMED CT code of the same place in DICOM CID 7600; None if there is none.
    """

    key: StationKey
    meaning: str
    side: str
    base: str
    aliases: tuple[str, ...]
    snomed: str | None


@dataclass(frozen=True, kw_only=True)
class StationSystem:
    """One edition of one classification.

    Attributes:
        system: Name of the system, as before the colon in `SYSTEM:CODE`.
        version: Edition of the system.
        title: Full name of the system.
        sources: Publications and other sources of the list.
        confirmed: Whether the list was compared with its source, code by code.
        note: Remark about the list.
        bases: For each base, spellings of the station without its side.
        stations: Stations in the order of the classification.
    """

    system: str
    version: str
    title: str
    sources: tuple[str, ...]
    confirmed: bool
    note: str
    bases: Mapping[str, tuple[str, ...]]
    stations: tuple[Station, ...]


@dataclass(frozen=True)
class StationMatch:
    """The result of looking up a text in one system.

    Attributes:
        station: The station, if it is exactly one; else None.
        sides: The candidates, if the text names a sided station without its side.
        near: Codes that look alike if nothing was found, at most three.
    """

    station: Station | None
    sides: tuple[Station, ...] = ()
    near: tuple[str, ...] = ()


class _Systems(Mapping[str, StationSystem]):
    """All systems by name; the file of a system is read at first use."""

    def __getitem__(self, system: str) -> StationSystem:
        if system not in VERSIONS:
            raise KeyError(system)
        return _read(system)

    def __iter__(self) -> Iterator[str]:
        return iter(VERSIONS)

    def __len__(self) -> int:
        return len(VERSIONS)


def systems() -> Mapping[str, StationSystem]:
    """Return every system by its name."""
    return _Systems()


@lru_cache(maxsize=8192)
def find(system: str, text: str) -> StationMatch:
    """Look up the station that a text names in one system.

    Case, width, '#', 'No.', blanks, dots and hyphens do not matter, but separated digits stay
    apart: '1-2' is not 12. A code has priority over an alias.

    Args:
        system: One of `systems()`.
        text: Text as typed.

    Returns:
        The station, the candidates of both sides, or codes that look alike.
    """
    index = _index(system)
    if len(text) > LONGEST or not (key := normal(text)):
        return StationMatch(None)
    if key in index.stations:
        return StationMatch(index.stations[key])
    if key in index.bases:
        return StationMatch(None, sides=index.bases[key])
    for side, rest in without_side(text):
        for station in index.bases.get(normal(rest), ()):
            if station.side == side:
                return StationMatch(station)
    return StationMatch(None, near=near(text, index.forms))


def anywhere(text: str) -> tuple[Station, ...]:
    """Return the stations of all systems that a text can name, with both sides if none is given."""
    found = [find(system, text) for system in VERSIONS]
    return tuple(
        station for one in found for station in ((one.station,) if one.station else one.sides)
    )


def system_of(text: str) -> str | None:
    """Return the name of the system that a text means: "jes 11th" is JES11.

    Returns:
        The name; None if it is unknown or ambiguous: "JES" or "AJCC" alone gives no edition.
    """
    return _system_names().get(squeezed(text[:LONGEST]))


@dataclass(frozen=True)
class _Index:
    stations: Mapping[str, Station]
    bases: Mapping[str, tuple[Station, ...]]
    forms: Mapping[str, str]


@cache
def _index(system: str) -> _Index:
    listed = _Systems()[system]
    by_code = {normal(one.key.code): one for one in listed.stations}
    by_alias = {normal(a): one for one in listed.stations for a in (one.meaning, *one.aliases)}
    sided: dict[str, list[Station]] = {}
    for one in listed.stations:
        if one.side:
            sided.setdefault(one.base, []).append(one)
    bases = {
        normal(name): tuple(stations)
        for base, stations in sided.items()
        for name in (base, *listed.bases.get(base, ()))
    }
    return _Index(
        by_alias | by_code, bases, {one.key.code: normal(one.key.code) for one in listed.stations}
    )


@cache
def _read(system: str) -> StationSystem:
    file = files("lnscore") / "data" / "stations" / f"{system}.json"
    data = json.loads(file.read_text(encoding="utf-8"))
    return StationSystem(
        system=data["system"],
        version=data["version"],
        title=data["title"],
        sources=tuple(data["sources"]),
        confirmed=data["confirmed"],
        note=data["note"],
        bases={base: tuple(names) for base, names in data["bases"].items()},
        stations=tuple(_station(data, row) for row in data["stations"]),
    )


def _station(data: dict, row: dict) -> Station:
    return Station(
        key=StationKey(data["system"], data["version"], row["code"]),
        meaning=row["meaning"],
        side=row.get("side", ""),
        base=row.get("base", row["code"]),
        aliases=tuple(row.get("aliases", ())),
        snomed=row.get("snomed"),
    )


@cache
def _system_names() -> dict[str, str]:
    names = {squeezed(name): system for system, names in _NAMES.items() for name in names}
    return names | {system.casefold(): system for system in VERSIONS}


_NAMES = {
    "AJCC8": ("AJCC8-ESO", "AJCC 8th", "AJCC 8th edition", "AJCC 8 ed", "AJCC/UICC 8", "UICC 8",
              "UICC8-ESO", "TNM8", "AJCC 2017"),
    "AJCC7": ("AJCC7-ESO", "AJCC 7th", "AJCC 7th edition", "AJCC/UICC 7", "UICC 7", "TNM7",
              "AJCC 2010"),
    "IASLC": ("IASLC 2009", "IASLC map"),
    "JES11": ("JES 11th", "JES 11th edition", "JES 11 ed", "JES ed 11", "JES 2015", "JSED 11"),
    "JES12": ("JES 12th", "JES 12th edition", "JES 12 ed", "JES ed 12", "JES 2022"),
    "CHN": ("CHN 2017", "Chinese 2017", "China 2017", "Chinese 2017 edition"),
    "NECK": ("neck levels", "neck level", "Robbins", "AAO-HNS", "Gregoire 2014", "NECK 2014"),
    "TIGER": ("TIGER 2019", "TIGER study"),
    "SCT": ("SNOMED CT", "SNOMED", "CID 7600"),
}  # fmt: skip
