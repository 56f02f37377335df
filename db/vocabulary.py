"""Store meanings, aliases and crosswalks of stations, taken from the vocabularies.

Only new or changed rows are written, so that storing again changes nothing.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import delete, insert, select
from sqlalchemy.orm import Session

from db import schema
from db.records import StationKey
from db.studies import station_ids


@dataclass(frozen=True)
class StationRecord:
    """A station with its meaning and its aliases (other ways to write it)."""

    key: StationKey
    meaning: str
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True)
class CrosswalkRecord:
    """One row of a crosswalk in one direction.

    Attributes:
        name: Name of the crosswalk.
        from_station: Station that has the relation to `to_station`.
        to_station: Station of the other system.
        relation: `equal`, `narrower`, `broader` or `overlaps`.
        source: Source of this row, and whether it is confirmed.
    """

    name: str
    from_station: StationKey
    to_station: StationKey
    relation: str
    source: str


def unnamed(session: Session) -> list[StationKey]:
    """Return the stations of the database that have no meaning yet."""
    table = schema.StationRow
    query = select(table.system, table.version, table.code).where(table.meaning == "")
    return [StationKey(*row) for row in session.execute(query)]


def store(
    session: Session,
    stations: Iterable[StationRecord],
    crosswalks: Iterable[CrosswalkRecord] = (),
) -> None:
    """Write meanings, aliases and crosswalks.

    A crosswalk replaces all stored rows of the same name. Stations that occur only in a crosswalk
    are added without a meaning.

    Args:
        session: The caller's transaction.
        stations: Stations with their meanings and aliases.
        crosswalks: Rows of complete crosswalks, in both directions.
    """
    listed, rows = list(stations), list(crosswalks)
    ends = (key for row in rows for key in (row.from_station, row.to_station))
    ids = _ids(session, [*(one.key for one in listed), *ends])
    _write_meanings(session, listed, ids)
    _write_aliases(session, listed, ids)
    for name in sorted({row.name for row in rows}):
        _write_crosswalk(session, name, [row for row in rows if row.name == name], ids)


def _ids(session: Session, keys: list[StationKey]) -> dict[StationKey, int]:
    """Return the ids of stations, with one query per system; add those that are missing."""
    ids: dict[StationKey, int] = {}
    table = schema.StationRow
    for system, version in sorted({(key.system, key.version) for key in keys}):
        query = select(table.code, table.id).filter_by(system=system, version=version)
        ids |= {StationKey(system, version, code): id_ for code, id_ in session.execute(query)}
    return ids | station_ids(session, (key for key in keys if key not in ids))


def _write_meanings(
    session: Session, stations: list[StationRecord], ids: dict[StationKey, int]
) -> None:
    for chunk in _chunks(stations):
        wanted = {ids[one.key]: one.meaning for one in chunk}
        query = select(schema.StationRow).where(schema.StationRow.id.in_(wanted))
        for row in session.scalars(query):
            row.meaning = wanted[row.id]
    session.flush()


def _write_aliases(
    session: Session, stations: list[StationRecord], ids: dict[StationKey, int]
) -> None:
    table = schema.StationAlias
    new = []
    for chunk in _chunks(stations):
        query = select(table.station_id, table.alias).where(
            table.station_id.in_([ids[one.key] for one in chunk])
        )
        there = {(station_id, alias) for station_id, alias in session.execute(query)}
        wanted = ((ids[one.key], alias) for one in chunk for alias in one.aliases)
        new += [{"station_id": i, "alias": alias} for i, alias in wanted if (i, alias) not in there]
    if new:
        session.execute(insert(table), new)


def _write_crosswalk(
    session: Session, name: str, rows: list[CrosswalkRecord], ids: dict[StationKey, int]
) -> None:
    table = schema.StationCrosswalk
    wanted = {
        (ids[row.from_station], ids[row.to_station], row.relation, row.source) for row in rows
    }
    columns = table.from_station_id, table.to_station_id, table.relation, table.source
    query = select(*columns).where(table.name == name)
    if {tuple(row) for row in session.execute(query)} == wanted:
        return
    session.execute(delete(table).where(table.name == name))
    names = [column.key for column in columns]
    session.execute(
        insert(table),
        [{"name": name} | dict(zip(names, row, strict=True)) for row in sorted(wanted)],
    )


def _chunks(stations: list[StationRecord], size: int = 400) -> Iterable[list[StationRecord]]:
    """Split a list into parts that fit the number of parameters of one statement."""
    return (stations[start : start + size] for start in range(0, len(stations), size))
