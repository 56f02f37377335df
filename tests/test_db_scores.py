from dataclasses import replace

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from db import batches, engines, runs, schema, scores
from db.engines import EngineRecord
from db.scores import ScoreRecord
from db.studies import add_series
from db_rows import digest, series, study

pytest_plugins = ["db_fixtures"]

DEMO = EngineRecord(
    name="demo",
    weights_sha256="w",
    config_hash="c",
    spec_hash="s",
    backend="onnx",
    precision="fp32",
    model_sha256="m",
    trained=False,
    manifest={"name": "demo"},
)


@pytest.fixture
def session(database):
    with database.begin() as writing:
        yield writing


@pytest.fixture
def run(session):
    return runs.start(session, "score", [], "0.1.0")


@pytest.fixture
def engine(session):
    return engines.register(session, DEMO)


@pytest.fixture
def cohort(session, run):
    """Three studies of two nodes each; series ids by study UID."""
    return {f"1.2.{i}": add_series(session, series(of=study(i)), run).series_id for i in (3, 1, 2)}


def score_of(node, probability=0.25):
    return ScoreRecord(
        node_id=node.node_id,
        probability=probability,
        local_probability=0.1,
        global_probability=0.9,
        calibrated_probability=None,
        calls={"high": 1},
        patch_sha256=node.patch_sha256,
    )


def status(session, series_id):
    query = sa.select(schema.Series.status).filter_by(id=series_id)
    return session.scalar(query)


def rows(session):
    return session.scalar(sa.select(sa.func.count()).select_from(schema.Score))


@pytest.mark.usefixtures("cohort")
def test_nodes_come_in_the_order_of_the_patch_store(session, engine):
    todo = scores.to_score(session, engine)
    assert [(n.study_uid, n.patch_index) for n in todo] == [
        (uid, index) for uid in ("1.2.3", "1.2.1", "1.2.2") for index in (0, 1)
    ]


def test_node_names_its_patch(session, engine, cohort):
    first = scores.to_score(session, engine, ["1.2.1"])[0]
    assert first.series_id == cohort["1.2.1"]
    assert first.patch_file_sha256 == digest("file 1.2.1.1 first")
    assert first.patch_sha256 == digest("patch 0")


@pytest.mark.usefixtures("cohort")
def test_only_the_studies_asked_for(session):
    asked = scores.to_score(session, None, ["1.2.2", "1.2.3", "1.2.2", "9.9"])
    assert [n.study_uid for n in asked] == ["1.2.3"] * 2 + ["1.2.2"] * 2
    assert scores.to_score(session, None, []) == []


@pytest.mark.usefixtures("cohort")
def test_many_studies_keep_their_order(session, monkeypatch):
    everything = scores.to_score(session, None)
    monkeypatch.setattr(batches, "MAX_PARAMETERS", 1)
    assert scores.to_score(session, None, ["1.2.1", "1.2.2", "1.2.3"]) == everything


@pytest.mark.parametrize("state", ["waiting", "quarantined"])
def test_series_that_is_not_usable_is_left_out(session, run, state):
    add_series(session, replace(series(), status=state), run)
    assert scores.to_score(session, None) == []


@pytest.mark.usefixtures("cohort")
def test_superseded_revision_is_left_out(session, run, engine):
    scores.add(session, run, engine, [score_of(n) for n in scores.to_score(session, engine)])
    revised = add_series(session, series("second", nodes=3, of=study(1)), run)
    todo = scores.to_score(session, engine)
    assert {n.series_id for n in todo} == {revised.series_id}
    assert len(todo) == 3
    assert rows(session) == 6, "the old revision keeps its scores"


@pytest.mark.usefixtures("cohort")
def test_scored_node_is_left_out_unless_asked_again(session, run, engine):
    todo = scores.to_score(session, engine)
    scores.add(session, run, engine, [score_of(n) for n in todo[:4]])
    assert scores.to_score(session, engine) == todo[4:]
    assert scores.to_score(session, engine, again=True) == todo
    assert scores.to_score(session, None) == todo


@pytest.mark.usefixtures("cohort")
def test_other_engine_has_everything_to_do(session, run, engine):
    todo = scores.to_score(session, engine)
    scores.add(session, run, engine, [score_of(n) for n in todo])
    other = engines.register(session, replace(DEMO, precision="fp16"))
    assert scores.to_score(session, other) == todo


