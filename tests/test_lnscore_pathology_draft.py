"""A mapping is proposed from the headings alone, and what is not sure of it is marked."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fake_tables import HEADINGS, write_text
from lnscore.pathology.draft import Draft, date_format, draft
from lnscore.pathology.mapping import Mapping, parse_mapping
from lnscore.tables.sheets import read_sheet

BASE = ["Patient ID", "Report no", "Report date"]


def drafted(path: Path, *rows: list[str]) -> tuple[Draft, Mapping]:
    write_text(path / "t.csv", rows)
    proposed = draft(read_sheet(path / "t.csv"))
    return proposed, parse_mapping(proposed.text)


def test_pos_and_total_columns_are_found_with_merged_groups(tmp_path):
    stations = ["4R", "2R_4R", "8/9R", "7"]
    names = [f"{start}_{one}" for one in stations for start in ("pos", "total")]
    _, mapping = drafted(tmp_path, [*BASE, *names], ["a", "r", "13/02/2020", *("1", "3") * 4])
    assert [(one.station, one.total, one.positive) for one in mapping.pairs] == [
        ("4R", "total_4R", "pos_4R"),
        ("2R+4R", "total_2R_4R", "pos_2R_4R"),
        ("8R+8L+9R", "total_8/9R", "pos_8/9R"),
        ("7", "total_7", "pos_7"),
    ]  # fmt: skip
    assert mapping.patient_key.column == "Patient ID"
    assert (mapping.report_date.column, mapping.report_date.format) == (
        "Report date",
        "day/month/year",
    )


def test_tot_and_plus_below_stations_below_sides_are_found(tmp_path):
    _, mapping = drafted(
        tmp_path,
        ["Patient ID", "Homolateral", "", "", "", "Heterolateral", ""],
        ["", "LII", "", "LIII", "", "LII", ""],
        ["", "tot", "+", "tot", "+", "tot", "+"],
        ["a", "3", "1", "2", "0", "1", "0"],
    )
    assert mapping.station_system.value == "NECK"
    assert [one.station for one in mapping.pairs] == ["II-ipsi", "III-ipsi", "II-contra"]
    assert mapping.header_rows == 3


def test_columns_of_a_clinic_database_are_found(tmp_path):
    names = ["ln_106recR_m", "ln_106recR_l", "106recL", "105/108/110"]
    _, mapping = drafted(tmp_path, [*BASE, *names], ["a", "r", "2020-02-13", "0", "0", "1/2", "4"])
    assert [one.station for one in mapping.pairs] == ["106recR"]
    assert [(one.station, one.holds) for one in mapping.counts] == [
        ("106recL", "positive/total"),
        ("105+108+110", "positive"),
    ]
    assert mapping.zero_means == "refuse"


def test_marks_under_surgeons_codes_are_found_and_unknown_ones_asked_for(tmp_path):
    proposed, mapping = drafted(
        tmp_path, [*BASE, "4R", "RRLN", "RC1"], ["a", "r", "2020-02-13", "1/3", "1", "0"]
    )
    assert [one.column for one in mapping.codes] == ["RRLN"]
    assert '# unsure: which station is "RC1"?' in proposed.text
    assert "does a mark mean positive, or only dissected?" in proposed.text


def test_canonical_headings_are_taken_as_they_are(tmp_path):
    row = ["a", "r", "2024-03-01", "", "JES11", "107", "3", "1", "positive", "none", "1"]
    proposed, mapping = drafted(tmp_path, list(HEADINGS), row)
    assert proposed.unused == ()
    assert mapping.long is not None
    assert mapping.long.station.column == "station"


def test_what_was_not_found_is_marked_unsure_and_the_rest_listed(tmp_path):
    proposed, mapping = drafted(tmp_path, ["4R", "Age"], ["2", "60"])
    assert proposed.unsure == proposed.text.count("# unsure:") >= 4
    assert proposed.unused == ("Age",)
    assert mapping.patient_key.template == "row-{row}"


@pytest.mark.parametrize(
    ("texts", "found"),
    [
        (["2024-01-02"], ("iso", "")),
        (["2024/01/02"], ("year/month/day", "")),
        (["13/01/2024", "02/01/2024"], ("day/month/year", "")),
        (["01/13/2024", "01/02/2024"], ("month/day/year", "")),
        (["01/02/2024"],
         ("day/month/year", "no number above 12 in the first rows: which is the day?")),
        (["13/01/2024", "01/13/2024"], ("day/month/year", "days and months are in either order")),
        (["x"], ("iso", "no dates among the first rows")),
    ],
)  # fmt: skip
def test_the_order_of_day_and_month_is_told_from_the_dates_or_doubted(texts, found):
    assert date_format(texts) == found


def test_any_headings_give_a_draft_that_loads(tmp_path_factory):
    path = tmp_path_factory.mktemp("any") / "t.csv"
    word = st.one_of(
        st.sampled_from(
            ["4R", "pos_7", "tot", "+", "Side", "106rec", "Station", "neoadjuvant", "RC1"]
        ),
        st.text(max_size=12).filter(lambda text: "\0" not in text),
    )
    row = st.lists(word, min_size=1, max_size=8)

    @settings(max_examples=150, deadline=None)
    @given(rows=st.lists(row, min_size=1, max_size=5), headers=st.integers(1, 3))
    def loads(rows, headers):
        write_text(path, [["x"], *rows], "utf-8-sig")
        assert parse_mapping(draft(read_sheet(path, header_rows=headers)).text).version == 1

    loads()
