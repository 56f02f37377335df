"""The vocabularies: what people type is the station they mean, or nothing and what is near."""

from time import perf_counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.sr.codedict import codes

from lnscore.stations.spelling import normal
from lnscore.stations.stated import NO_PLACE
from lnscore.stations.vocabulary import VERSIONS, StationMatch, anywhere, find, system_of, systems

EVERY = sorted(VERSIONS)
STATIONS = [station for system in EVERY for station in systems()[system].stations]
SIDES = {"24028007": "R", "7771000": "L"}


def code(system: str, text: str) -> str | None:
    found = find(system, text)
    return found.station.key.code if found.station else None


@pytest.mark.parametrize("system", EVERY)
def test_a_file_states_its_system_and_edition(system):
    listed = systems()[system]
    assert (listed.system, listed.version) == (system, VERSIONS[system])
    assert listed.title
    assert listed.sources


@pytest.mark.parametrize("system", EVERY)
def test_two_codes_of_a_system_are_never_written_alike(system):
    forms = [normal(station.key.code) for station in systems()[system].stations]
    assert len(set(forms)) == len(forms)


@pytest.mark.parametrize("system", EVERY)
def test_an_alias_is_of_one_station(system):
    owners: dict[str, str] = {}
    for station in systems()[system].stations:
        for name in (station.key.code, station.meaning, *station.aliases):
            assert owners.setdefault(normal(name), station.key.code) == station.key.code, name


@pytest.mark.parametrize("system", EVERY)
def test_a_name_without_its_side_is_of_one_base(system):
    listed = systems()[system]
    owners = {
        normal(n): s.base for s in listed.stations for n in (s.key.code, s.meaning, *s.aliases)
    }
    for base, names in listed.bases.items():
        for name in (base, *names):
            assert owners.setdefault(normal(name), base) == base, name


@pytest.mark.parametrize("system", EVERY)
def test_no_alias_is_empty_or_only_a_side(system):
    for station in systems()[system].stations:
        assert all(normal(name) not in ("", "r", "l", "right", "left") for name in station.aliases)


@pytest.mark.parametrize("system", EVERY)
def test_a_sided_code_is_its_base_with_the_side(system):
    for station in systems()[system].stations:
        code_of_sides = f"{station.base}{station.side}", f"{station.base}-{station.side}"
        assert station.key.code in (code_of_sides if station.side else (station.base,))


@pytest.mark.parametrize(
    ("system", "text", "wanted"),
    [
        ("JES11", "106recR", "106recR"),
        ("JES11", "#106 rec R", "106recR"),
        ("JES11", "No. 106recR", "106recR"),
        ("JES11", "No.106rec-R", "106recR"),
        ("JES11", "106-rec-R", "106recR"),
        ("JES11", "106RECR", "106recR"),
        ("JES11", "106rec (R)", "106recR"),
        ("JES11", "Rt. 106rec", "106recR"),
        ("JES11", "右106rec", "106recR"),
        ("JES11", "１０６ｒｅｃＲ", "106recR"),
        ("JES11", "right recurrent laryngeal nerve", "106recR"),
        ("JES11", "recurrent laryngeal nerve, right", "106recR"),
        ("JES11", "RRLN", "106recR"),
        ("JES11", "RRLN LN", "106recR"),
        ("JES11", "LN 7", "7"),
        ("JES11", "7.0", "7"),
        ("JES11", "8A", "8a"),
        ("JES12", "112ao-A", "112aoA"),
        ("AJCC8", "4R", "4R"),
        ("AJCC8", "４R", "4R"),
        ("AJCC8", "station 4 R", "4R"),
        ("AJCC8", "LN4R", "4R"),
        ("AJCC8", "subcarinal", "7"),
        ("AJCC8", "Subcarinal lymph nodes", "7"),
        ("AJCC8", "RRLN", "2R"),
        ("AJCC8", "8Lo", "8Lo"),
        ("CHN", "C201", "C201"),
        ("CHN", "201", "C201"),
        ("CHN", "RRLN", "C201"),
        ("NECK", "level IIa right", "IIa-R"),
        ("NECK", "Level II right", "II-R"),
        ("NECK", "right level 2", "II-R"),
        ("NECK", "ipsilateral LII", "II-ipsi"),
        ("NECK", "LII heterolateral", "II-contra"),
        ("NECK", "1a", "Ia"),
        ("NECK", "level3L", "III-L"),
        ("NECK", "level IIbR", "IIb-R"),
        ("NECK", "2aR", "IIa-R"),
        ("NECK", "LIa", "Ia"),
        ("SCT", "127932007 - R", "127932007-R"),
        ("SCT", "subcarinal", "28330007"),
    ],
)
def test_what_people_type_is_the_station(system, text, wanted):
    assert code(system, text) == wanted


