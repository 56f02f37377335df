"""Tables of the report: formulas, line ends, numbers."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lnscore.spreadsheet import FORMULA_STARTS, safe, sheet


def written(*rows: list) -> str:
    file = io.StringIO(newline="")
    add = sheet(file, ["a", "b"])
    for row in rows:
        add(row)
    return file.getvalue()


@pytest.mark.parametrize(
    "text",
    ["=HYPERLINK(1)", "+1", "-1", "@SUM(A1)", "  =1", "\t=1", "\r=1", "\u00a0=1", "\u3000＝1"],
)
def test_a_formula_becomes_text(text: str) -> None:
    assert safe(text).startswith("'")


@pytest.mark.parametrize("text", ["LN 3", "AJCC8:4R", "a=b", "", "é", "3-4"])
def test_plain_text_stays_as_it_is(text: str) -> None:
    assert safe(text) == text


def test_a_bare_carriage_return_cannot_start_a_row() -> None:
    assert written(["LN\r=HYPERLINK(1)", "x"]) == "a,b\r\nLN =HYPERLINK(1),x\r\n"


def test_a_negative_number_stays_a_number() -> None:
    assert written([-12.5, -3]) == "a,b\r\n-12.5,-3\r\n"


def test_a_small_number_has_no_exponent() -> None:
    assert written([0.000001, 1e-9]) == "a,b\r\n0.000001,0\r\n"


def test_what_is_unknown_is_empty() -> None:
    assert written([None, ""]) == "a,b\r\n,\r\n"


@given(st.lists(st.text(), min_size=2, max_size=2))
def test_any_text_stays_in_its_cell_and_is_no_formula(row: list[str]) -> None:
    rows = list(csv.reader(io.StringIO(written(row), newline="")))
    assert rows[1:] == [[safe(cell) for cell in row]]
    assert not any(cell.lstrip().startswith(FORMULA_STARTS) for cell in rows[1])
