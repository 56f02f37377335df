"""The schema itself refuses: rows go in past the code of `db`, on both databases."""

import math
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, IntegrityError, StatementError

from db import schema
from db.schema import Base
from db.session import open_database

pytest_plugins = ["db_fixtures"]

NOW = "2026-01-31T00:00:00.000000+00:00"

ROWS: dict[str, dict[str, object]] = {
    "patient": {"pseudo_key": "key", "sex": "F", "birth_year": 1950},
    "study": {"patient_id": 1, "study_uid": "1.2", "created_at": NOW},
    "patch_file": {
        "sha256": "file", "node_count": 1, "spec_version": 1, "spec_hash": "s", "created_at": NOW,
    },
    "engine": {
        "name": "demo", "weights_sha256": "w", "config_hash": "c", "spec_hash": "s",
        "backend": "onnx", "precision": "fp32", "model_sha256": "m", "trained": 0,
        "manifest": "{}", "created_at": NOW,
    },
    "run": {
        "kind": "score", "argv": "[]", "version": "0", "host": "h", "started_at": NOW,
        "engine_id": 1,
    },
    "series": {
        "study_id": 1, "series_uid": "1.2.3", "revision": 1, "status": "ready",
        "content_sha256": "c", "patch_file_id": 1, "run_id": 1, "created_at": NOW,
    },
    "instance": {"series_id": 1, "sop_uid": "1.2.3.1", "sha256": "i", "path": "ct.dcm"},
    "annotation": {"series_id": 1, "format": "SEG", "sha256": "a", "path": "seg.dcm"},
    "station": {"system": "IASLC", "version": "8", "code": "7", "meaning": ""},
    "station_alias": {"station_id": 1, "alias": "subcarinal"},
    "station_crosswalk": {
        "name": "x", "from_station_id": 1, "to_station_id": 1, "relation": "equal",
        "source": "book",
    },
    "lymph_node": {
        "series_id": 1, "annotation_id": 1, "tracking_uid": "2.25.1", "label": "n",
        "centroid_x_mm": 0.0, "centroid_y_mm": 0.0, "centroid_z_mm": 0.0, "volume_mm3": 100.0,
        "short_axis_mm": 5.0, "long_axis_mm": 5.0, "station_id": 1, "station_source": "overlap",
        "patch_index": 0, "patch_sha256": "p", "patch_affine": "[]", "padded_fraction": 0.5,
    },
    "pathology_report": {
        "patient_key": "key", "report_id": "r", "report_date": "2026-01-31",
        "neoadjuvant": "none", "source_sha256": "s", "content_sha256": "c",
        "superseded_by_id": 1, "created_at": NOW,
    },
    "finding": {
        "report_id": 1, "n_examined": 3, "n_positive": 3, "status": "positive",
        "source_row": 1, "source_column": "",
    },
    "finding_station": {"finding_id": 1, "station_id": 1},
    "score": {
        "lymph_node_id": 1, "engine_id": 1, "run_id": 1, "probability": 0.5, "calls": "{}",
        "local_probability": 0.0, "global_probability": 1.0, "calibrated_probability": 0.5,
        "patch_sha256": "p", "created_at": NOW,
    },
    "label": {
        "lymph_node_id": 1, "reader": "me", "value": 1, "source": "s", "created_at": NOW,
    },
    "split": {"name": "s", "seed": 0, "created_at": NOW},
    "split_member": {"split_id": 1, "fold": 0, "patient_id": 1, "part": "test"},
    "quarantine": {
        "sha256": "q", "scope": "file", "code": "F01", "found": "f", "wanted": "w", "fix": "x",
        "path": "p", "first_seen": NOW, "last_seen": NOW, "tries": 1,
    },
    "audit_log": {
        "at": NOW, "actor": "me", "action": "score", "object": "1.2", "prev_hash": "0",
        "hash": "1",
    },
}  # fmt: skip
"""A valid row of every table, in an order in which they can be written."""

LINKS = ("finding_station", "split_member")
"""Tables whose key is made of references."""

OTHER_ENGINE = 9
"""A score is unique by its references: a second one needs a second engine."""

