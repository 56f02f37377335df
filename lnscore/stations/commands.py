"""`lnscore stations list`, `show` and `explain`: make their answers."""

from collections.abc import Sequence
from typing import Any

from lnscore.errors import Refusal
from lnscore.stations import crosswalks
from lnscore.stations.crosswalks import Crosswalk, CrosswalkRow
from lnscore.stations.stated import not_there
from lnscore.stations.vocabulary import (
    Station,
    StationMatch,
    StationSystem,
    find,
    system_of,
    systems,
)
from lnscore.summary import Answer, ShownTable


def list_systems() -> Answer:
    """List every system with its edition, and every crosswalk."""
    listed = [systems()[name] for name in systems()]
    walks = [crosswalks.read(name) for name in crosswalks.names()]
    columns = ["system", "edition", "stations", "title"]
    rows = [[one.system, one.version, str(len(one.stations)), one.title] for one in listed]
    table = ShownTable("Station systems", columns, rows)
    return Answer([table, _crosswalk_line(walks)], _list_document(listed, walks))


def list_stations(name: str) -> Answer:
    """List every station of one system.

    Raises:
        Refusal: N11, there is no such system, or its name lacks the edition.
    """
    listed = systems()[_system(name)]
    columns = ["code", "meaning", "also written", "SNOMED CT"]
    rows = [
        [one.key.code, one.meaning, ", ".join(one.aliases), one.snomed or ""]
        for one in listed.stations
    ]
    walks = [crosswalks.read(one) for one in crosswalks.names() if listed.system in one.split("-")]
    table = ShownTable(f"{listed.system} {listed.version}: {listed.title}", columns, rows)
    return Answer([table, *_about(listed)], _list_document([listed], walks))


def _list_document(listed: Sequence[StationSystem], walks: Sequence[Crosswalk]) -> dict[str, Any]:
    """Return the JSON document: systems with their stations, and crosswalks."""
    return {
        "systems": [
            _system_json(one) | {"stations": [_station_json(station) for station in one.stations]}
            for one in listed
        ],
        "crosswalks": [_crosswalk_json(one) for one in walks],
    }


def _crosswalk_line(walks: Sequence[Crosswalk]) -> str:
    """Return a line with every crosswalk, and which of them a clinician has confirmed."""
    names = ", ".join(one.name for one in walks)
    confirmed = [one.name for one in walks if one.confirmed]
    some = f"only {', '.join(confirmed)}" if confirmed else "none"
    which = "all" if walks and len(confirmed) == len(walks) else some
    return f"Crosswalks, {which} confirmed by a clinician: {names}"


def show(text: str, crosswalk: str | None) -> Answer:
    """Show one station, with its rows of a crosswalk if one is named.

    Raises:
        Refusal: N06, the text is not SYSTEM:CODE; N10, there is no such station, or its side is
            missing; N11, there is no such system or crosswalk, or the crosswalk is of other
            systems.
    """
    station = _named(text)
    walk = _walk(crosswalk, station) if crosswalk else None
    rows = walk.of(station.key) if walk else ()
    title = f"{station.key.system}:{station.key.code}"
    shown: list[str | ShownTable] = [ShownTable(title, ["what", "value"], _facts(station))]
    shown += _about(systems()[station.key.system])
    document = _station_json(station) | {"crosswalk": None}
    if walk:
        columns = ["is", "station", "meaning", "note"]
        shown.append(ShownTable(f"By {walk.name}", columns, [_cells(row) for row in rows]))
        shown.append(f"Warning: {walk.warning}" if walk.warning else f"{walk.name} is confirmed")
        document["crosswalk"] = _crosswalk_json(walk) | {"rows": [_row_json(row) for row in rows]}
    return Answer(shown, document)


def explain(text: str) -> Answer:
    """Show which station a text can mean in each system, or which stations look similar."""
    found = {name: find(name, text) for name in systems()}
    rows = [[name, *_meant(one)] for name, one in found.items()]
    meant = [row for row in rows if row[1]]
    table = ShownTable(f"'{text}'", ["system", "means", "codes"], meant)
    document = {"text": text, "systems": {k: _found_json(v) for k, v in found.items()}}
    return Answer([table, _verdict(text, found)], document)


