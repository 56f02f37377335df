"""Tables of every kind come out as the same rows; what is no table is refused in words."""

import datetime
import zipfile
from pathlib import Path

import openpyxl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fake_tables import write_text, write_workbook
from lnscore.errors import Refusal
from lnscore.tables.charsets import encoding_of
from lnscore.tables.sheets import read_sheet
from lnscore.tables.workbooks import MergedCell

CHINESE = [["患者编号", "淋巴结站", "检出数", "阳性数"], ["A1", "右喉返神经旁", "5", "1"]]
JAPANESE = [["患者番号", "リンパ節", "郭清個数", "転移個数"], ["A1", "右反回神経周囲", "5", "1"]]
FRENCH = [["patient", "côté", "prélevés", "envahis"], ["A1", "opéré à gauche", "5", "1"]]
KOREAN = [
    ["환자번호", "림프절위치", "절제된개수", "전이된개수"],
    ["A1", "우측되돌이후두신경", "5", "1"],
]


def rows_of(path: Path, **options) -> list[list[str]]:
    sheet = read_sheet(path, header_rows=1, **options)
    return [[cells[0] for cells in sheet.headings], *(list(map(str, row)) for row in sheet.rows)]


@pytest.mark.parametrize(
    ("encoding", "table", "said"),
    [
        ("utf-8", CHINESE, "encoding: UTF-8"),
        ("utf-8-sig", JAPANESE, "encoding: UTF-8 with a byte order mark"),
        ("utf-16", CHINESE, "encoding: UTF-16"),
        ("utf-16-le", FRENCH, "encoding: UTF-16-LE"),
        ("utf-16-be", CHINESE, "encoding: UTF-16-BE"),
        ("utf-32", CHINESE, "encoding: UTF-32"),
        ("iso2022_jp", JAPANESE, "encoding: ISO2022-JP"),
        ("gb18030", CHINESE, "encoding: GB18030, by its commonest characters: check the letters"),
        (
            "shift_jis",
            JAPANESE,
            "encoding: Shift-JIS, by its commonest characters: check the letters",
        ),
        ("cp949", KOREAN, "encoding: EUC-KR, by its commonest characters: check the letters"),
        ("latin-1", FRENCH, "encoding: Latin-1, as a last resort: check the letters"),
    ],
)
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_encoding_and_delimiter_are_found_and_said(
    tmp_path, encoding, table, said, delimiter, newline
):
    path = write_text(tmp_path / "t.csv", table, encoding, delimiter, newline)
    assert rows_of(path) == table
    assert read_sheet(path).notes[0] == said


def test_a_few_chinese_words_over_and_over_are_not_korean(tmp_path):
    table = [["patient_key", "report_id"], *([f"PH{i:04}", f"病理报告{i}"] for i in range(30))]
    path = write_text(tmp_path / "t.csv", table, "gb18030")
    assert rows_of(path) == table


def test_the_delimiter_is_said(tmp_path):
    path = write_text(tmp_path / "t.csv", FRENCH, delimiter=";")
    assert read_sheet(path).notes[1:] == ("delimiter: semicolon, detected", "header rows: 1")


def test_a_table_of_one_column_is_said_to_have_none(tmp_path):
    path = write_text(tmp_path / "t.csv", [["station"], ["4R"], ["7"]])
    assert rows_of(path) == [["station"], ["4R"], ["7"]]
    assert "delimiter: none found, one column" in read_sheet(path).notes


def test_decimal_commas_do_not_make_columns(tmp_path):
    (tmp_path / "t.csv").write_text("id;mm\na;1,5\nb;12,25\nc;3\n")
    assert rows_of(tmp_path / "t.csv")[2] == ["b", "12,25"]


def test_excels_sep_line_is_heeded_and_counted(tmp_path):
    (tmp_path / "t.csv").write_text("sep=;\nid;n,m\na;1\n")
    sheet = read_sheet(tmp_path / "t.csv")
    assert (sheet.headings, sheet.first_row) == ((("id",), ("n,m",)), 3)


def test_a_named_encoding_and_delimiter_are_used_without_a_guess(tmp_path):
    (tmp_path / "t.csv").write_bytes("Größe;n,m\nx;1".encode("cp1252"))
    sheet = read_sheet(tmp_path / "t.csv", encoding="cp1252", delimiter=",")
    assert sheet.headings == (("Größe;n",), ("m",))


def test_ids_stay_whole_where_another_charset_is_named(tmp_path):
    path = write_text(tmp_path / "t.csv", FRENCH, "latin-1", ";")
    assert rows_of(path, encoding="cp1251")[1][0] == "A1"