BAD: list[tuple[str, str, dict[str, object]]] = [
    ("patient", "ck_patient_sex_known", {"sex": "female"}),
    ("patch_file", "ck_patch_file_node_count_positive", {"node_count": 0}),
    ("engine", "ck_engine_trained_binary", {"trained": 2}),
    ("series", "ck_series_status_known", {"status": "done"}),
    ("series", "ck_series_revision_from_1", {"revision": 0}),
    ("annotation", "ck_annotation_format_known", {"format": "PNG"}),
    ("station_crosswalk", "ck_station_crosswalk_relation_known", {"relation": "near"}),
    ("lymph_node", "ck_lymph_node_station_source_known", {"station_source": "guess"}),
    ("lymph_node", "ck_lymph_node_volume_positive", {"volume_mm3": 0.0}),
    ("lymph_node", "ck_lymph_node_patch_index_from_0", {"patch_index": -1}),
    ("lymph_node", "ck_lymph_node_padded_fraction_range", {"padded_fraction": 1.01}),
    ("lymph_node", "ck_lymph_node_padded_fraction_range", {"padded_fraction": -0.01}),
    ("lymph_node", "ck_lymph_node_axes_ordered", {"short_axis_mm": 5.01}),
    ("lymph_node", "ck_lymph_node_axes_ordered", {"short_axis_mm": -1.0}),
    ("lymph_node", "ck_lymph_node_axes_together", {"long_axis_mm": None}),
    ("lymph_node", "ck_lymph_node_axes_together", {"short_axis_mm": None}),
    ("pathology_report", "ck_pathology_report_neoadjuvant_known", {"neoadjuvant": "yes"}),
    ("finding", "ck_finding_status_known", {"status": "benign"}),
    ("finding", "ck_finding_counts_ordered", {"n_positive": 4}),
    ("finding", "ck_finding_counts_ordered", {"n_positive": -1}),
    ("finding", "ck_finding_counts_ordered", {"n_examined": -1, "n_positive": None}),
    ("score", "ck_score_probability_range", {"probability": 1.01}),
    ("score", "ck_score_probability_range", {"probability": -0.01}),
    ("score", "ck_score_local_range", {"local_probability": 1.01}),
    ("score", "ck_score_global_range", {"global_probability": -0.01}),
    ("score", "ck_score_calibrated_range", {"calibrated_probability": 1.01}),
    ("label", "ck_label_value_binary", {"value": 2}),
    ("split_member", "ck_split_member_part_known", {"part": "tests"}),
    ("split_member", "ck_split_member_fold_from_0", {"fold": -1}),
    ("quarantine", "ck_quarantine_scope_known", {"scope": "disk"}),
    ("quarantine", "ck_quarantine_tries_from_1", {"tries": 0}),
]

GOOD: list[tuple[str, dict[str, object]]] = [
    ("series", {"series_uid": "1.2.4", "status": "quarantined", "patch_file_id": None}),
    ("series", {"revision": 2, "status": "superseded"}),
    ("lymph_node", {"short_axis_mm": None, "long_axis_mm": None, "volume_mm3": None}),
    ("finding", {"n_positive": None, "n_examined": None, "status": "not_sampled"}),
    ("score", {"local_probability": None, "calibrated_probability": None}),
    ("split_member", {"fold": 1, "part": "train"}),
]
"""Rows beside the first, with every unique column changed, that must be accepted."""


def written(connection, table, row):
    """Insert past the models: no type of ours looks at the values."""
    plain = sa.table(table, *(sa.column(name) for name in row))
    connection.execute(sa.insert(plain).values(**row))


@pytest.fixture
def connection(database):
    """A transaction in which every table has its valid row, with id 1."""
    with suppress(RollBack), database.begin() as writing:
        connection = writing.connection()
        for table, row in ROWS.items():
            own = {} if table in LINKS else {"id": 1}
            written(connection, table, row | own)
            if table == "engine":
                written(connection, table, row | {"weights_sha256": "other", "id": OTHER_ENGINE})
        yield connection
        raise RollBack


class RollBack(Exception):
    """Ends the transaction."""


def uniques():
    """`(table, name, columns)` of every uniqueness in the schema, primary keys apart."""
    for table in Base.metadata.tables.values():
        for item in [*table.constraints, *table.indexes]:
            if isinstance(item, sa.UniqueConstraint) or getattr(item, "unique", False):
                yield table.name, str(item.name), [column.name for column in item.columns]


def another(table, keep=()):
    """A second row: every column of a uniqueness that is no reference has a new value."""
    row = dict(ROWS[table]) | ({} if table in LINKS else {"id": 2})
    changed = {c for of, _, columns in uniques() if of == table for c in columns} - set(keep)
    for name in changed - {c.name for c in Base.metadata.tables[table].columns if c.foreign_keys}:
        row[name] = row[name] + 1 if isinstance(row[name], int) else f"{row[name]} too"
    if table == "score" and "engine_id" not in keep:
        row["engine_id"] = OTHER_ENGINE
    if table == "split_member":
        row["fold"] = 1  # beside the key only the one test is unique
    return row


def refused_by(connection, table, row):
    """Name of the constraint that refuses a row (SQLite names columns for a uniqueness)."""
    with pytest.raises(IntegrityError) as refusal:
        written(connection, table, row)
    diagnosis = getattr(refusal.value.orig, "diag", None)
    return diagnosis.constraint_name if diagnosis else str(refusal.value.orig)


@pytest.mark.parametrize(("table", "name", "columns"), sorted(uniques()))
def test_schema_refuses_a_second(connection, table, name, columns):
    row = another(table, keep=columns)
    if name == "uq_series_series_uid_revision":
        row["status"] = "superseded"  # else the rule of one current revision comes first
    on_sqlite = "UNIQUE constraint failed: " + ", ".join(f"{table}.{c}" for c in columns)
    by_trigger = "audit_log is append-only" if table == "audit_log" else name
    assert refused_by(connection, table, row) in (name, on_sqlite, by_trigger)


