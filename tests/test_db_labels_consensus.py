"""Consensus: the rule is named, and what it cannot decide has no label."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from db import labels, node_places, runs
from db.errors import DatabaseError
from db.labels import LabelRecord, decide
from db.studies import add_series
from db_rows import series

pytest_plugins = ["db_fixtures"]

VALUES = st.lists(st.integers(0, 1), min_size=1, max_size=7)


@pytest.fixture
def nodes(database) -> list[int]:
    """Ids of five stored nodes, three readers."""
    with database.begin() as session:
        run = runs.start(session, "phantom", [], "1")
        added = add_series(session, series(nodes=5), run)
        ids = list(labels.node_ids(session, added.series_id).values())
        said = {"a": (1, 1, 0, 1), "b": (1, 0, 0), "c": (1, 1, 0)}
        labels.add(
            session,
            [
                LabelRecord(ids[i], reader, value, "sheet")
                for reader, values in said.items()
                for i, value in enumerate(values)
            ],
        )
        return ids


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("unanimous", {0: 1, 2: 0, 3: 1}),
        ("majority", {0: 1, 1: 1, 2: 0, 3: 1}),
        ("any_malignant", {0: 1, 1: 1, 2: 0, 3: 1}),
        ("b", {0: 1, 1: 0, 2: 0}),
    ],
)
def test_each_rule_gives_what_its_name_says(database, nodes, rule, expected):
    with database.read() as session:
        found = labels.agreed(labels.readings(session), rule)
    assert found == {nodes[i]: value for i, value in expected.items()}


def test_a_tie_has_no_majority():
    assert decide([0, 1, 1, 0], "majority") is None
    assert decide([0, 1, 1], "majority") == 1
    assert decide([0, 0, 1], "majority") == 0


def test_a_name_that_is_neither_rule_nor_reader_is_refused(database, nodes):
    with database.read() as session, pytest.raises(DatabaseError) as error:
        labels.agreed(labels.readings(session), "d")
    assert str(error.value) == (
        "D19: consensus rule 'd'; wanted one of unanimous, majority, any_malignant, or a reader "
        "(a, b, c). Name one of these."
    )


def test_labels_of_a_superseded_revision_do_not_count(database, nodes):
    with database.begin() as session:
        run = runs.start(session, "phantom", [], "1")
        add_series(session, series("second", nodes=5), run)
    with database.read() as session:
        assert labels.readings(session) == []


def test_places_are_of_current_revisions_only(database, nodes):
    with database.begin() as session:
        run = runs.start(session, "phantom", [], "1")
        added = add_series(session, series("second", nodes=3), run)
        (found,) = node_places.current(session)
        ids = list(labels.node_ids(session, added.series_id).values())
    assert (found.study_uid, found.series_uid) == ("1.2.1", "1.2.1.1")
    assert [node.node_id for node in found.nodes] == ids
    assert found.nodes[0].centroid_mm == (1.5, -2.5, 3.5)


@given(VALUES)
def test_a_unanimous_label_is_the_majority_s_and_the_majority_of_one_is_any(values):
    unanimous = decide(values, "unanimous")
    if unanimous is not None:
        assert decide(values, "majority") == decide(values, "any_malignant") == unanimous


@given(VALUES, st.randoms())
def test_the_order_of_the_readers_does_not_matter(values, random):
    shuffled = random.sample(values, len(values))
    for rule in labels.RULES:
        assert decide(values, rule) == decide(shuffled, rule)