def test_a_charset_that_the_bytes_contradict_is_refused(tmp_path):
    path = write_text(tmp_path / "t.csv", FRENCH, "latin-1", ";")
    with pytest.raises(Refusal) as refusal:
        read_sheet(path, encoding="gb18030")
    assert str(refusal.value) == (
        "P14: the file is not GB18030 throughout; wanted one encoding from the first byte to the "
        "last. Save the table as UTF-8, or name its encoding"
    )


def test_a_quoted_line_break_does_not_end_the_row(tmp_path):
    path = write_text(tmp_path / "t.csv", [["id", "note"], ["a", "two\r\nlines"], ["b", "x"]])
    assert rows_of(path)[1:] == [["a", "two\r\nlines"], ["b", "x"]]


def test_a_formula_in_text_stays_as_it_is(tmp_path):
    path = write_text(tmp_path / "t.csv", [["id", "note"], ["a", "=HYPERLINK(1)"]])
    assert rows_of(path)[1] == ["a", "=HYPERLINK(1)"]


def test_a_quotation_mark_that_is_never_closed_is_refused_with_its_row(tmp_path):
    (tmp_path / "t.csv").write_text('id,n\na,1\nb,"2\n' + "c,3\n" * 50_000)
    with pytest.raises(Refusal, match="P14: row 3 cannot be cut into cells"):
        list(read_sheet(tmp_path / "t.csv").rows)


def test_group_headings_stand_above_all_their_columns_in_text(tmp_path):
    (tmp_path / "t.csv").write_text("ID,Right,,,,\n,4R,,7,,Age\n,tot,+,tot,+,\na,1,0,2,1,60\n")
    sheet = read_sheet(tmp_path / "t.csv")
    assert sheet.notes[-1] == "header rows: 3"
    assert sheet.headings == (
        ("ID", "", ""), ("Right", "4R", "tot"), ("Right", "4R", "+"), ("Right", "7", "tot"),
        ("Right", "7", "+"), ("Right", "Age", ""),
    )  # fmt: skip


def test_merged_headings_and_ids_fill_what_they_cover(tmp_path):
    rows = [["ID", "Right", None], [None, "tot", "+"], ["a", 2, 1], [None, 3, 0]]
    path = write_workbook(tmp_path / "t.xlsx", rows, ["A1:A2", "B1:C1", "A3:A4"])
    sheet = read_sheet(path)
    assert sheet.headings == (("ID", "ID"), ("Right", "tot"), ("Right", "+"))
    assert list(sheet.rows) == [("a", "2", "1"), ("a", "3", "0")]
    assert isinstance(list(sheet.rows)[1][0], MergedCell)


def test_cells_of_a_workbook_become_text(tmp_path):
    day = datetime.datetime(2024, 2, 1)
    path = write_workbook(
        tmp_path / "t.xlsx",
        [
            ["a", "b", "c", "d", "e"],
            [2.0, 2.5, day, True, "x"],
            [None, None, "#VALUE!", day.date(), 1],
        ],
    )
    assert rows_of(path)[1:] == [
        ["2", "2.5", "2024-02-01", "TRUE", "x"],
        ["", "", "#VALUE!", "2024-02-01", "1"],
    ]


def test_several_sheets_and_none_named_are_refused_with_their_names(tmp_path):
    book = openpyxl.Workbook()
    book.worksheets[0].append(["a"])
    book.create_sheet("2024").append(["b"])
    book.create_sheet("empty")
    book.create_sheet("secret").append(["c"])
    book["secret"].sheet_state = "hidden"
    book.save(tmp_path / "t.xlsx")
    with pytest.raises(Refusal) as refusal:
        read_sheet(tmp_path / "t.xlsx")
    assert str(refusal.value) == (
        "P19: 2 sheets and none named; wanted one of 'Sheet', '2024'. "
        "Name it with --sheet or in the mapping file"
    )
    sheet = read_sheet(tmp_path / "t.xlsx", sheet="2024")
    assert sheet.headings == (("b",),)
    assert "hidden sheets, not read: secret" in sheet.notes
    with pytest.raises(Refusal, match="P19: no sheet 'x'; wanted one of 'Sheet'"):
        read_sheet(tmp_path / "t.xlsx", sheet="x")


