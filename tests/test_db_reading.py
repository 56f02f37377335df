"""Reading for a report: order, what is current, how many statements."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa

from db import reading, schema
from db.session import Database
from fake_report import Engine, Hospital, Node, uid

A = Engine()


@pytest.fixture
def hospital(tmp_path: Path) -> Iterator[Hospital]:
    made = Hospital(tmp_path)
    yield made
    made.db.close()


@contextmanager
def statements(database: Database) -> Iterator[list[str]]:
    seen: list[str] = []

    def note(connection, cursor, statement, *_):
        if statement.startswith("SELECT"):
            seen.append(statement)

    sa.event.listen(sa.Engine, "before_cursor_execute", note)
    yield seen
    sa.event.remove(sa.Engine, "before_cursor_execute", note)


def test_latest_study_comes_first_and_one_without_a_date_last(hospital: Hospital) -> None:
    for name, date in (("a", None), ("b", "2026-01-02"), ("c", "2026-03-01")):
        hospital.add_study(name, (), date=date)
    with hospital.db.read() as session:
        found = reading.study_uids(session)
    assert list(found) == [uid("study", name) for name in "cba"]


def test_a_superseded_revision_is_not_read(hospital: Hospital) -> None:
    hospital.add_study("a", [Node(0.2, "old")], A)
    hospital.add_study("a", [Node(0.9, "new")], A)
    with hospital.db.read() as session:
        study = reading.study(session, uid("study", "a"))
        assert study is not None
        labels = [node.label for series in study.series for node in series.nodes]
        kept = session.scalar(sa.select(sa.func.count()).select_from(schema.Series))
    assert (labels, kept) == (["new"], 2)


def test_a_study_that_is_not_there_is_none(hospital: Hospital) -> None:
    with hospital.db.read() as session:
        assert reading.study(session, "1.2.3") is None


@pytest.mark.parametrize("count", [1, 12])
def test_everything_is_loaded_in_five_statements(hospital: Hospital, count: int) -> None:
    hospital.add_study("a", [Node(0.5)] * count, A)
    with hospital.db.read() as session, statements(hospital.db) as seen:
        study = reading.study(session, uid("study", "a"))
        assert study is not None
        nodes = [node for series in study.series for node in series.nodes]
        names = [score.engine.name for node in nodes for score in node.scores]
        assert names == [A.name] * count
        assert study.patient.pseudo_key
        assert study.series[0].patch_file is not None
        assert all(node.station is None for node in nodes)
        assert all(node.series is study.series[0] for node in nodes)
    assert len(seen) <= 5