NECK = [station for station in systems()["NECK"].stations if station.side]
FORMS = ["{} {}", "L{} {}", "L{}-{}", "level {} {}", "{}-{}", "Level {}, {}", "LN {} {}"]
WORDS = {
    "R": ("R", "right", "rt."),
    "L": ("L", "left"),
    "ipsi": ("ipsi", "ipsilateral", "homolateral", "Homo"),
    "contra": ("contra", "contralateral", "heterolateral"),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_neck_level_is_found_with_its_side_behind_it(form):
    for station in NECK:
        for word in WORDS[station.side]:
            assert find("NECK", form.format(station.base, word)).station == station


@pytest.mark.parametrize("form", ["{1} {0}", "{1} L{0}", "{1} level {0}", "{1} LN {0}"])
def test_every_neck_level_is_found_with_its_side_before_it(form):
    for station in NECK:
        for word in WORDS[station.side]:
            if word != "L":  # "L II" is how level II is written
                assert find("NECK", form.format(station.base, word)).station == station


@pytest.mark.parametrize(
    ("system", "text", "sides"),
    [
        ("JES11", "106rec", ["106recR", "106recL"]),
        ("JES11", "No. 106 rec", ["106recR", "106recL"]),
        ("AJCC8", "recurrent laryngeal nerve", ["2R", "2L"]),
        ("AJCC8", "4", ["4R", "4L"]),
        ("NECK", "LII", ["II-R", "II-L", "II-ipsi", "II-contra"]),
        ("NECK", "level 2", ["II-R", "II-L", "II-ipsi", "II-contra"]),
    ],
)
def test_a_sided_station_without_its_side_gives_the_sides(system, text, sides):
    found = find(system, text)
    assert (found.station, found.near) == (None, ())
    assert [station.key.code for station in found.sides] == sides


def test_a_typing_error_gives_what_is_near_best_first():
    assert find("JES11", "106recX") == StationMatch(None, near=("106recR", "106recL"))


def test_a_code_cut_short_gives_how_it_goes_on():
    assert find("AJCC8", "8").near == ("8U", "8M", "8Lo")


@pytest.mark.parametrize(
    ("system", "text"),
    [
        ("JES11", "1-2"),  # a range, or a date that a spreadsheet made: not 12
        ("JES11", "1 1p"),
        ("JES11", "10.5"),
        ("JES11", "105/108"),
        ("NECK", "I-V"),  # not IV
        ("NECK", "I II"),
        ("AJCC8", "2R+4R"),
        ("AJCC8", "right"),
        ("AJCC8", ""),
        ("AJCC8", "#"),
        ("AJCC8", "LN"),
        ("AJCC8", "4R" * 200),
    ],
)
def test_what_names_no_station_or_several_is_none(system, text):
    found = find(system, text)
    assert (found.station, found.sides) == (None, ())


def test_a_number_means_other_places_in_other_systems():
    meant = {station.key.system: station.meaning for station in anywhere("7")}
    assert (meant["AJCC8"], meant["JES11"]) == ("subcarinal", "left gastric")


@pytest.mark.parametrize(
    ("text", "system"),
    [
        ("AJCC8", "AJCC8"),
        ("ajcc 8th", "AJCC8"),
        ("AJCC8-ESO", "AJCC8"),
        ("jes 11th", "JES11"),
        ("JES 12", "JES12"),
        ("IASLC2009", "IASLC"),
        ("ＪＥＳ１１", "JES11"),
        ("neck levels", "NECK"),
        ("JES", None),
        ("AJCC", None),
        ("", None),
        ("JES13", None),
    ],
)
def test_a_system_is_known_by_its_names_if_they_say_the_edition(text, system):
    assert system_of(text) == system


SPOILED = st.sampled_from(["{}", " {} ", "#{}", "No. {}", "no.{}", "LN {}", "station {}", "{} LN"])


@given(st.sampled_from(STATIONS), SPOILED, st.booleans(), st.booleans())
def test_every_code_is_found_in_every_dress(station, dress, upper, wide):
    text = dress.format(station.key.code.upper() if upper else station.key.code)
    if wide:
        text = "".join(chr(ord(c) + 0xFEE0) if c.isascii() and c.isalnum() else c for c in text)
    assert find(station.key.system, text).station == station


@given(st.sampled_from(STATIONS), st.data())
def test_every_alias_is_found(station, data):
    name = data.draw(st.sampled_from((station.meaning, *station.aliases)))
    assert find(station.key.system, name.title()).station == station


@given(st.sampled_from(EVERY), st.text() | st.text("0123456789IVXrRlLoabc.-# /", max_size=8))
def test_any_text_is_answered(system, text):
    found = find(system, text)
    known = {station.key.code for station in systems()[system].stations}
    assert set(found.near) <= known
    assert len(found.near) <= 3
    assert sum([found.station is not None, bool(found.sides), bool(found.near)]) <= 1


@pytest.mark.parametrize(
    "text",
    ["x" + "  ln" * 29 + " x", "ln. " * 29 + "x", "#" * 119, "no." * 39, "i " * 59, "r-" * 59],
)
def test_a_text_that_repeats_itself_is_answered_at_once(text):
    start = perf_counter()
    find("NECK", text)
    assert perf_counter() - start < 0.5


def test_sct_is_cid_7600_with_its_sides():
    places = [
        concept
        for concept in codes.cid7600.concepts.values()
        if concept.scheme_designator == "SCT" and concept.value not in NO_PLACE
    ]
    wanted = {one.value + side: one.meaning for one in places for side in ("", "-R", "-L")}
    listed = {station.key.code: station for station in systems()["SCT"].stations}
    assert set(listed) == set(wanted)
    assert all(station.meaning.endswith(wanted[code]) for code, station in listed.items())
    assert {s.side for s in listed.values() if s.key.code.endswith("-R")} == {"R"}


@pytest.mark.parametrize("system", EVERY)
def test_every_snomed_code_is_of_cid_7600(system):
    there = {concept.value for concept in codes.cid7600.concepts.values()}
    assert {one.snomed for one in systems()[system].stations if one.snomed} <= there
