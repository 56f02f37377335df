from contextlib import suppress
from dataclasses import replace

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.exc import IntegrityError

from db import runs, schema, studies
from db.errors import IdentityConflict
from db.records import PatchFileRecord, PatientRecord, StationKey
from db.studies import UsableSeries, add_series, usable_series
from db_rows import digest, node, series, study

pytest_plugins = ["db_fixtures"]

TABLES = ("patient", "study", "series", "instance", "annotation", "lymph_node", "patch_file")


def counts(session):
    """Rows of every table that a series touches."""
    return [
        session.scalar(sa.select(sa.func.count()).select_from(sa.table(name))) for name in TABLES
    ]


@pytest.fixture
def session(database):
    with database.begin() as writing:
        yield writing


@pytest.fixture
def run(session):
    return runs.start(session, "ingest", [], "0.1.0")


def states(session, uid="1.2.1.1"):
    query = sa.select(schema.Series).filter_by(series_uid=uid).order_by(schema.Series.revision)
    return [(row.revision, row.status) for row in session.scalars(query)]


def stored(uid, content="first"):
    """What the database tells of a series that `series` made."""
    return UsableSeries(digest(f"{uid} {content}"), frozenset({digest(f"file {uid} {content}")}))


def test_new_series_is_stored_with_all_its_parts(session, run):
    added = add_series(session, series(nodes=3), run)
    assert (added.outcome, added.node_count) == ("new", 3)
    assert counts(session) == [1, 1, 1, 2, 1, 3, 1]
    assert session.get_one(schema.Series, added.series_id).run_id == run


def test_node_keeps_every_fact(session, run):
    station = StationKey("IASLC", "8", "7")
    facts = {
        "bbox_vox": [[1, 2, 3], [4, 5, 6]],
        "volume_mm3": 523.6,
        "short_axis_mm": 9.5,
        "long_axis_mm": 12.25,
        "station_source": "overlap",
        "station_candidates": [{"system": "IASLC", "code": "7", "overlap": 0.9}],
        "mask_sha256": digest("region"),
        "warnings": ["N01"],
        "padded_fraction": 0.125,
    }
    add_series(session, one_node(station, facts), run)
    stored = session.scalars(sa.select(schema.LymphNode)).one()
    assert {name: getattr(stored, name) for name in facts} == facts
    assert (stored.centroid_x_mm, stored.centroid_y_mm, stored.centroid_z_mm) == (1.5, -2.5, 3.5)
    found = stored.station
    assert StationKey(found.system, found.version, found.code) == station


def one_node(station, facts):
    return replace(series(nodes=1), nodes=[node(0, station=station, **facts)])


def test_same_content_again_writes_nothing(session, run):
    first = add_series(session, series(), run)
    before = counts(session)
    again = add_series(session, series(), run)
    assert (again.outcome, again.series_id, again.node_count) == ("same", first.series_id, 2)
    assert counts(session) == before


def test_scored_series_is_the_same_series(session, run):
    added = add_series(session, series(), run)
    session.get_one(schema.Series, added.series_id).status = "scored"
    assert add_series(session, series(), run).outcome == "same"
    assert states(session) == [(1, "scored")]


def test_changed_content_supersedes(session, run):
    first = add_series(session, series("first"), run)
    second = add_series(session, series("second", nodes=3), run)
    assert (second.outcome, second.node_count) == ("revised", 3)
    assert states(session) == [(1, "superseded"), (2, "ready")]
    kept = sa.select(sa.func.count()).where(schema.LymphNode.series_id == first.series_id)
    assert session.scalar(kept) == 2


def test_content_that_comes_back_is_one_more_revision(session, run):
    for content in ("first", "second", "first"):
        add_series(session, series(content), run)
    assert states(session) == [(1, "superseded"), (2, "superseded"), (3, "ready")]
    assert counts(session)[-1] == 2, "the first patch file serves both revisions"


def test_quarantined_series_becomes_usable_with_the_same_bytes(session, run):
    """A later version of lnscore may read what an earlier one refused."""
    refused = replace(series(nodes=0), status="quarantined", code="G03", reason="gap")
    add_series(session, refused, run)
    assert add_series(session, refused, run).outcome == "same"
    assert add_series(session, series(content="first"), run).outcome == "revised"
    assert states(session) == [(1, "superseded"), (2, "ready")]


def test_series_without_nodes_waits(session, run):
    waiting = replace(series(nodes=0), status="waiting", annotations=[], code="S01")
    assert add_series(session, waiting, run).node_count == 0
    assert counts(session) == [1, 1, 1, 2, 0, 0, 0]


def test_second_series_joins_its_study(session, run):
    add_series(session, series(), run)
    add_series(session, series(series_uid="1.2.1.2"), run)
    assert counts(session)[:3] == [1, 1, 2]
    assert usable_series(session, "1.2.1") == {uid: stored(uid) for uid in ("1.2.1.1", "1.2.1.2")}


def test_usable_series_leave_out_what_is_superseded(session, run):
    add_series(session, series("first"), run)
    add_series(session, series("second"), run)
    assert usable_series(session, "1.2.1") == {"1.2.1.1": stored("1.2.1.1", "second")}
    assert usable_series(session, "9.9") == {}


