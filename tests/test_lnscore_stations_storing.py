"""The vocabularies in the study database."""

from pathlib import Path

import pytest
from sqlalchemy import select

from db import schema
from db.records import StationKey
from db.session import Database, open_database
from db.studies import station_ids
from lnscore.phantom import job as phantom_job
from lnscore.stations import crosswalks
from lnscore.stations.storing import name_stations, store_vocabularies
from lnscore.stations.vocabulary import systems


@pytest.fixture
def database(tmp_path: Path):
    database = open_database(str(tmp_path / "lnscore.db"), create=True)
    yield database
    database.close()


def meanings(database: Database) -> dict[str, str]:
    table = schema.StationRow
    with database.read() as session:
        rows = session.execute(select(table.system, table.code, table.meaning))
        return {f"{system}:{code}": meaning for system, code, meaning in rows}


def test_a_station_of_an_old_database_gets_its_meaning(database):
    with database.begin() as session:
        station_ids(session, [StationKey("AJCC8", "2017-ESO", "7")])
    with database.begin() as session:
        name_stations(session)
    assert meanings(database) == {"AJCC8:7": "subcarinal"}


def test_a_station_of_another_edition_or_code_gets_none(database):
    keys = [StationKey("IASLC", "8", "7"), StationKey("AJCC8", "2017-ESO", "RRLN")]
    with database.begin() as session:
        station_ids(session, keys)
        name_stations(session)
    assert meanings(database) == {"IASLC:7": "", "AJCC8:RRLN": ""}


def test_a_stored_vocabulary_has_all_of_it_and_nothing_without_a_meaning(database):
    for _ in range(2):
        with database.begin() as session:
            store_vocabularies(session, ["JES11"])
    stored = meanings(database)
    assert {f"JES11:{one.key.code}" for one in systems()["JES11"].stations} <= set(stored)
    assert "" not in stored.values()


def test_every_crosswalk_is_stored_in_both_directions(database):
    with database.begin() as session:
        store_vocabularies(session, ["AJCC8"])
    table = schema.StationCrosswalk
    with database.read() as session:
        stored = session.execute(select(table.name, table.source)).all()
    assert len(stored) == sum(len(crosswalks.read(name).rows) for name in crosswalks.names())
    assert all("not confirmed by a clinician" in source for _, source in stored)


def test_the_nodes_of_a_phantom_have_stations_with_meanings(tmp_path):
    path = tmp_path / "cohort.db"
    phantom_job.fill(str(path), patients=1, seed=0, jobs=1)
    database = open_database(str(path))
    found = meanings(database)
    database.close()
    assert found
    assert "" not in found.values()
