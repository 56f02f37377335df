"""HL7 v2 ORU^R01 files: findings by a layout, and P21 with message and line for the rest."""

import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lnscore.errors import Refusal
from lnscore.pathology.checking import check
from lnscore.pathology.hl7 import read_hl7
from lnscore.pathology.layouts import Layout, read_layout
from lnscore.pathology.rows import CanonicalRow, SourceRow
from lnscore.tables.messages import Message

JES = Layout(station_system="JES11")
MSH = "MSH|^~\\&|LIS|HOSP|||20260210||ORU^R01^ORU_R01|1|P|2.5.1"
PID = "PID|1||K17^^^HOSP&1.2.3&ISO^MR||Doe^Jane||19500101|F"
OBR = "OBR|1||S26-77^LAB|PATH|||20260131083000|||||||||||||||20260203"


def obx(number: int, code: str, sub: str, value: str, kind: str = "NM", state: str = "F") -> str:
    return f"OBX|{number}|{kind}|{code}|{sub}|{value}||||||{state}"


MESSAGE = [
    MSH, PID, OBR,
    obx(1, "21894-1^Examined^LN", "106recR", "5"),
    obx(2, "21893-3^Positive^LN", "106recR", "2"),
    obx(3, "444025001^Examined^SCT", "107", "3"),
    obx(4, "443527007^Positive^SCT", "107", "0"),
]  # fmt: skip


def read(tmp_path: Path, content: bytes | list[str], layout: Layout | None = JES) -> list:
    path = tmp_path / "oru.hl7"
    path.write_bytes(content if isinstance(content, bytes) else "\r".join(content).encode())
    return list(read_hl7(path, layout))


def sentences(found: list) -> list[str]:
    return [one.sentence for one in found if isinstance(one, Message)]


def counts(found: list) -> list[tuple[str, str, str]]:
    rows = [one for one in found if isinstance(one, SourceRow)]
    return [
        tuple(row.values.get(n, "") for n in ("station", "n_examined", "n_positive"))
        for row in rows
    ]


def test_a_message_is_one_row_a_station_by_the_default_layout(tmp_path):
    first, second = read(tmp_path, MESSAGE)
    assert first.values == {
        "patient_key": "K17", "report_id": "S26-77", "report_date": "2026-02-03",
        "surgery_date": "2026-01-31", "station_system": "JES11", "station": "106recR",
        "n_examined": "5", "n_positive": "2",
    }  # fmt: skip
    assert (first.row, first.columns["n_positive"], first.column) == (4, "OBX-5", "")
    assert (second.row, second.values["station"], second.values["n_positive"]) == (6, "107", "0")


def test_the_rows_pass_the_checks_of_a_table(tmp_path):
    first, second = check(read(tmp_path, MESSAGE))
    assert isinstance(first, CanonicalRow)
    assert isinstance(second, CanonicalRow)
    assert [(row.stations[0].code, row.status) for row in (first, second)] == [
        ("106recR", "positive"),
        ("107", "negative"),
    ]


@pytest.mark.parametrize("end", ["\r", "\n", "\r\n"])
@pytest.mark.parametrize(("before", "after"), [("", ""), ("\x0b", "\x1c\r")])
def test_line_ends_and_framing_do_not_matter(tmp_path, end, before, after):
    one = before + end.join(MESSAGE) + end + after
    found = read(tmp_path, (one + one.replace("S26-77", "S26-78")).encode())
    assert counts(found) == [("106recR", "5", "2"), ("107", "3", "0")] * 2
    assert [row.values["report_id"] for row in found] == ["S26-77"] * 2 + ["S26-78"] * 2


def test_batch_headers_are_passed_over(tmp_path):
    batch = ["FHS|^~\\&", "BHS|^~\\&", *MESSAGE, "BTS|1", "FTS|1"]
    assert [row.row for row in read(tmp_path, batch)] == [6, 8]


@pytest.mark.parametrize(
    ("charset", "codec", "text"),
    [
        ("", "utf-8", "食道旁"),
        ("UNICODE UTF-8", "utf-8", "食道旁"),
        ("GB 18030-2000", "gb18030", "食道旁"),
        ("ISO IR87", "iso2022_jp", "食道旁"),
        ("8859/1", "latin-1", "Höhe"),
        ("8859/15~UNICODE UTF-8", "iso8859_15", "Höhe"),
    ],
)
def test_the_charset_of_msh_18_is_used(tmp_path, charset, codec, text):
    message = "\r".join([f"{MSH}||||||{charset}", PID, OBR, obx(1, "21894-1", text, "5")])
    assert counts(read(tmp_path, message.encode(codec))) == [(text, "5", "")]


def test_a_charset_that_the_bytes_are_not_in_is_p21(tmp_path):
    message = "\r".join([MSH, PID, OBR, obx(1, "21894-1", "Höhe", "5")])
    assert sentences(read(tmp_path, message.encode("latin-1")))[0] == (
        "P21: row 1: message 1: it is not in the charset of MSH-18 ('none, so ASCII or UTF-8')"
    )


