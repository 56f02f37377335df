import subprocess
import sys
from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from db.records import StationKey
from lnscore.errors import Refusal
from lnscore.stations.stated import parse_station, station_in, station_of_codes

RIGHT, LEFT = ("24028007", "SCT"), ("7771000", "SCT")


def code(value, scheme="SCT", modifiers=()):
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, "x"
    if modifiers:
        item.AnatomicRegionModifierSequence = [code(*modifier) for modifier in modifiers]
    return item


@pytest.mark.parametrize(
    ("text", "station"),
    [
        ("AJCC8:4R", StationKey("AJCC8", "2017-ESO", "4R")),
        ("LN 3 AJCC8:4R", StationKey("AJCC8", "2017-ESO", "4R")),
        ("node (JES11:106recR), firm", StationKey("JES11", "2015", "106recR")),
        ("jes12:112aoA", StationKey("JES12", "2022", "112aoA")),
        ("AJCC8:7 JES11:107", StationKey("AJCC8", "2017-ESO", "7")),
        ("NECK:IIa-R", StationKey("NECK", "2014", "IIa-R")),
        ("jes11:106RECR", StationKey("JES11", "2015", "106recR")),
        ("JES11:RRLN", StationKey("JES11", "2015", "106recR")),
        ("AJCC8:subcarinal node", StationKey("AJCC8", "2017-ESO", "7")),
        ("SCT:127932007-R", StationKey("SCT", "CID7600", "127932007-R")),
    ],
)
def test_a_label_states_its_station(text, station):
    assert station_in(text) == (station, ())


@pytest.mark.parametrize("text", ["LN 3", "", "station 7", "at 10:30", "see: 4R", "GTV-1"])
def test_a_bare_number_is_no_station(text):
    assert station_in(text) == (None, ())


def test_an_unknown_system_is_told_and_not_guessed():
    assert station_in("LN FOO9:4R") == (None, ("N06",))


def test_two_codes_of_one_system_are_no_station():
    assert station_in("AJCC8:4R or AJCC8:7") == (None, ("N07",))
    assert station_in("AJCC8:7, AJCC8:7") == (StationKey("AJCC8", "2017-ESO", "7"), ())


@pytest.mark.parametrize("text", ["AJCC8:99", "AJCC8:4", "JES11:4R", "AJCC8:4R AJCC8:99"])
def test_a_code_that_its_system_does_not_have_is_told_and_is_no_station(text):
    assert station_in(text) == (None, ("N10",))


def test_two_ways_to_write_one_station_are_one_station():
    assert station_in("JES11:106recR JES11:RRLN") == (StationKey("JES11", "2015", "106recR"), ())


def test_parse_station_says_what_an_unknown_code_may_have_been_meant_for():
    with pytest.raises(Refusal) as refused:
        parse_station("JES11:106recX")
    assert str(refused.value) == (
        "N10: station '106recX' is not in JES11; wanted a code of JES11 2015."
        " Did you mean 106recR, 106recL? lnscore stations list JES11 shows them all"
    )


def test_parse_station_says_that_the_side_is_missing():
    with pytest.raises(Refusal) as refused:
        parse_station("JES11:106rec")
    assert str(refused.value) == (
        "N10: station side missing ('106rec' of JES11); wanted one of 106recR, 106recL."
        " Write the side, as JES11:106recR"
    )


READING = """
import sys

opened = []
sys.addaudithook(lambda event, args: opened.append(str(args[0])) if event == "open" else None)
from lnscore.stations.stated import station_in

for text in ("LN 3, level 7, FOO:4", "LN 3 AJCC8:4R", "LN 4 AJCC8:7"):
    station_in(text)
    print(*(name for name in map(str, opened) if name.endswith(".json")))
    opened.clear()
"""


def test_a_label_without_a_station_reads_no_vocabulary():
    """In a process of its own, as this one may have read the vocabularies already."""
    command = [sys.executable, "-c", READING]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    nothing, first, again = done.stdout.splitlines()
    assert (nothing, again) == ("", "")
    assert Path(first).name == "AJCC8.json"


@pytest.mark.parametrize("text", ["4R", "FOO:4R", "AJCC8:", "AJCC8:4R x"])
def test_parse_station_refuses_anything_else(text):
    with pytest.raises(Refusal, match=r"N06: station '.*'; wanted SYSTEM:CODE"):
        parse_station(text)


def test_snomed_code_of_cid_7600_is_a_station():
    station = StationKey("SCT", "CID7600", "127932007")
    assert station_of_codes([code("127932007")]) == station


def test_laterality_follows_the_snomed_code():
    assert station_of_codes([code("127932007", modifiers=[RIGHT])]).code == "127932007-R"
    assert station_of_codes([code("127932007", modifiers=[LEFT])]).code == "127932007-L"
    assert station_of_codes([code("127932007", modifiers=[LEFT, RIGHT])]).code == "127932007"


def test_old_srt_codes_are_translated():
    assert station_of_codes([code("T-C4332", "SRT")]).code == "28330007"


@pytest.mark.parametrize("value", ["59441001", "10200004", "4R"])
def test_a_code_that_says_no_place_is_no_station(value):
    assert station_of_codes([code(value)]) is None


def test_the_first_place_wins():
    items = [code("59441001"), code("28330007"), code("127932007")]
    assert station_of_codes(items).code == "28330007"