@pytest.mark.parametrize(("table", "name", "change"), BAD)
def test_schema_refuses_a_value(connection, table, name, change):
    on_sqlite = f"CHECK constraint failed: {name}"
    assert refused_by(connection, table, another(table) | change) in (name, on_sqlite)


@pytest.mark.parametrize(("table", "change"), GOOD)
def test_schema_accepts(connection, table, change):
    keep = ["series_uid", "revision"] if table == "series" else []
    written(connection, table, another(table, keep) | change)


def test_every_check_is_tried():
    checks = {
        str(item.name)
        for table in Base.metadata.tables.values()
        for item in table.constraints
        if isinstance(item, sa.CheckConstraint)
    }
    assert {name for _, name, _ in BAD} == checks


REFERENCES = sorted(
    (table.name, column.name)
    for table in Base.metadata.tables.values()
    for column in table.columns
    if column.foreign_keys
)


@pytest.mark.parametrize(("table", "column"), REFERENCES)
def test_schema_refuses_a_reference_to_nothing(connection, table, column):
    row = another(table) | {column: 999}
    if table == "finding_station":
        row |= {"finding_id": 1, "station_id": 1, column: 999}
    name = f"fk_{table}_{column}_"
    assert refused_by(connection, table, row).startswith((name, "FOREIGN KEY constraint failed"))


REQUIRED = sorted(
    (table.name, column.name)
    for table in Base.metadata.tables.values()
    for column in table.columns
    if not column.nullable and not column.primary_key
)


def test_schema_refuses_an_empty_required_column(connection):
    accepted = []
    for table, column in REQUIRED:
        try:
            with connection.begin_nested():
                written(connection, table, another(table) | {column: None})
            accepted.append((table, column))
        except IntegrityError:
            pass
    assert accepted == []


@pytest.mark.parametrize(
    ("table", "column"), [("patient", "birth_year"), ("score", "probability"), ("run", "exit_code")]
)
def test_schema_refuses_text_in_a_number(connection, table, column):
    with pytest.raises(DBAPIError):
        written(connection, table, another(table) | {column: "many"})


@pytest.mark.parametrize(
    "statement", ["UPDATE audit_log SET actor = 'you'", "DELETE FROM audit_log"]
)
def test_audit_log_is_append_only(connection, statement):
    with pytest.raises(DBAPIError, match="audit_log is append-only"):
        connection.exec_driver_sql(statement)


@pytest.mark.parametrize("same", ["id", "hash", "prev_hash"])
def test_audit_log_is_not_replaced(sqlite_database, same):
    """SQLite fires no delete trigger for the row that REPLACE removes."""
    first = ROWS["audit_log"] | {"id": 1}
    second = {"id": 2, "hash": "2", "prev_hash": "1"} | {same: first[same]}
    with sqlite_database.begin() as writing:
        written(writing.connection(), "audit_log", first)
        row = first | second
        plain = sa.table("audit_log", *(sa.column(name) for name in row))
        replace = sa.insert(plain).prefix_with("OR REPLACE").values(**row)
        with pytest.raises(DBAPIError, match="audit_log is append-only"):
            writing.connection().execute(replace)


@pytest.mark.postgres
def test_audit_log_is_not_truncated(new_server_database):
    with (
        open_database(new_server_database("migrated")) as database,
        database.begin() as writing,
        pytest.raises(DBAPIError, match="audit_log is append-only"),
    ):
        writing.execute(sa.text("TRUNCATE audit_log"))


def test_time_is_stored_in_utc(database):
    there = datetime(2026, 1, 31, 12, tzinfo=timezone(timedelta(hours=8)))
    with database.begin() as writing:
        writing.add(schema.RunRow(kind="x", argv=[], version="0", host="h", started_at=there))
    with database.read() as reading:
        stored = reading.scalar(sa.select(schema.RunRow.started_at))
        text = reading.scalar(sa.text("SELECT started_at FROM run"))
    assert stored == there
    assert stored.tzinfo == UTC
    assert text == "2026-01-31T04:00:00.000000+00:00"


def test_time_without_a_zone_is_refused(database):
    with database.read() as reading, pytest.raises(StatementError, match="naive datetime"):
        reading.execute(
            sa.insert(schema.RunRow).values(
                kind="x", argv=[], version="0", host="h", started_at=datetime(2026, 1, 31)
            )
        )


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_number_that_is_none_is_refused(database, value):
    with database.read() as reading, pytest.raises(StatementError, match="finite number"):
        reading.execute(sa.select(schema.LymphNode).where(schema.LymphNode.volume_mm3 == value))


def test_json_has_one_spelling(database):
    facts = {"kind": "x", "version": "0", "host": "h", "started_at": datetime.now(UTC)}
    with database.begin() as writing:
        writing.add(schema.RunRow(**facts, argv=["ü"], summary={"b": 0.1, "a": None}))
    with database.read() as reading:
        assert reading.scalar(sa.text("SELECT summary FROM run")) == '{"a": null, "b": 0.1}'
        assert reading.scalar(sa.select(schema.RunRow.argv)) == ["ü"]