def test_escapes_and_own_separators_are_undone(tmp_path):
    own = [
        "MSH#*~!@#LIS#HOSP###20260210##ORU*R01#1#P#2.5.1", "PID#1##K17***HOSP*MR", "OBR#1##S-1*LAB",
        "OBX#1#NM#21894-1*x*LN#A!S!B#5######F",
    ]  # fmt: skip
    assert counts(read(tmp_path, own)) == [("A*B", "5", "")]


def test_a_structured_numeric_is_its_number_and_a_comparator_stays(tmp_path):
    message = [MSH, PID, OBR]
    message += [obx(i, "21894-1", f"10{i}", text, "SN") for i, text in ((1, "=^3"), (2, ">^3"))]
    assert counts(read(tmp_path, message)) == [("101", "3", ""), ("102", ">3", "")]


def test_the_station_may_be_an_observation_of_its_own(tmp_path):
    layout = Layout(
        station="OBX-5", stations=("ST",), examined=("EX",), positive=("POS",),
        station_system_at="OBX-5.3",
    )  # fmt: skip
    message = [
        MSH, PID, OBR,
        obx(1, "ST^Station^99H", "1", "106recR^right^JES11", "CWE"),
        obx(2, "EX", "1", "4"), obx(3, "POS", "1", "1"),
        obx(4, "ST^Station^99H", "2", "107^^JES11", "CWE"), obx(5, "EX", "2", "2"),
    ]  # fmt: skip
    found = read(tmp_path, message, layout)
    assert counts(found) == [("106recR", "4", "1"), ("107", "2", "")]
    assert {row.values["station_system"] for row in found} == {"JES11"}


def test_the_station_may_be_the_identifier_s_text(tmp_path):
    layout = Layout(station="OBX-3.2", examined=("EX",), positive=("POS",))
    message = [MSH, PID, OBR, obx(1, "EX^4R", "", "4"), obx(2, "POS^4R", "", "0")]
    assert counts(read(tmp_path, message, layout)) == [("4R", "4", "0")]


def test_a_status_code_becomes_the_layout_s_word(tmp_path):
    layout = Layout(status=("LNS",), words={"260385009": "negative", "keine": "not_sampled"})
    message = [
        MSH, PID, OBR,
        obx(1, "LNS", "7", "260385009^Negative^SCT", "CWE"), obx(2, "LNS", "8", "keine", "ST"),
        obx(3, "LNS", "9", "X^odd", "CWE"),
    ]  # fmt: skip
    found = read(tmp_path, message, layout)
    assert [row.values["status"] for row in found] == ["negative", "not_sampled", "odd"]


