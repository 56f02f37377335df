"""Runs, the audit log, quarantine, counts: what the database says of what was done."""

import os
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from db import audit, counts, engines, quarantine, runs, schema, scores
from db.errors import DatabaseError
from db.records import RefusedRecord
from db.studies import add_series
from db_rows import digest, series, study

pytest_plugins = ["db_fixtures"]

REFUSED = RefusedRecord(
    sha256=digest("file"),
    scope="file",
    code="F01",
    found="found",
    wanted="wanted",
    fix="fix",
    path="a.dcm",
    study_uid="1.2.1",
)


@pytest.fixture
def session(database):
    with database.begin() as writing:
        yield writing


def test_run_has_a_beginning_and_an_end(session):
    before = datetime.now(UTC)
    run_id = runs.start(session, "score", ["lnscore", "score"], "0.1.0", engine_reason="only one")
    run = session.get_one(schema.RunRow, run_id)
    assert before <= run.started_at <= datetime.now(UTC)
    assert (run.finished_at, run.exit_code, run.engine_reason) == (None, None, "only one")
    assert run.host
    runs.finish(session, run_id, 3, {"refused": 1})
    assert run.finished_at >= run.started_at
    assert (run.exit_code, run.summary) == (3, {"refused": 1})


@pytest.mark.parametrize(
    ("word", "stored"),
    [
        ("postgresql://me:s3cret@host/x", "postgresql://me:***@host/x"),
        ("--db=postgresql://me:s3:c@ret@host/x", "--db=postgresql://me:***@host/x"),
        ("postgresql://host/x?password=s3cret&a=b", "postgresql://host/x?password=***&a=b"),
        ("postgresql://me@host/x", "postgresql://me@host/x"),
        ("/scans/a:b@c", "/scans/a:b@c"),
    ],
)
def test_run_stores_no_password(session, word, stored):
    run_id = runs.start(session, "ingest", ["--db", word], "0.1.0")
    assert session.get_one(schema.RunRow, run_id).argv == ["--db", stored]


def three_rows(session):
    audit.record(session, "me", "ingest", "1.2.1", {"nodes": 3, "ü": None})
    audit.record(session, "me", "score", "1.2.1")
    audit.record(session, "you", "report", "1.2.1")


def test_chain_of_an_empty_log_is_whole(session):
    assert audit.verify(session) == 0


def test_every_row_names_the_row_before_it(session):
    three_rows(session)
    log = session.scalars(sa.select(schema.AuditLog).order_by(schema.AuditLog.id)).all()
    assert log[0].prev_hash == audit.FIRST
    assert [row.prev_hash for row in log[1:]] == [row.hash for row in log[:-1]]
    assert audit.verify(session) == 3


def test_chain_is_whole_after_opening_again(database):
    for _ in range(2):
        with database.begin() as writing:
            three_rows(writing)
    with database.read() as reading:
        assert audit.verify(reading) == 6


TAMPERING = [
    ("UPDATE audit_log SET actor = 'you' WHERE id = 2", 2),
    ("UPDATE audit_log SET details = '{\"nodes\": 4}' WHERE id = 1", 1),
    ("UPDATE audit_log SET at = '2020-01-01T00:00:00.000000+00:00' WHERE id = 3", 3),
    ("DELETE FROM audit_log WHERE id = 1", 2),
    ("DELETE FROM audit_log WHERE id = 2", 3),
]


@pytest.mark.parametrize(("change", "row"), TAMPERING)
def test_tampering_breaks_the_chain(sqlite_database, change, row):
    """By somebody who may drop the triggers."""
    with sqlite_database.begin() as writing:
        three_rows(writing)
        for action in ("update", "delete", "replace"):
            writing.execute(sa.text(f"DROP TRIGGER audit_log_no_{action}"))
        writing.execute(sa.text(change.replace(":", r"\:")))
    pattern = rf"^D11: row {row} of the audit log does not follow"
    with sqlite_database.read() as reading, pytest.raises(DatabaseError, match=pattern):
        audit.verify(reading)


TWENTY_ROWS = """if 1:
    import sys
    from db import audit
    from db.session import open_database
    with open_database(sys.argv[1]) as database:
        for number in range(20):
            with database.begin() as session:
                audit.record(session, sys.argv[2], "count", str(number))
"""


