"""Scoring never reads pathology: with it and without it the scores are the same bytes."""

import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import select, update

from db import pathology, schema, studies
from db.pathology import FindingRecord, ReportRecord
from db.records import StationKey
from db.session import open_database
from db.station_status import statuses
from fake_cohort import filled, settings_in
from lnscore.scoring import job
from lnscore.settings import Settings

STATION = StationKey("AJCC8", "2017-ESO", "4R")
COLUMNS = "id, lymph_node_id, engine_id, probability, local_probability, global_probability"
COLUMNS += ", calibrated_probability, calls, patch_sha256"


@pytest.fixture
def site(tmp_path: Path) -> Path:
    (tmp_path / "site").mkdir()
    filled(settings_in(tmp_path / "site"), 3, 5)
    return tmp_path / "site"


def copied(site: Path, name: str) -> Settings:
    return settings_in(Path(shutil.copytree(site, site.parent / name)))


def operate(settings: Settings) -> None:
    """A positive report for every patient about the station of every node."""
    with open_database(settings.db) as database, database.begin() as session:
        number = studies.station_ids(session, [STATION])[STATION]
        session.execute(update(schema.LymphNode).values(station_id=number))
        for key in session.scalars(select(schema.Patient.pseudo_key)).all():
            finding = FindingRecord(
                stations=(STATION,), status="positive", source_row=1, n_examined=9, n_positive=9
            )
            pathology.add_report(
                session,
                ReportRecord(
                    patient_key=key,
                    report_id="R1",
                    report_date="2026-03-01",
                    source_sha256="f" * 64,
                    findings=(finding,),
                ),
            )


def scored(settings: Settings) -> list[tuple]:
    """Every column of every score but its time and run; floats by their exact value."""
    assert job.run(settings, job.PENDING).exit_code == 0
    with closing(sqlite3.connect(settings.db)) as connection:
        rows = connection.execute(f"SELECT {COLUMNS} FROM score ORDER BY id").fetchall()
    return [tuple(v.hex() if isinstance(v, float) else v for v in row) for row in rows]


def test_scores_are_the_same_bytes_with_and_without_pathology(site: Path) -> None:
    without, with_it = copied(site, "without"), copied(site, "with")
    operate(with_it)
    with open_database(with_it.db) as database, database.read() as session:
        assert {one.status for one in statuses(session).values()} == {"malignant"}
    plain = scored(without)
    assert len(plain) == 15
    assert scored(with_it) == plain


LOADED = """
import sys
from lnscore.scoring import job
print(sorted(m for m in sys.modules if "patholog" in m or m.startswith("db.station_")))
"""


def test_scoring_loads_no_module_that_reads_pathology() -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOADED], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_no_statement_of_a_scoring_run_names_a_table_of_pathology(
    site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = copied(site, "watched")
    operate(settings)
    asked: list[str] = []
    real = sqlite3.connect

    def connect(*arguments, **options):
        connection = real(*arguments, **options)
        connection.set_trace_callback(asked.append)
        return connection

    monkeypatch.setattr(sqlite3.dbapi2, "connect", connect)
    assert job.run(settings, job.PENDING).added == 15
    assert any("lymph_node" in one for one in asked)
    tables = ("pathology_report", "finding", "finding_station", "station_crosswalk", "label")
    assert not [one for one in asked for table in tables if f" {table}" in one]
