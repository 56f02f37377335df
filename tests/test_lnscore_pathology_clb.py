"""The real table of a hospital: every count that its curators published comes out."""

import csv
from pathlib import Path

import pytest

from lnscore.pathology.checking import check
from lnscore.pathology.draft import draft
from lnscore.pathology.mapping import parse_mapping, read_mapping
from lnscore.pathology.rows import CanonicalRow
from lnscore.pathology.wide import source_rows
from lnscore.tables.messages import Message
from lnscore.tables.sheets import read_sheet

TABLES = Path(__file__).parents[2] / "shared" / "data" / "pathology" / "clb-multisite"
MAPPING = Path(__file__).parent / "clb_multisite.yaml"
LEVELS = ("Ia", "Ib", "II", "III", "IV", "V", "VII")
PLACES = [(side, level) for side in ("ipsi", "contra") for level in LEVELS]

pytestmark = [
    pytest.mark.real_data,
    pytest.mark.skipif(not TABLES.is_dir(), reason="no research data beside the checkout"),
]

Counts = dict[tuple[str, str], tuple[int | None, int | None]]


@pytest.fixture(scope="module")
def found() -> list[CanonicalRow | Message]:
    mapping = read_mapping(MAPPING)
    sheet = read_sheet(TABLES / "raw.csv", header_rows=mapping.header_rows)
    return list(check(source_rows(sheet, mapping)))


def published() -> list[Counts]:
    """Counts by side and level of each patient of data.csv."""
    with (TABLES / "data.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    headings = list(zip(*rows[:3], strict=True))

    def count(row: list[str], what: str, place: tuple[str, str]) -> int | None:
        text = row[headings.index((what, *place))]
        return int(float(text)) if text else None

    return [
        {
            place: (count(row, "total_dissected", place), count(row, "positive_dissected", place))
            for place in PLACES
        }
        for row in rows[3:]
    ]


def imported(found: list[CanonicalRow | Message]) -> dict[str, Counts]:
    patients: dict[str, Counts] = {}
    for one in found:
        if isinstance(one, CanonicalRow):
            level, side = one.stations[0].code.split("-")
            counts = patients.setdefault(one.patient_id, dict.fromkeys(PLACES, (None, None)))
            counts[side, level] = (one.n_examined, one.n_positive)
    return patients


def test_every_count_of_every_patient_level_and_side_is_the_published_one(found):
    wanted, got = published(), imported(found)
    assert len(got) == len(wanted) == 373
    different = [
        (patient, place, counts[place], theirs[place])
        for (patient, counts), theirs in zip(got.items(), wanted, strict=True)
        for place in PLACES
        if counts[place] != theirs[place]
    ]
    # Seven positive of six examined: in the raw row as in the published one. Left out, and said.
    assert different == [("clb-354", ("contra", "II"), (None, None), (6, 7))]


def test_nothing_is_said_that_would_stop_the_import(found):
    messages = [one for one in found if isinstance(one, Message)]
    assert {(one.code, one.severity) for one in messages} == {
        ("P05", "W"),
        ("P17", "W"),
        ("P27", "W"),
    }
    assert next(one.sentence for one in messages if one.code == "P27") == (
        "P27: row 354, column Heterolateral neck node infiltration | LII | +: left out, as the "
        "mapping says: 7 positive of 6 examined in the source"
    )


def test_a_level_without_nodes_is_not_sampled_and_never_negative(found):
    none = [one for one in found if isinstance(one, CanonicalRow) and not one.n_examined]
    assert {one.status for one in none} == {"not_sampled"}
    assert len(none) == 115


def test_the_three_patients_more_than_published_are_marked_out_by_the_curators():
    mapping = read_mapping(MAPPING).model_copy(update={"rows": (), "left_out": ()})
    sheet = read_sheet(TABLES / "raw.csv", header_rows=3)
    rows = [one.row for one in source_rows(sheet, mapping) if not isinstance(one, Message)]
    marks = {row: cells[0] for row, cells in enumerate(sheet.rows, start=sheet.first_row)}
    out = {row: marks[row] for row in rows if marks[row] not in ("", "n")}
    assert out == {
        215: "Recurrent T: OUT!",
        231: "≠ pathology: OUT!",
        267: "≠ N distribution: OUT",
    }
    assert len(set(rows)) == 376


def test_a_drafted_mapping_finds_all_pairs_without_help():
    sheet = read_sheet(TABLES / "raw.csv")
    mapping = parse_mapping(draft(sheet).text)
    assert mapping.station_system.value == "NECK"
    assert [one.station for one in mapping.pairs] == [f"{level}-{side}" for side, level in PLACES]
    ours = read_mapping(MAPPING)
    assert [(one.total, one.positive) for one in mapping.pairs] == [
        (one.total, one.positive) for one in ours.pairs
    ]
    assert mapping.surgery_date == ours.surgery_date
