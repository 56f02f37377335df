"""Crosswalks: how the stations of one system relate to those of another.

A crosswalk is used only if the user names it. None is confirmed by a clinician yet: the data
file says so, and every use gives this warning.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from db.records import StationKey
from lnscore.errors import Refusal
from lnscore.stations.vocabulary import VERSIONS

INVERSE = {
    "equal": "equal",
    "narrower": "broader",
    "broader": "narrower",
    "overlaps": "overlaps",
}
"""For each relation of A to B, the relation of B to A."""


@dataclass(frozen=True)
class CrosswalkRow:
    """The relation of two stations: `from_station` is equal to, narrower than... `to_station`."""

    from_station: StationKey
    to_station: StationKey
    relation: str
    note: str


@dataclass(frozen=True, kw_only=True)
class Crosswalk:
    """One crosswalk between two systems.

    Attributes:
        name: Name of the crosswalk, such as AJCC8-JES11.
        version: Version of the data file.
        from_system: First system of the name.
        to_system: Second system of the name.
        confirmed: Whether a clinician confirmed the crosswalk.
        note: Remark about the crosswalk.
        sources: Publications and other sources of the rows.
        rows: Rows in both directions.
    """

    name: str
    version: str
    from_system: str
    to_system: str
    confirmed: bool
    note: str
    sources: tuple[str, ...]
    rows: tuple[CrosswalkRow, ...]

    @property
    def warning(self) -> str:
        """Warning for every use of the crosswalk; "" if a clinician confirmed it."""
        told = f"crosswalk {self.name} (version {self.version}) is not confirmed by a clinician"
        return "" if self.confirmed else told

    def of(self, station: StationKey) -> tuple[CrosswalkRow, ...]:
        """Return the rows that start from a station."""
        return tuple(row for row in self.rows if row.from_station == station)


@cache
def names() -> tuple[str, ...]:
    """Return the names of all crosswalks, sorted."""
    folder = files("lnscore") / "data" / "crosswalks"
    found = (file.name.removesuffix(".json") for file in folder.iterdir())
    return tuple(sorted(found))


@cache
def read(name: str) -> Crosswalk:
    """Read a crosswalk.

    Raises:
        Refusal: N11 if there is no crosswalk of that name.
    """
    if name not in names():
        raise Refusal(
            "N11",
            f"crosswalk {name!r}",
            f"one of {', '.join(names())}",
            "Choose one; lnscore stations show SYSTEM:CODE --crosswalk NAME shows its rows",
        )
    file = files("lnscore") / "data" / "crosswalks" / f"{name}.json"
    data = json.loads(file.read_text(encoding="utf-8"))
    there = tuple(_row(data, row) for row in data["rows"])
    return Crosswalk(
        name=data["name"],
        version=data["version"],
        from_system=data["from"],
        to_system=data["to"],
        confirmed=data["confirmed_by_clinician"],
        note=data["note"],
        sources=tuple(data["sources"]),
        rows=there + tuple(_turned(row) for row in there),
    )


def _row(data: Mapping[str, Any], row: Mapping[str, str]) -> CrosswalkRow:
    here, there = (StationKey(data[end], VERSIONS[data[end]], row[end]) for end in ("from", "to"))
    return CrosswalkRow(here, there, row["relation"], row["note"])


def _turned(row: CrosswalkRow) -> CrosswalkRow:
    return CrosswalkRow(row.to_station, row.from_station, INVERSE[row.relation], row.note)
