"""Writes the vocabularies of stations, and the crosswalks, to the study database."""

from collections.abc import Iterable

from db import vocabulary as stored
from db.records import StationKey
from db.session import Session
from db.vocabulary import CrosswalkRecord, StationRecord
from lnscore.stations import crosswalks
from lnscore.stations.vocabulary import VERSIONS, Station, find, systems


def name_stations(session: Session) -> None:
    """Add the meaning of every station in the database that has none, if it is known.

    Args:
        session: The caller's transaction, in which stations were added.
    """
    known = (_known(key) for key in stored.unnamed(session))
    if records := [_record(station) for station in known if station]:
        stored.store(session, records)


def store_vocabularies(session: Session, names: Iterable[str]) -> None:
    """Write whole systems and all crosswalks, for queries within the database.

    Args:
        session: The caller's transaction.
        names: Names of systems, such as AJCC8.
    """
    listed = [
        _record(station) for name in sorted(set(names)) for station in systems()[name].stations
    ]
    rows = [record for name in crosswalks.names() for record in _rows(name)]
    stored.store(session, listed, rows)
    name_stations(session)  # stations that only the crosswalks name


def _known(key: StationKey) -> Station | None:
    if VERSIONS.get(key.system) != key.version:
        return None
    station = find(key.system, key.code).station
    return station if station and station.key == key else None


def _record(station: Station) -> StationRecord:
    return StationRecord(station.key, station.meaning, station.aliases)


def _rows(name: str) -> Iterable[CrosswalkRecord]:
    one = crosswalks.read(name)
    source = "; ".join([f"version {one.version}", one.warning, *one.sources])
    for row in one.rows:
        yield CrosswalkRecord(name, row.from_station, row.to_station, row.relation, source)
