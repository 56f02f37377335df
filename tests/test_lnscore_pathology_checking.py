"""Cells to counts, dates and canonical rows; JSON Lines and their published schema."""

import json
from pathlib import Path

import jsonschema
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import lnscore
from fake_registry import ROW
from lnscore.pathology import json_lines
from lnscore.pathology.checking import check
from lnscore.pathology.rows import FIELDS, CanonicalRow, SourceRow
from lnscore.tables.counts import read_count
from lnscore.tables.dates import read_date
from lnscore.tables.messages import Message

PUBLISHED = Path(lnscore.__file__).parent / "data" / "pathology.schema.json"


def one(**change: str) -> list[CanonicalRow | Message]:
    return list(check([SourceRow(ROW | change, 12)]))


@pytest.mark.parametrize(
    ("text", "value", "of"),
    [("", None, None), ("7", 7, None), ("１２", 12, None), ("2.0", 2, None), ("n=3", 3, None),
     ("1/5", 1, 5), ("2 of 5", 2, 5), ("-", None, None), ("ND", None, None)],
)  # fmt: skip
def test_a_count_is_read(text, value, of):
    count = read_count(text, 1)
    assert (count.value, count.of) == (value, of)
    assert count.message is None or count.message.severity == "W"


@pytest.mark.parametrize("text", [">3", "1.5", "-1", "three", "3²", "1e3", "99999", "1-2"])
def test_what_is_no_whole_number_is_an_error(text):
    message = read_count(text, 1).message
    assert message is not None
    assert (message.code, message.severity) == ("P11", "E")


@pytest.mark.parametrize(
    ("text", "order", "iso"),
    [("2026-01-31", "", "2026-01-31"), ("20260131", "", "2026-01-31"),
     ("2026-01-31 00:00:00", "", "2026-01-31"), ("31.01.2026", "", "2026-01-31"),
     ("01/31/2026", "", "2026-01-31"), ("03/04/2020", "DMY", "2020-04-03"),
     ("03/04/2020", "MDY", "2020-03-04"), ("29/07/06", "", "2006-07-29"),
     ("2026年1月31日", "", "2026-01-31"), ("31-Jan-2026", "", "2026-01-31"),
     ("20261399", "", None), ("31/02/2026", "", None)],
)  # fmt: skip
def test_a_date_is_read(text, order, iso):
    assert read_date(text, "surgery_date", 1, order=order).iso == iso


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"n_examined": "2/9", "n_positive": "1/5"},
            "P11 n_examined and n_positive disagree: 2/9 and 1/5",
        ),
        (
            {"status": "indeterminate", "n_examined": "5", "n_positive": "3"},
            "P04 status 'indeterminate' but n_positive 3",
        ),
    ],
)
def test_cells_that_contradict_each_other_are_an_error(change, said):
    errors = [m for m in one(**change) if isinstance(m, Message) and m.severity == "E"]
    assert [f"{m.code} {m.text}" for m in errors] == [said]


def test_a_completed_year_is_told():
    message = read_date("29/07/06", "surgery_date", 3).message
    assert message is not None
    assert message.sentence == "P16: row 3: surgery_date '29/07/06' read as 2006-07-29"


def test_a_report_date_that_is_none_is_an_error():
    assert [m.sentence for m in one(report_date="20261399")] == [
        "P16: row 12, column report_date: report_date '20261399' is not a date; "
        "wanted such as 2026-01-31"
    ]


def test_a_negative_status_with_nothing_examined_is_not_sampled():
    *_, row = one(status="negative", n_examined="0")
    assert row.status == "not_sampled"


def test_an_edition_that_is_not_stated_is_an_error():
    (message,) = one(station_system="JES")
    assert message.text.startswith("station_system 'JES' is not known or not decided; one of AJCC8")


def test_a_plus_without_a_station_is_an_error_and_no_row():
    assert [m.sentence for m in one(station=" + ")] == [
        "P02: row 12, column station: station '+' names no station"
    ]


CELLS = st.text(max_size=30) | st.sampled_from([*ROW.values(), "7", "1/5", "+", "JES11", "AJCC8"])


@given(st.lists(st.dictionaries(st.sampled_from(FIELDS), CELLS), max_size=4))
@example([{"station": "+"}])
def test_whatever_the_cells_hold_gives_rows_or_messages(values):
    rows = [SourceRow(ROW | one, number) for number, one in enumerate(values)]
    for found in check(rows):
        if isinstance(found, Message):
            assert found.sentence.encode()
        else:
            assert found.stations
            assert found.n_examined is None or (found.n_positive or 0) <= found.n_examined


def test_the_published_schema_is_current():
    assert json.loads(PUBLISHED.read_text()) == json_lines.schema()


def test_the_published_schema_takes_a_row_and_refuses_one_without_a_station():
    schema = json.loads(PUBLISHED.read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    row = {name: value for name, value in ROW.items() if value}
    jsonschema.validate(row | {"n_examined": 3}, schema)
    del row["station"]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(row, schema)


@given(st.binary(max_size=200))
def test_whatever_the_lines_hold_gives_rows_or_messages(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("lines") / "rows.jsonl"
    path.write_bytes(content)
    for found in json_lines.read_json_lines(path):
        assert isinstance(found, Message | SourceRow)
