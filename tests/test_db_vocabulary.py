"""Meanings, aliases and crosswalks in the database, on SQLite and on PostgreSQL."""

from sqlalchemy import func, select

from db import schema, vocabulary
from db.records import StationKey
from db.studies import station_ids
from db.vocabulary import CrosswalkRecord, StationRecord

pytest_plugins = ["db_fixtures"]

SEVEN, OTHER = StationKey("A", "1", "7"), StationKey("B", "1", "107")
STATION = StationRecord(SEVEN, "subcarinal", ("carinal", "bifurcation"))
WALK = CrosswalkRecord("A-B", SEVEN, OTHER, "equal", "version 1")


def meaning(database, key: StationKey) -> str:
    table = schema.StationRow
    with database.read() as session:
        query = select(table.meaning).filter_by(
            system=key.system, version=key.version, code=key.code
        )
        return session.scalar(query)


def counts(database) -> list[int]:
    tables = schema.StationRow, schema.StationAlias, schema.StationCrosswalk
    with database.read() as session:
        return [session.scalar(select(func.count()).select_from(table)) for table in tables]


def test_a_station_is_added_with_its_meaning_and_aliases(database):
    with database.begin() as session:
        vocabulary.store(session, [STATION])
    assert meaning(database, SEVEN) == "subcarinal"
    assert counts(database) == [1, 2, 0]


def test_a_station_without_a_meaning_gets_it(database):
    with database.begin() as session:
        station_ids(session, [SEVEN, OTHER])
        assert set(vocabulary.unnamed(session)) == {SEVEN, OTHER}
        vocabulary.store(session, [STATION])
        assert vocabulary.unnamed(session) == [OTHER]
    assert meaning(database, SEVEN) == "subcarinal"


def test_storing_again_adds_nothing(database):
    for _ in range(2):
        with database.begin() as session:
            vocabulary.store(session, [STATION], [WALK])
        assert counts(database) == [2, 2, 1]


def test_a_crosswalk_replaces_the_one_of_its_name(database):
    changed = CrosswalkRecord("A-B", SEVEN, OTHER, "overlaps", "version 2")
    kept = CrosswalkRecord("A-C", SEVEN, OTHER, "broader", "version 1")
    for rows in ([WALK, kept], [changed]):
        with database.begin() as session:
            vocabulary.store(session, [STATION], rows)
    table = schema.StationCrosswalk
    with database.read() as session:
        rows = session.execute(select(table.name, table.relation, table.source)).all()
    assert sorted(map(tuple, rows)) == [
        ("A-B", "overlaps", "version 2"),
        ("A-C", "broader", "version 1"),
    ]


def test_a_thousand_stations_are_stored_in_one_go(database):
    many = [StationRecord(StationKey("A", "1", str(n)), f"place {n}", ("x",)) for n in range(1000)]
    with database.begin() as session:
        vocabulary.store(session, many)
    assert counts(database) == [1000, 1000, 0]