def test_two_writers_make_one_chain(database, location):
    writers = [
        subprocess.Popen([sys.executable, "-c", TWENTY_ROWS, location, name], env=os.environ)
        for name in ("a", "b")
    ]
    assert [writer.wait() for writer in writers] == [0, 0]
    with database.read() as reading:
        assert audit.verify(reading) == 40


def test_refusal_is_new_once(session):
    assert quarantine.add(session, REFUSED) is True
    first = quarantine.unresolved(session)[0]
    first_seen, last_seen = first.first_seen, first.last_seen
    assert quarantine.add(session, replace(REFUSED, path="moved.dcm")) is False
    (row,) = quarantine.unresolved(session)
    assert (row.tries, row.path, row.first_seen) == (2, "moved.dcm", first_seen)
    assert row.last_seen > last_seen


def test_another_code_or_content_is_another_row(session):
    quarantine.add(session, REFUSED)
    assert quarantine.add(session, replace(REFUSED, code="F02"))
    assert quarantine.add(session, replace(REFUSED, sha256=digest("other")))
    assert [row.code for row in quarantine.unresolved(session)] == ["F01", "F02", "F01"]


def test_unresolved_of_one_study(session):
    quarantine.add(session, REFUSED)
    quarantine.add(session, replace(REFUSED, code="F02", study_uid="1.2.2"))
    assert [row.code for row in quarantine.unresolved(session, "1.2.2")] == ["F02"]


def test_resolved_refusal_is_open_again_when_it_returns(session):
    quarantine.add(session, REFUSED)
    assert quarantine.resolve(session, sha256s=[REFUSED.sha256]) == 1
    assert quarantine.unresolved(session) == []
    assert quarantine.add(session, REFUSED) is False
    assert [row.resolved_at for row in quarantine.unresolved(session)] == [None]


def test_refusals_are_resolved_by_series_or_content(session):
    for number in range(4):
        refused = replace(REFUSED, sha256=digest(str(number)), series_uid=f"1.2.1.{number % 2}")
        quarantine.add(session, refused)
    assert (
        quarantine.resolve(session, series_uid="1.2.1.0", sha256s={digest("0"), digest("1")}) == 3
    )
    assert [row.sha256 for row in quarantine.unresolved(session)] == [digest("3")]
    assert quarantine.resolve(session, series_uid="1.2.1.0") == 0


def test_nothing_named_resolves_nothing(session):
    quarantine.add(session, REFUSED)
    assert quarantine.resolve(session) == 0
    assert quarantine.resolve(session, sha256s=[digest("unknown")]) == 0


def test_counts_of_an_empty_database(session):
    assert counts.summary(session) == {
        "patients": 0,
        "studies": 0,
        "series": {},
        "nodes": 0,
        "scored": {},
        "quarantine": {},
    }


def test_counts_are_of_what_is_current(session):
    run = runs.start(session, "ingest", [], "0.1.0")
    add_series(session, series("first", nodes=5), run)
    add_series(session, series("second", nodes=2), run)
    add_series(session, series(of=study(2), nodes=3), run)
    record = engines.EngineRecord(
        name="demo",
        weights_sha256="w",
        config_hash="c",
        spec_hash="s",
        backend="onnx",
        precision="fp32",
        model_sha256="m",
        trained=False,
        manifest={},
    )
    for precision in ("fp32", "fp16"):  # one name: a node counts once
        engine = engines.register(session, replace(record, precision=precision))
        todo = scores.to_score(session, engine, ["1.2.1"])
        values = [
            scores.ScoreRecord(
                node_id=n.node_id,
                probability=0.5,
                local_probability=None,
                global_probability=None,
                calibrated_probability=None,
                calls={},
                patch_sha256="p",
            )
            for n in todo
        ]
        scores.add(session, run, engine, values)
    quarantine.add(session, REFUSED)
    quarantine.add(session, replace(REFUSED, sha256=digest("other")))
    quarantine.add(session, replace(REFUSED, code="F02"))
    quarantine.resolve(session, sha256s=[digest("other")])
    assert counts.summary(session) == {
        "patients": 2,
        "studies": 2,
        "series": {"scored": 1, "ready": 1, "superseded": 1},
        "nodes": 5,
        "scored": {"demo": 2},
        "quarantine": {"F01": 1, "F02": 1},
    }
