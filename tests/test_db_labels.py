"""Labels: one a reader and node, never silently another."""

import pytest
from sqlalchemy import select

from db import labels, runs
from db.errors import DatabaseError
from db.labels import LabelRecord
from db.schema import Label
from db.studies import add_series
from db_rows import series

pytest_plugins = ["db_fixtures"]


@pytest.fixture
def nodes(database) -> list[int]:
    """Ids of two stored nodes."""
    with database.begin() as session:
        run = runs.start(session, "phantom", [], "1")
        added = add_series(session, series(), run)
        return list(labels.node_ids(session, added.series_id).values())


def _stored(database) -> dict[tuple[int, str], int]:
    with database.read() as session:
        rows = session.execute(select(Label.lymph_node_id, Label.reader, Label.value))
        return {(node, reader): value for node, reader, value in rows}


def test_labels_of_two_readers_stay_apart(database, nodes):
    first, second = nodes
    given = [
        LabelRecord(first, "radiologist", 1, "sheet"),
        LabelRecord(first, "resident", 0, "sheet"),
        LabelRecord(second, "radiologist", 0, "sheet"),
    ]
    with database.begin() as session:
        assert labels.add(session, given) == 3
    assert _stored(database) == {
        (first, "radiologist"): 1, (first, "resident"): 0, (second, "radiologist"): 0,
    }  # fmt: skip


def test_the_same_label_again_adds_no_row(database, nodes):
    given = [LabelRecord(nodes[0], "radiologist", 1, "sheet")]
    for new in (1, 0):
        with database.begin() as session:
            assert labels.add(session, given) == new
    assert len(_stored(database)) == 1


def test_another_value_by_the_same_reader_is_refused_and_nothing_is_added(database, nodes):
    with database.begin() as session:
        labels.add(session, [LabelRecord(nodes[0], "radiologist", 1, "sheet")])
    changed = [LabelRecord(node, "radiologist", 0, "sheet") for node in reversed(nodes)]
    with pytest.raises(DatabaseError, match="D18: label 0 of node"), database.begin() as session:
        labels.add(session, changed)
    assert _stored(database) == {(nodes[0], "radiologist"): 1}


def test_no_labels_are_no_error(database):
    with database.begin() as session:
        assert labels.add(session, []) == 0


def test_nodes_are_found_by_tracking_uid(database, nodes):
    with database.read() as session:
        found = labels.node_ids(session, 1)
    assert list(found) == ["2.25.0", "2.25.1"]
    assert list(found.values()) == nodes