@pytest.mark.parametrize(
    "layout", [Layout(assigning_authority="HOSP"), Layout(identifier_type="MR")]
)
def test_of_several_ids_the_layout_names_one(tmp_path, layout):
    pid = "PID|1||99^^^STATE^NI~K17^^^HOSP&1.2.3&ISO^MR"
    message = [MSH, pid, *MESSAGE[2:]]
    assert {row.values["patient_key"] for row in read(tmp_path, message, layout)} == {"K17"}
    found = read(tmp_path, message, JES)
    assert sentences(found)[0] == (
        "P21: row 2: message 1: 2 ids in PID-3 ('STATE', 'HOSP&1.2.3&ISO'); wanted one, by "
        "assigning_authority or identifier_type of the layout"
    ).replace("&1.2.3&ISO", "")


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ([MSH.replace("ORU^R01", "ADT^A01"), PID],
         "row 1: message 1: MSH-9 is 'ADT^A01'; wanted ORU^R01"),
        ([MSH], "row 1: message 1: no PID segment"),
        ([MSH, PID], "row 1: message 1: no OBR segment"),
        ([MSH, OBR], "row 2: message 1: OBR without a PID before it"),
        ([MSH, PID, MESSAGE[3]], "row 3: message 1: OBX without an OBR before it"),
        ([MSH, PID, OBR, "broken"], "row 4: message 1: the line is no segment such as OBX|1|"),
        ([MSH[:-5] + "9.9", PID], "row 2: message 1: UnsupportedVersion in PID"),
        (["MSH"], "row 1: message 1: MSH does not state its separators, as |^~\\&"),
        ([MSH + "||||||EBCDIC", PID], "row 1: message 1: MSH-18 names the charset 'EBCDIC'"),
        ([*MESSAGE, obx(5, "21894-1", "106recR", "6")],
         "row 8: message 1: n_examined '6' after '5' for the same station"),
        (["hello"], "no HL7 message: no line begins with MSH"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_p21_with_message_and_line(tmp_path, message, said):
    assert sentences(read(tmp_path, message))[0] == f"P21: {said}"


def test_the_second_message_s_number_and_line_are_told(tmp_path):
    found = read(tmp_path, [*MESSAGE, MSH, OBR])
    assert sentences(found) == ["P21: row 9: message 2: OBR without a PID before it"]
    assert len(counts(found)) == 2


def test_a_result_that_is_not_final_is_left_out_and_told(tmp_path):
    found = read(tmp_path, [*MESSAGE, obx(5, "21894-1", "108", "3", state="P")])
    assert counts(found) == [("106recR", "5", "2"), ("107", "3", "0")]
    assert sentences(found) == [
        "P21: row 8, column OBX-11: message 1: OBX-11 is 'P', not final: left out"
    ]


def test_identifiers_that_the_layout_does_not_name_are_listed(tmp_path):
    found = read(tmp_path, [*MESSAGE, obx(5, "33746-9^Findings^LN", "1", "text", "TX")])
    assert sentences(found) == [
        "P17: column OBX-3: OBX-3 identifiers not in the layout: '33746-9' (1)"
    ]


def test_a_file_without_a_finding_is_an_error(tmp_path):
    found = read(tmp_path, [MSH, PID, OBR, obx(1, "33746-9", "1", "text", "TX")])
    assert sentences(found)[-1] == "P21: no finding: no OBX has an identifier of the layout"


def test_an_enclosed_document_is_not_parsed(tmp_path):
    message = [*MESSAGE, f"OBX|9|ED|PDF||^^^Base64^{'A' * 2_000_000}||||||F"]
    assert len(read(tmp_path, message)) == 2


def test_no_message_names_a_patient(tmp_path):
    damaged = [MSH, PID, OBR, obx(1, "21894-1", "7", "1"), obx(2, "21894-1", "7", "2")]
    for one in sentences(read(tmp_path, damaged)):
        assert "K17" not in one
        assert "Doe" not in one


def test_a_layout_is_read_from_yaml(tmp_path):
    path = tmp_path / "layout.yaml"
    path.write_text("station: OBX-5\nstations: [444]\nwords: {10828004: positive}\n")
    layout = read_layout(path)
    assert (layout.station, layout.stations) == ("OBX-5", ("444",))
    assert layout.words == {"10828004": "positive"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("stazion: OBX-4", "layout.yaml: stazion: Extra inputs are not permitted"),
        ("station: OBX-6", "layout.yaml: station: Value error, 'OBX-6' is none of OBX-4, OBX-5"),
        ("patient: NK1-3", "layout.yaml: patient: Value error, 'NK1-3' is no place such as"),
        ("a: [", "layout.yaml: ParserError"),
        ("- 1", "layout.yaml: the file: Input should be a valid dictionary"),
        ("\x00", "layout.yaml: ReaderError"),
    ],
)
def test_a_layout_that_is_none_is_p18(tmp_path, text, said):
    path = tmp_path / "layout.yaml"
    path.write_text(text)
    with pytest.raises(Refusal) as error:
        read_layout(path)
    assert str(error.value).startswith(f"P18: layout {said}")


def test_a_missing_library_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "hl7apy", None)
    with pytest.raises(
        Refusal, match=r"P21: .* hl7apy, which is not installed.*lnscore\[records\]"
    ):
        read(tmp_path, MESSAGE)


TEXT = st.text(st.characters(max_codepoint=0x2FFF, exclude_categories=["Cs"]), max_size=12)
LINE = st.one_of(
    st.sampled_from(MESSAGE),
    st.builds(lambda name, parts: "|".join([name, *parts]),
              st.sampled_from(["MSH", "PID", "OBR", "OBX", "NTE", "ZZZ"]),
              st.lists(TEXT, max_size=14)),
    st.builds(lambda text: f"{MSH}|{text}", TEXT),
    st.builds(lambda a, b, c: obx(1, a, b, c), TEXT, TEXT, TEXT),
)  # fmt: skip


@settings(deadline=None)
@given(st.binary(max_size=400))
def test_no_bytes_raise(tmp_path_factory, content):
    for start in (b"", "\r".join(MESSAGE).encode() + b"\r", b"MSH"):
        found = read(tmp_path_factory.getbasetemp(), start + content)
        assert all(isinstance(one, SourceRow | Message) for one in found)


@settings(deadline=None)
@given(st.lists(LINE, max_size=8), st.integers(0, 400), st.binary(max_size=3))
def test_no_mangled_message_raises(tmp_path_factory, lines, place, put):
    content = "\r".join([MSH, *lines]).encode()
    content = content[:place] + put + content[place + len(put) :]
    found = read(tmp_path_factory.getbasetemp(), content)
    assert all(isinstance(one, SourceRow | Message) for one in found)


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(["105", "106recR", "107", "4R"]), st.integers(0, 99)),
        unique_by=lambda one: one[0],
        min_size=1,
    )
)
def test_what_is_written_reads_back(tmp_path_factory, stations):
    message = [MSH, PID, OBR]
    message += [obx(i, "21894-1^x^LN", code, str(n)) for i, (code, n) in enumerate(stations, 1)]
    found = read(tmp_path_factory.getbasetemp(), message)
    assert counts(found) == [(code, str(n), "") for code, n in stations]
