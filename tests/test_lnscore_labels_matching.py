"""Which node a point means: the only one within the tolerance, whichever way it is off."""

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from db.node_places import NodePlace, SeriesPlaces
from lnscore.labels.checking import LabelRow
from lnscore.labels.matching import Match, SeriesIndex, match
from lnscore.tables.messages import Message

MM = st.floats(-300, 300, allow_nan=False)
PLACES = st.lists(st.tuples(MM, MM, MM), min_size=1, max_size=12)
DIRECTION = st.tuples(*[st.floats(-1, 1)] * 3).filter(lambda d: np.linalg.norm(d) > 0.1)


def scan(places) -> SeriesPlaces:
    nodes = (NodePlace(i, f"2.25.{i}", tuple(place)) for i, place in enumerate(places))
    return SeriesPlaces("1.2", "1.2.3", "1.9", None, tuple(nodes))


def label(point) -> LabelRow:
    x, y, z = map(float, point)
    return LabelRow(row=2, reader="A", value=1, series_uid="1.2.3", point=(x, y, z), coord="LPS_MM")


@settings(deadline=None)
@given(PLACES, DIRECTION, DIRECTION, st.floats(1, 20), st.floats(0, 0.499), st.floats(0, 0.499))
def test_a_shift_of_less_than_half_the_tolerance_finds_the_same_node(
    places, way, shift, tolerance_mm, off, moved
):
    start = np.array(places[0]) + np.array(way) / np.linalg.norm(way) * off * tolerance_mm
    end = start + np.array(shift) / np.linalg.norm(shift) * moved * tolerance_mm
    others = np.array(places[1:]).reshape(-1, 3)
    for point in (start, end):
        assume((np.linalg.norm(others - point, axis=1) > tolerance_mm).all())
    scans = SeriesIndex([scan(places)])
    for point in (start, end):
        found = match(label(point), scans, tolerance_mm)
        assert isinstance(found, Match)
        assert found.node.node_id == 0


@settings(deadline=None)
@given(PLACES, st.tuples(MM, MM, MM), st.floats(0, 50))
def test_a_match_is_the_one_node_within_and_anything_else_a_message(places, point, tolerance_mm):
    apart_mm = np.linalg.norm(np.array(places) - np.array(point), axis=1)
    within = np.flatnonzero(apart_mm <= tolerance_mm)
    found = match(label(point), SeriesIndex([scan(places)]), tolerance_mm)
    if len(within) == 1:
        assert isinstance(found, Match)
        assert found.node.node_id == within[0]
    else:
        assert isinstance(found, Message)
        assert found.code == ("L02" if len(within) else "L01")


def test_a_node_at_the_very_tolerance_is_within():
    scans = SeriesIndex([scan([(0, 0, 0)])])
    assert isinstance(match(label((3, 4, 0)), scans, 5.0), Match)
    assert isinstance(match(label((3, 4.01, 0)), scans, 5.0), Message)


def test_a_scan_without_nodes_is_l01():
    found = match(label((0, 0, 0)), SeriesIndex([scan([])]), 5.0)
    assert isinstance(found, Message)
    assert found.text == "(0.0, 0.0, 0.0) mm LPS: the scan has no node"


def test_a_plain_series_uid_means_every_acquisition_of_that_series():
    first = scan([(0, 0, 0)])
    second = SeriesPlaces("1.2", "1.2.3#2", "1.9", None, (NodePlace(7, "2.25.7", (90, 0, 0)),))
    scans = SeriesIndex([first, second])
    found = match(label((90, 0, 0)), scans, 5.0)
    assert isinstance(found, Match)
    assert found.node.node_id == 7