def test_a_formula_gives_its_value_and_one_without_is_refused(tmp_path):
    path = write_workbook(tmp_path / "t.xlsx", [["a", "b"], ["x", "=1+1"]])
    with pytest.raises(Refusal, match="P14: cell B2 holds a formula that was never computed"):
        read_sheet(path)
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(tmp_path / "u.xlsx", "w") as new:
        for part in old.namelist():
            content = old.read(part)
            for empty in (b"<v></v>", b"<v />"):
                content = content.replace(empty, b"<v>2</v>")
            new.writestr(part, content)
    assert rows_of(tmp_path / "u.xlsx")[1] == ["x", "2"]


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", "P14: the file is empty"),
        (b" \n\n", "P14: the file is empty"),
        (b"%PDF-1.7 ...", "P14: the file is a PDF"),
        (b"PK\x03\x04 no zip", "P14: the workbook is damaged or no XLSX"),
        (bytes.fromhex("d0cf11e0a1b11ae1") + "EncryptedPackage".encode("utf-16-le"),
         "P14: the workbook is protected by a password"),
        (bytes.fromhex("d0cf11e0a1b11ae1") + b"x" * 600, "P14: the file is an Excel 97-2003"),
        (b"a\0b\0\0c\0\0d" * 9, "P14: the file holds zero bytes"),
        (b"\xff\xfea\xd8", "P14: the file is not UTF-16 throughout"),
    ],
)  # fmt: skip
def test_what_is_no_table_is_refused_in_words(tmp_path, content, found):
    (tmp_path / "t").write_bytes(content)
    with pytest.raises(Refusal) as refusal:
        read_sheet(tmp_path / "t")
    assert str(refusal.value).startswith(found)


def test_a_workbook_that_unpacks_to_gigabytes_is_refused(tmp_path, monkeypatch):
    path = write_workbook(tmp_path / "t.xlsx", [["a"], ["1"]])
    monkeypatch.setattr("lnscore.tables.workbooks.MOST_BYTES", 100)
    with pytest.raises(Refusal, match="P14: the workbook unpacks to more than a table can hold"):
        read_sheet(path)


def test_a_row_far_to_the_right_costs_no_memory_for_the_others(tmp_path):
    book = openpyxl.Workbook()
    book.worksheets[0]["A1"] = "a"
    book.worksheets[0]["XFD2"] = "far"
    book.save(tmp_path / "t.xlsx")
    assert len(next(iter(read_sheet(tmp_path / "t.xlsx").rows))) == 16_384


@pytest.mark.parametrize("name", ["nonsense", "hex", "undefined", "idna", "\0", "rot13", ""])
def test_an_encoding_that_is_none_is_refused_or_not_asked_for(tmp_path, name):
    path = write_text(tmp_path / "t.csv", FRENCH)
    if name:
        with pytest.raises(Refusal, match="P14"):
            encoding_of(path, name)
    else:
        assert encoding_of(path, name).codec == "utf-8"


def outcome(path: Path) -> str:
    try:
        for row in read_sheet(path).rows:
            assert all(isinstance(cell, str) for cell in row)
    except Refusal as refusal:
        return refusal.code
    return ""


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    start=st.sampled_from(
        [b"", b"PK\x03\x04", b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf", b"sep=", b"\x1b$B", b'"']
    ),
    content=st.one_of(st.binary(max_size=400), st.text(max_size=200).map(str.encode)),
)
def test_any_bytes_give_rows_or_a_refusal(tmp_path_factory, start, content):
    path = tmp_path_factory.getbasetemp() / "any"
    path.write_bytes(start + content)
    assert outcome(path) in ("", "P14", "P19")


@settings(max_examples=150, deadline=None)
@given(
    part=st.sampled_from(
        ["xl/worksheets/sheet1.xml", "xl/workbook.xml", "xl/styles.xml", "[Content_Types].xml",
         "xl/sharedStrings.xml", "xl/_rels/workbook.xml.rels", "docProps/core.xml"]
    ),
    at=st.floats(0, 1),
    content=st.binary(max_size=30),
    length=st.integers(0, 60),
)  # fmt: skip
def test_a_workbook_with_a_damaged_part_gives_rows_or_a_refusal(
    tmp_path_factory, part, at, content, length
):
    folder = tmp_path_factory.getbasetemp()
    whole = folder / "whole.xlsx"
    if not whole.exists():
        write_workbook(whole, [["a", "b"], ["x", datetime.date(2024, 1, 2)], [1, 2.5]], ["A2:A3"])
    with zipfile.ZipFile(whole) as old, zipfile.ZipFile(folder / "cut.xlsx", "w") as new:
        for name in old.namelist():
            text = old.read(name)
            if name == part:
                start = int(at * len(text))
                text = text[:start] + content + text[start + length :]
            new.writestr(name, text)
    assert outcome(folder / "cut.xlsx") in ("", "P14", "P19")
