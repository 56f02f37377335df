"""The crosswalks: data in both directions that nobody has confirmed."""

import pytest

from lnscore.errors import Refusal
from lnscore.stations import crosswalks
from lnscore.stations.crosswalks import INVERSE
from lnscore.stations.vocabulary import find

EVERY = crosswalks.names()


def relations(name: str, station: str) -> dict[str, str]:
    system, code = station.split(":")
    found = find(system, code).station
    assert found is not None
    return {row.to_station.code: row.relation for row in crosswalks.read(name).of(found.key)}


def test_the_crosswalks_are_there():
    assert set(EVERY) == {"AJCC8-CHN", "AJCC8-IASLC", "AJCC8-JES11", "AJCC8-JES12", "SCT-AJCC8"}


@pytest.mark.parametrize("name", EVERY)
def test_both_ends_of_every_row_are_stations(name):
    for row in crosswalks.read(name).rows:
        for key in (row.from_station, row.to_station):
            station = find(key.system, key.code).station
            assert station is not None
            assert station.key == key


@pytest.mark.parametrize("name", EVERY)
def test_every_row_is_there_in_both_directions(name):
    rows = crosswalks.read(name).rows
    there = {(row.from_station, row.to_station): row.relation for row in rows}
    assert len(there) == len(rows)
    assert all(there[b, a] == INVERSE[relation] for (a, b), relation in there.items())


@pytest.mark.parametrize("name", EVERY)
def test_a_station_equal_to_one_is_not_also_beside_another_of_it(name):
    """Equal is exact: nothing else of the other system can overlap the same station."""
    walk = crosswalks.read(name)
    for row in walk.rows:
        if row.relation == "equal":
            others = [one.relation for one in walk.of(row.from_station) if one is not row]
            assert "equal" not in others


@pytest.mark.parametrize("name", EVERY)
def test_nobody_confirmed_it_and_it_says_so(name):
    walk = crosswalks.read(name)
    assert not walk.confirmed
    assert walk.warning == f"crosswalk {name} (version 1) is not confirmed by a clinician"
    assert walk.sources


def test_a_wide_station_is_broader_than_its_parts():
    assert relations("AJCC8-JES11", "AJCC8:18") == {"8a": "broader", "8p": "broader"}
    assert relations("AJCC8-JES11", "JES11:8a") == {"18": "narrower"}


def test_an_unknown_crosswalk_is_refused():
    with pytest.raises(Refusal, match="N11: crosswalk 'AJCC8-FOO'; wanted one of AJCC8-CHN"):
        crosswalks.read("AJCC8-FOO")