def test_a_usable_series_names_its_mask_file_and_one_without_nodes_names_no_file(session, run):
    file = PatchFileRecord(digest("patches"), digest("masks"), 2, 1, "spec")
    add_series(session, series(patch_file=file), run)
    add_series(session, series(series_uid="1.2.1.2", nodes=0), run)
    found = usable_series(session, "1.2.1")
    assert found["1.2.1.1"].files == {digest("patches"), digest("masks")}
    assert found["1.2.1.2"].files == set()


def test_patch_files_are_those_of_current_usable_series_with_their_masks(session, run):
    file = PatchFileRecord(digest("patches"), digest("masks"), 2, 1, "spec")
    add_series(session, series("first"), run)
    add_series(session, series("second", patch_file=file), run)
    add_series(session, series(of=study(2)), run)
    expected = {digest("patches"), digest("masks"), digest("file 1.2.2.1 first")}
    assert studies.patch_files(session) == expected


def test_station_is_stored_once(session, run):
    station = StationKey("IASLC", "8", "7")
    both = [node(0, station=station), node(1, station=station)]
    add_series(session, replace(series(), nodes=both), run)
    assert session.scalar(sa.select(sa.func.count()).select_from(schema.StationRow)) == 1


def test_station_of_another_version_is_another(session):
    seven = [StationKey("IASLC", version, "7") for version in ("8", "9")]
    ids = studies.station_ids(session, seven)
    assert len(set(ids.values())) == 2
    assert studies.station_ids(session, seven) == ids


def test_later_header_fills_in_what_was_unknown(session, run):
    key = digest("patient")
    add_series(session, series(of=study(1, PatientRecord(key))), run)
    add_series(session, series(of=study(2, PatientRecord(key, "M", 1960, "born"))), run)
    add_series(session, series(of=study(3, PatientRecord(key, "", None, None))), run)
    patient = session.scalars(sa.select(schema.Patient)).one()
    assert (patient.sex, patient.birth_year, patient.identity_check) == ("M", 1960, "born")


def conflicting():
    """Code and record of what contradicts `series()`."""
    key = digest("patient 1")
    other = PatientRecord(digest("somebody else"), "F", 1950, "born")
    return [
        ("D12", series("second", of=study(1, PatientRecord(key, "F", 1950, "another day")))),
        ("D12", series(of=study(2, PatientRecord(key, "F", 1950, "another day")))),
        ("D13", series("second", of=study(1, other))),
        ("D14", series(of=study(2), series_uid="1.2.1.1")),
    ]


@pytest.mark.parametrize("state", ["waiting", "quarantined"])
def test_usable_series_leave_out_what_is_read_again(session, run, state):
    add_series(session, series(), run)
    add_series(session, replace(series(series_uid="1.2.1.2"), status=state), run)
    assert usable_series(session, "1.2.1") == {"1.2.1.1": stored("1.2.1.1")}


def test_first_patient_is_noticed(session, run):
    assert studies.any_patient(session) is False
    add_series(session, series(), run)
    assert studies.any_patient(session) is True


@pytest.mark.parametrize(("code", "record"), conflicting())
def test_conflict_of_identity_writes_nothing(session, run, code, record):
    add_series(session, series(), run)
    before = counts(session)
    with pytest.raises(IdentityConflict) as told:
        add_series(session, record, run)
    assert told.value.code == code
    assert counts(session) == before
    assert states(session) == [(1, "ready")]


def test_node_of_no_annotation_is_refused(session, run):
    lost = replace(series(nodes=1), annotations=[])
    with pytest.raises(ValueError, match=r"node 2\.25\.0 is of no annotation"):
        add_series(session, lost, run)


def test_failure_in_the_middle_leaves_no_part(database):
    twice = replace(series(), nodes=[node(0), node(0, patch_index=1)])
    with pytest.raises(IntegrityError), database.begin() as writing:
        add_series(writing, twice, runs.start(writing, "ingest", [], "0.1.0"))
    with database.read() as reading:
        assert counts(reading) == [0] * len(TABLES)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["1.2.1.1", "1.2.1.2"]),
        st.sampled_from(["first", "second", "third"]),
        st.sampled_from(["ready", "waiting", "quarantined"]),
    ),
    max_size=12,
)


@given(steps=STEPS)
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_no_sequence_leaves_two_current_revisions(database, steps):
    with suppress(Undo), database.begin() as session:
        run = runs.start(session, "ingest", [], "0.1.0")
        wanted = {}
        for uid, content, status in steps:
            record = replace(series(content, nodes=1, series_uid=uid), status=status)
            outcome = add_series(session, record, run).outcome
            last = wanted.setdefault(uid, [])
            expected = "new" if not last else "same" if last[-1] == (content, status) else "revised"
            assert outcome == expected
            if outcome != "same":
                last.append((content, status))
        for uid, history in wanted.items():
            superseded = [(i + 1, "superseded") for i in range(len(history) - 1)]
            assert states(session, uid) == [*superseded, (len(history), history[-1][1])]
        raise Undo


class Undo(Exception):
    """Ends a transaction, so that the next example finds no rows."""
