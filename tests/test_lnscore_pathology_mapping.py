"""A mapping file says which column is what; what is wrong in it is told with line and key."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fake_tables import MAPPING
from lnscore.errors import Refusal
from lnscore.pathology.headings import Columns, letter_of, number_of
from lnscore.pathology.mapping import Mapping, parse_mapping, read_mapping
from lnscore.tables.messages import Message

PAIR = 'pairs:\n  - {station: "4R", total: a, positive: b}\n'


def refusal_of(text: str) -> str:
    with pytest.raises(Refusal) as refusal:
        parse_mapping(text, "map.yaml")
    assert refusal.value.code == "P18"
    return refusal.value.found


def test_a_mapping_is_read_with_every_value_as_text():
    mapping = parse_mapping(
        MAPPING + "codes:\n  - {column: A, station: 7, values: {no: skip, 1: positive}}\n"
    )
    assert mapping.codes[0].values == {"no": "skip", "1": "positive"}
    assert mapping.codes[0].station == "7"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (MAPPING + PAIR + "colour: red\n", "map.yaml, line 9, key colour: unknown key"),
        (
            MAPPING + PAIR + '  - {station: "7", total: a}\n',
            "map.yaml, line 9, key pairs.2.positive: missing",
        ),
        (MAPPING.replace("version: 1", "version: 2") + PAIR,
         "map.yaml, line 1, key version: input should be less than or equal to 1"),
        (MAPPING.replace("day/month/year", "european") + PAIR,
         "map.yaml, line 4, key report_date.format: wanted one of iso, day/month/year, "
         "month/day/year, year/month/day, or a pattern as %d.%m.%y"),
        (MAPPING + PAIR + "version: 1\n", "map.yaml, line 9: version is there twice"),
        (MAPPING,
         "map.yaml, line 1: nothing says where the findings are: long, pairs, counts or codes"),
        (MAPPING.replace("zero_means: zero\n", "") + PAIR,
         "map.yaml, line 1: zero_means must say what a 0 in pairs and counts is: zero, not_sampled "
         "or refuse"),
        ("a: [1,", "map.yaml, line 1: expected the node content, but found '<stream end>'"),
        ("a: &x [1]\nb: [*x, *x]\n", "map.yaml, line 1: an alias (*) is not understood here"),
        ("[" * 5000, "map.yaml is nested too deeply"),
        ("- 1", "map.yaml, line 1: input should be a valid dictionary or instance of Mapping"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_line_and_key(text, found):
    assert refusal_of(text) == found


def test_a_mapping_file_that_is_not_there_or_no_text_is_refused(tmp_path):
    with pytest.raises(Refusal, match="F10"):
        read_mapping(tmp_path / "none.yaml")
    (tmp_path / "bad.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(Refusal, match=r"P18: bad.yaml is not UTF-8"):
        read_mapping(tmp_path / "bad.yaml")


@given(st.one_of(st.text(), st.binary().map(lambda b: b.decode("latin-1"))))
def test_no_text_raises_anything_but_p18(text):
    refusal_of(text)


COLUMNS = Columns(
    (("Right", "4R", "tot"), ("Right", "4R", "+"), ("Date",), ("Date",), ("ID", "ID"))
)


@pytest.mark.parametrize(
    ("name", "column"),
    [
        ("Right | 4R | tot", 0),
        ("right|4r|+", 1),
        ("4R | tot", 0),
        ("tot", 0),
        ("[D]", 3),
        ("id", 4),
    ],
)
def test_a_column_is_found_by_its_path_its_end_or_its_letter(name, column):
    assert COLUMNS.find(name) == column


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("Date", "column 'Date' is there 2 times: write [C], [D]"),
        ("4R | total", "column '4R | total' is not in the table; did you mean 'Right | 4R | tot'?"),
        ("[Z]", "column [Z] is beyond the last one, [E]"),
        ("colour", "column 'colour' is not in the table"),
    ],
)  # fmt: skip
def test_a_column_that_is_not_found_is_told_with_what_looks_alike(name, text):
    assert COLUMNS.find(name) == Message("P15", "E", text)


def test_columns_that_share_a_heading_are_named_by_letter():
    assert COLUMNS.names == ("Right | 4R | tot", "Right | 4R | +", "[C]", "[D]", "ID")


@given(st.integers(0, 16_383))
def test_letters_are_those_of_a_spreadsheet(column):
    assert number_of(letter_of(column)) == column
    assert (letter_of(0), letter_of(26), letter_of(701), letter_of(702)) == ("A", "AA", "ZZ", "AAA")


def test_the_example_in_the_documents_is_a_mapping():
    page = (Path(__file__).parents[1] / "docs" / "mapping.md").read_text(encoding="utf-8")
    mapping = parse_mapping(page.split("```yaml\n")[1].split("```")[0])
    unset = {name for name in Mapping.model_fields if not getattr(mapping, name)}
    assert unset == {"skip_rows"}