@pytest.mark.usefixtures("cohort")
def test_score_keeps_every_fact(session, run, engine):
    node = scores.to_score(session, engine)[0]
    record = ScoreRecord(
        node_id=node.node_id,
        probability=0.1,
        local_probability=0.2,
        global_probability=0.3,
        calibrated_probability=0.4,
        calls={"a": 0, "b": 1},
        patch_sha256="patch",
    )
    assert scores.add(session, run, engine, [record]) == 1
    stored = session.scalars(sa.select(schema.Score)).one()
    facts = {**vars(record), "engine_id": engine, "run_id": run}
    assert facts.pop("node_id") == stored.lymph_node_id
    assert {name: getattr(stored, name) for name in facts} == facts


@pytest.mark.usefixtures("cohort")
def test_second_run_adds_no_rows(session, run, engine):
    todo = scores.to_score(session, engine)
    assert scores.add(session, run, engine, [score_of(n, 0.25) for n in todo]) == 6
    later = runs.start(session, "score", [], "0.1.0")
    assert scores.add(session, later, engine, [score_of(n, 0.75) for n in todo]) == 0
    assert rows(session) == 6
    stored = scores.stored(session, engine, [n.node_id for n in todo])
    assert set(stored.values()) == {0.25}
    assert set(session.scalars(sa.select(schema.Score.run_id))) == {run}


@pytest.mark.usefixtures("cohort")
def test_only_the_missing_rows_are_added(session, run, engine):
    todo = scores.to_score(session, engine)
    scores.add(session, run, engine, [score_of(n) for n in todo[:2]])
    assert scores.add(session, run, engine, [score_of(n) for n in todo[1:4]]) == 2


def test_series_is_scored_with_its_last_node(session, run, engine, cohort):
    first, second = scores.to_score(session, engine, ["1.2.1"])
    scores.add(session, run, engine, [score_of(first)])
    assert status(session, cohort["1.2.1"]) == "ready"
    scores.add(session, run, engine, [score_of(second)])
    assert status(session, cohort["1.2.1"]) == "scored"
    assert status(session, cohort["1.2.2"]) == "ready"


def test_two_engines_do_not_make_one_whole(session, run, engine, cohort):
    first, second = scores.to_score(session, engine, ["1.2.1"])
    other = engines.register(session, replace(DEMO, precision="fp16"))
    scores.add(session, run, engine, [score_of(first)])
    scores.add(session, run, other, [score_of(second)])
    assert status(session, cohort["1.2.1"]) == "ready"


def test_late_score_does_not_revive_a_superseded_series(session, run, engine, cohort):
    todo = scores.to_score(session, engine, ["1.2.1"])
    add_series(session, series("second", of=study(1)), run)
    scores.add(session, run, engine, [score_of(n) for n in todo])
    assert status(session, cohort["1.2.1"]) == "superseded"


@pytest.mark.usefixtures("cohort")
def test_no_records_are_no_work(session, run, engine):
    assert scores.add(session, run, engine, []) == 0


@pytest.mark.usefixtures("cohort")
def test_impossible_probability_leaves_nothing(session, run, engine):
    todo = scores.to_score(session, engine)
    with pytest.raises(IntegrityError), session.begin_nested():
        scores.add(session, run, engine, [score_of(todo[0]), score_of(todo[1], 1.5)])
    assert rows(session) == 0


@pytest.mark.usefixtures("cohort")
def test_stored_names_only_what_is_there(session, run, engine, monkeypatch):
    todo = scores.to_score(session, engine)
    scores.add(session, run, engine, [score_of(todo[0], 0.1), score_of(todo[5], 0.7)])
    monkeypatch.setattr(batches, "MAX_PARAMETERS", 2)
    stored = scores.stored(session, engine, [n.node_id for n in todo])
    assert stored == {todo[0].node_id: 0.1, todo[5].node_id: 0.7}
    assert scores.stored(session, engine, []) == {}


def test_engine_is_found_again(session, engine):
    renamed = replace(DEMO, name="other", manifest={"name": "other"})
    assert engines.register(session, renamed) == engine
    stored = session.scalars(sa.select(schema.EngineRow)).one()
    assert (stored.name, stored.trained, stored.manifest) == ("demo", 0, {"name": "demo"})


@pytest.mark.parametrize(
    "field", ["weights_sha256", "config_hash", "spec_hash", "backend", "precision"]
)
def test_engine_with_another_part_is_another(session, engine, field):
    assert engines.register(session, replace(DEMO, **{field: "other"})) != engine
