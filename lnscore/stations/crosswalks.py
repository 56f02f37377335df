"""How stations of one system lie to those of another; used only when somebody names a crosswalk.

No crosswalk here is confirmed by a clinician: each says so, and every use repeats it.
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
"""What B is to A, where A is this to B."""


@dataclass(frozen=True)
class CrosswalkRow:
    """One station against another: `from_station` is equal to, narrower than... `to_station`."""

    from_station: StationKey
    to_station: StationKey
    relation: str
    note: str


@dataclass(frozen=True, kw_only=True)
class Crosswalk:
    """One crosswalk between two systems.

    Attributes:
        name: Such as AJCC8-JES11.
        version: Of the data file.
        from_system: As in its name.
        to_system: As in its name.
        confirmed: Whether a clinician confirmed it.
        note: What to know about it.
        sources: Where it comes from.
        rows: In both directions.
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
        """What every use has to say; "" where a clinician confirmed it."""
        told = f"crosswalk {self.name} (version {self.version}) is not confirmed by a clinician"
        return "" if self.confirmed else told

    def of(self, station: StationKey) -> tuple[CrosswalkRow, ...]:
        """The rows that lead away from a station."""
        return tuple(row for row in self.rows if row.from_station == station)


@cache
def names() -> tuple[str, ...]:
    """The crosswalks that are there, by name."""
    folder = files("lnscore") / "data" / "crosswalks"
    found = (file.name.removesuffix(".json") for file in folder.iterdir())
    return tuple(sorted(found))


@cache
def read(name: str) -> Crosswalk:
    """Read a crosswalk.

    Raises:
        Refusal: N11, there is none of that name.
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