def _system(name: str) -> str:
    system = system_of(name)
    if system is None:
        raise Refusal(
            "N11",
            f"station system {name!r}",
            f"one of {', '.join(systems())}",
            "Name the edition too: JES11 or JES12, AJCC7 or AJCC8",
        )
    return system


def _named(text: str) -> Station:
    """Return the station of SYSTEM:CODE; system and code may be in any accepted spelling."""
    system, colon, code = text.partition(":")
    if not colon or not code.strip():
        raise Refusal(
            "N06",
            f"station {text!r}",
            "SYSTEM:CODE, for example AJCC8:4R",
            f"lnscore stations explain '{text}' shows what it can mean",
        )
    name = _system(system)
    found = find(name, code)
    if found.station is None:
        raise not_there(name, code.strip(), found)
    return found.station


def _walk(name: str, station: Station) -> Crosswalk:
    walk = crosswalks.read(name)
    if station.key.system not in (walk.from_system, walk.to_system):
        there = [n for n in crosswalks.names() if station.key.system in n.split("-")]
        raise Refusal(
            "N11",
            f"crosswalk {name} has no {station.key.system}",
            f"one of {', '.join(there) or 'none that is there'}",
            "Choose a crosswalk of the station's system",
        )
    return walk


def _facts(station: Station) -> list[list[str]]:
    rows = {
        "meaning": station.meaning,
        "edition": station.key.version,
        "side": station.side or "none",
        "also written": ", ".join(station.aliases),
        "SNOMED CT (CID 7600)": station.snomed or "none",
    }
    return [[name, value] for name, value in rows.items()]


def _about(listed: StationSystem) -> list[str]:
    """Return lines with the sources of a system, and a note if no clinician has confirmed it."""
    sources = [f"Source: {source}" for source in listed.sources]
    return sources if listed.confirmed else [*sources, f"Not confirmed: {listed.note}"]


def _meant(found: StationMatch) -> list[str]:
    if found.station:
        return [found.station.meaning, found.station.key.code]
    if found.sides:
        codes = ", ".join(one.key.code for one in found.sides)
        return ["the side is missing", codes]
    return ["nothing; looks like", ", ".join(found.near)] if found.near else ["", ""]


def _verdict(text: str, found: dict[str, StationMatch]) -> str:
    meant = [name for name, one in found.items() if one.station or one.sides]
    if not meant:
        return f"'{text}' is no station of any system."
    if len(meant) == 1:
        return f"Only {meant[0]} has it; write it as {meant[0]}:CODE."
    return f"Ambiguous: {len(meant)} systems have it. Always add the system, as {meant[0]}:CODE."


def _cells(row: CrosswalkRow) -> list[str]:
    other = find(row.to_station.system, row.to_station.code).station
    name = f"{row.to_station.system}:{row.to_station.code}"
    return [WORDS[row.relation], name, other.meaning if other else "", row.note]


WORDS = {
    "equal": "equal to",
    "narrower": "narrower than",
    "broader": "broader than",
    "overlaps": "overlapping with",
}


def _system_json(one: StationSystem) -> dict[str, Any]:
    return {
        "system": one.system,
        "version": one.version,
        "title": one.title,
        "sources": list(one.sources),
        "confirmed": one.confirmed,
        "note": one.note,
    }


def _station_json(one: Station) -> dict[str, Any]:
    return {
        "system": one.key.system,
        "version": one.key.version,
        "code": one.key.code,
        "meaning": one.meaning,
        "side": one.side,
        "base": one.base,
        "aliases": list(one.aliases),
        "snomed": one.snomed,
    }


def _found_json(found: StationMatch) -> dict[str, Any]:
    return {
        "station": _station_json(found.station) if found.station else None,
        "sides": [one.key.code for one in found.sides],
        "near": list(found.near),
    }


def _crosswalk_json(one: Crosswalk) -> dict[str, Any]:
    return {
        "name": one.name,
        "version": one.version,
        "from": one.from_system,
        "to": one.to_system,
        "confirmed_by_clinician": one.confirmed,
        "note": one.note,
        "sources": list(one.sources),
    }


def _row_json(row: CrosswalkRow) -> dict[str, Any]:
    other = row.to_station
    return {
        "relation": row.relation,
        "station": {"system": other.system, "version": other.version, "code": other.code},
        "note": row.note,
    }
