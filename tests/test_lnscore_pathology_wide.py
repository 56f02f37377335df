"""Any table written from known findings, in any shape, gives these findings again."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fake_tables import HEADINGS, MAPPING, Fact, wide_rows, write_text, write_workbook
from lnscore.pathology.checking import check
from lnscore.pathology.mapping import parse_mapping
from lnscore.pathology.rows import CanonicalRow, SourceRow
from lnscore.pathology.wide import source_rows
from lnscore.tables.messages import Message
from lnscore.tables.sheets import read_sheet

STATIONS = ("106recR", "106recL", "107", "108", "105+108+110")
NOTES = {
    "utf-8": "右喉返神经旁 é", "utf-8-sig": "右喉返神经旁", "utf-16": "反回神経",
    "utf-16-le": "gauche é", "utf-16-be": "右喉返神经旁", "gb18030": "右喉返神经旁淋巴结",
    "shift_jis": "右反回神経周囲リンパ節", "latin-1": "prélevé à côté", "iso2022_jp": "反回神経",
}  # fmt: skip

facts = st.lists(
    st.builds(
        lambda patient, report, station, examined, positive: Fact(
            f"P{patient}", f"R{patient}-{report}", station, examined, min(positive, examined)
        ),
        st.integers(1, 9),
        st.integers(1, 3),
        st.sampled_from(STATIONS),
        st.integers(1, 30),
        st.integers(0, 30),
    ),
    min_size=1,
    max_size=20,
    unique_by=lambda fact: (fact.patient, fact.report, fact.station),
)
quick = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def findings(path: Path, mapping: str | None = None) -> list[CanonicalRow | Message]:
    read = parse_mapping(mapping) if mapping else None
    sheet = read_sheet(path, header_rows=read.header_rows if read else None)
    return list(check(source_rows(sheet, read)))


def facts_of(rows: Sequence[CanonicalRow | Message]) -> set[Fact]:
    assert [one.sentence for one in rows if isinstance(one, Message) and one.severity == "E"] == []
    return {
        Fact(
            one.patient_id,
            one.report_id,
            "+".join(key.code for key in one.stations),
            one.n_examined or 0,
            one.n_positive or 0,
        )
        for one in rows
        if isinstance(one, CanonicalRow)
    }


def test_a_long_table_in_any_text_form_reads_back(tmp_path_factory):
    path = tmp_path_factory.mktemp("long") / "t.csv"

    @quick
    @given(
        facts=facts,
        encoding=st.sampled_from(sorted(NOTES)),
        delimiter=st.sampled_from([",", ";", "\t", "|"]),
        newline=st.sampled_from(["\n", "\r\n", "\r"]),
    )
    def reads_back(facts, encoding, delimiter, newline):
        rows = [(*HEADINGS, "note"), *((*fact.canonical, NOTES[encoding]) for fact in facts)]
        write_text(path, rows, encoding, delimiter, newline)
        assert facts_of(findings(path)) == set(facts)

    reads_back()


def test_a_long_workbook_with_merged_ids_reads_back(tmp_path_factory):
    path = tmp_path_factory.mktemp("book") / "t.xlsx"

    @quick
    @given(facts=facts)
    def reads_back(facts):
        facts = sorted(facts, key=lambda fact: (fact.patient, fact.report))
        rows: list[list] = [list(HEADINGS)]
        merged, start = [], 2
        for row, fact in enumerate(facts, start=2):
            cells: list = list(fact.canonical)
            cells[6:8] = [fact.examined, float(fact.positive)]
            if row > 2 and fact.patient == facts[row - 3].patient:
                cells[0] = None
            else:
                merged += [f"A{start}:A{row - 1}"] if row - start > 1 else []
                start = row
            rows.append(cells)
        merged += [f"A{start}:A{len(facts) + 1}"] if len(facts) + 2 - start > 1 else []
        write_workbook(path, rows, merged)
        assert facts_of(findings(path)) == set(facts)

    reads_back()


def pair_entries(headings: dict[str, tuple[str, ...]]) -> str:
    return "pairs:\n" + "".join(
        f'  - {{station: {station}, total: "{total}", positive: "{positive}"}}\n'
        for station, (positive, total) in headings.items()
    )


@pytest.mark.parametrize(
    "headings",
    [
        {one: (f"pos_{one}", f"total_{one}") for one in STATIONS},
        {
            one: (f"pos\n{one.replace('+', '/')}", f"total\n{one.replace('+', '_')}")
            for one in STATIONS
        },
    ],
    ids=["pos_X, total_X", "line breaks in headings"],
)
@pytest.mark.parametrize("book", [False, True], ids=["text", "workbook"])
def test_pairs_of_columns_read_back(tmp_path_factory, headings, book):
    path = tmp_path_factory.mktemp("pairs") / "t"
    mapping = MAPPING + pair_entries(headings).replace("\n1", " 1")
    mapping = mapping.replace("pos\n", "pos ").replace("total\n", "total ")

    @quick
    @given(facts=facts)
    def reads_back(facts):
        rows = wide_rows(facts, headings, lambda fact: [str(fact.positive), str(fact.examined)])
        write_workbook(path, rows) if book else write_text(path, rows, delimiter=";")
        assert facts_of(findings(path, mapping)) == set(facts)

    reads_back()


def test_tot_and_plus_below_stations_below_sides_read_back(tmp_path_factory):
    path = tmp_path_factory.mktemp("sides") / "t.csv"
    sides = {"106recR": ("Right", "106rec"), "106recL": ("Left", "106rec"), "107": ("Left", "107")}
    entries = "".join(
        f'  - {{station: "{name}", side: {side}, total: "{side} | {name} | tot", '
        f'positive: "{side} | {name} | +"}}\n'
        for side, name in sides.values()
    )
    mapping = MAPPING.replace(
        "zero_means", "header_rows: 3\nsides: {Right: R, Left: L}\nzero_means"
    )
    mapping += "pairs:\n" + entries

    @quick
    @given(facts=facts)
    def reads_back(facts):
        facts = [fact for fact in facts if fact.station in sides]
        rows = wide_rows(
            facts,
            dict.fromkeys(sides, ("tot", "+")),
            lambda fact: [str(fact.examined), str(fact.positive)],
        )
        tops = [["", "", ""], ["", "", ""]]
        for side, name in sides.values():
            tops[0] += ["" if side in tops[0] else side, ""]
            tops[1] += [name, ""]
        write_text(path, [*tops, *rows])
        assert facts_of(findings(path, mapping)) == set(facts)

    reads_back()


def test_one_column_of_fractions_a_station_reads_back(tmp_path_factory):
    path = tmp_path_factory.mktemp("counts") / "t.csv"
    headings = {one: (one.replace("+", "/"),) for one in STATIONS}
    mapping = MAPPING + "counts:\n" + "".join(
        f'  - {{column: "{name}", station: {station}, holds: positive/total}}\n'
        for station, (name,) in headings.items()
    )  # fmt: skip

    @quick
    @given(facts=facts)
    def reads_back(facts):
        rows = wide_rows(facts, headings, lambda fact: [f"{fact.positive}/{fact.examined}"])
        write_text(path, rows, delimiter="\t")
        assert facts_of(findings(path, mapping)) == set(facts)

    reads_back()


def test_any_table_gives_rows_or_messages(tmp_path_factory):
    path = tmp_path_factory.mktemp("any") / "t.csv"
    mapping = MAPPING + (
        "rows: [{column: Patient, filled: true}]\ntumour_side: {column: Side, right: R, left: L}\n"
        'pairs: [{station: "106rec-R", total: t, positive: p}]\n'
        "long: {station: {column: S}, side: {column: Side}, joined_by: /}\n"
    )
    cell = st.one_of(
        st.sampled_from(["", "0", "1/2", "106recR", "2024-01-02", "R"]), st.text(max_size=9)
    )

    @settings(max_examples=200, deadline=None)
    @given(rows=st.lists(st.lists(cell, max_size=10), max_size=6))
    def gives_rows_or_messages(rows):
        write_text(path, [["Patient", "Report", "Date", "Side", "t", "p", "S"], *rows], "utf-8-sig")
        for one in findings(path, mapping):
            assert isinstance(one, CanonicalRow | Message)

    gives_rows_or_messages()


def said(rows: list, mapping: str | None, tmp_path: Path, **book) -> list[str]:
    path = tmp_path / "t"
    write_workbook(path, rows, **book) if book else write_text(path, rows)
    read = parse_mapping(mapping) if mapping else None
    found = check(source_rows(read_sheet(path, header_rows=1), read))
    return [one.sentence for one in found if isinstance(one, Message)]


def values(rows: list, mapping: str, tmp_path: Path) -> list[dict[str, str]]:
    sheet = read_sheet(write_text(tmp_path / "t", rows), header_rows=1)
    found = list(source_rows(sheet, parse_mapping(mapping)))
    return [dict(one.values) for one in found if isinstance(one, SourceRow)]


def test_headings_that_are_not_canonical_are_refused_with_advice(tmp_path):
    assert said([["Patient", "4R"], ["a", "1"]], None, tmp_path) == [
        "P15: no column patient_key, report_id, report_date, station; write a mapping file: "
        "`lnscore pathology draft FILE` proposes one",
        "P17: 2 columns are not mapped: 'Patient', '4R'",
    ]


def test_case_and_blanks_of_canonical_headings_do_not_matter(tmp_path):
    rows = [["Patient key", "REPORT_ID", "Report Date", "Station-System", "station", "n examined"],
            ["a", "r", "2024-03-01", "JES11", "107", "3"]]  # fmt: skip
    assert said(rows, None, tmp_path) == [
        "P25: row 2, column n examined: 3 examined, positive not given: stored as indeterminate"
    ] or not [one for one in said(rows, None, tmp_path) if ": E" in one]


def test_a_mapped_column_that_is_not_there_is_told_with_near_headings(tmp_path):
    rows = [["Patient", "Report", "Date", "pos 4R"], ["a", "r", "01/03/2024", "1"]]
    mapping = MAPPING + "counts: [{column: pos_4R, station: 4R, holds: positive}]"
    assert said(rows, mapping, tmp_path) == [
        "P15: column 'pos_4R' is not in the table; did you mean 'pos 4R'?",
        "P17: 1 column is not mapped: 'pos 4R'",
    ]


def test_columns_that_nothing_uses_are_listed_and_ignored_ones_are_not(tmp_path):
    rows = [
        ["Patient", "Report", "Date", "107", "Age", "Sex"],
        ["a", "r", "01/03/2024", "1/2", "60", "f"],
    ]
    mapping = (
        MAPPING + "counts: [{column: 107, station: 107, holds: positive/total}]\nignored: sex\n"
    )
    assert "P17: 1 column is not mapped: 'Age'" in said(rows, mapping, tmp_path)


BASE = ["Patient", "Report", "Date"]
ROW = ["a", "r", "01/03/2024"]


@pytest.mark.parametrize(
    ("means", "wanted"),
    [
        ("zero", {"n_examined": "0", "n_positive": "0"}),
        ("not_sampled", {"n_examined": "", "n_positive": "", "status": "not_sampled"}),
    ],
)
def test_a_zero_is_what_the_mapping_says(tmp_path, means, wanted):
    mapping = MAPPING.replace("zero_means: zero", f"zero_means: {means}")
    mapping += "pairs: [{station: 107, total: t, positive: p}]\n"
    (found,) = values([[*BASE, "t", "p"], [*ROW, "0", "0"]], mapping, tmp_path)
    assert {name: found.get(name) for name in wanted} == wanted


def test_a_zero_is_refused_once_a_column_where_the_mapping_says_so(tmp_path):
    mapping = MAPPING.replace("zero_means: zero", "zero_means: refuse")
    mapping += "pairs: [{station: 107, total: t, positive: p}]\n"
    rows = [[*BASE, "t", "p"], [*ROW, "0", "0"], ["b", "s", "01/03/2024", "0", "0"]]
    assert said(rows, mapping, tmp_path) == [
        "P18: row 2, column p | t: 0 may mean no node or not sampled: "
        "the mapping has zero_means: refuse"
    ]


@pytest.mark.parametrize("spelling", ["0", "００", "0.00", "00", "n=0", "0/0"])
def test_every_spelling_of_zero_is_one(tmp_path, spelling):
    mapping = MAPPING.replace("zero_means: zero", "zero_means: refuse")
    mapping += "pairs: [{station: 107, total: t, positive: p}]\n"
    (told,) = said([[*BASE, "t", "p"], [*ROW, spelling, spelling]], mapping, tmp_path)
    assert told.startswith("P18: row 2")


def test_a_zero_of_positive_nodes_alone_is_negative(tmp_path):
    mapping = MAPPING + "counts: [{column: p, station: 107, holds: positive}]\n"
    (found,) = values([[*BASE, "p"], [*ROW, "0"]], mapping, tmp_path)
    assert (found["n_positive"], found["status"]) == ("0", "negative")


def test_marks_mean_what_the_mapping_says_and_unknown_ones_are_told(tmp_path):
    mapping = (
        MAPPING + "codes: [{column: RRLN, station: 106recR, values: {1: positive, 0: skip}}]\n"
    )
    rows = [
        [*BASE, "RRLN"],
        [*ROW, "1"],
        ["b", "s", "01/03/2024", "0"],
        ["c", "u", "01/03/2024", "2"],
    ]
    assert [one["status"] for one in values(rows, mapping, tmp_path)] == ["positive", "2"]
    assert said(rows, mapping, tmp_path)[0] == (
        "P22: row 4, column RRLN: status '2' not known; wanted positive, negative, not_sampled or "
        "indeterminate"
    )


def test_the_side_of_the_tumour_turns_ipsi_and_contra_into_right_and_left(tmp_path):
    mapping = MAPPING.replace("JES11", "NECK") + (
        "tumour_side: {column: Side, right: [R, droite], left: [L]}\n"
        "sides: {Homolateral: ipsi, Heterolateral: contra}\n"
        "pairs:\n  - {station: II, side: Homolateral, total: t, positive: p}\n"
        "  - {station: III, side: Heterolateral, total: u, positive: q}\n"
    )
    rows = [[*BASE, "Side", "t", "p", "u", "q"], [*ROW, "L", "3", "1", "2", "0"],
            ["b", "s", "01/03/2024", "", "3", "1", "", ""]]  # fmt: skip
    assert [one["station"] for one in values(rows, mapping, tmp_path)] == [
        "II-L",
        "III-R",
        "II-ipsi",
    ]
    rows[1][3] = "both"
    assert said(rows, mapping, tmp_path)[0] == (
        "P18: row 2, column p: the side 'both' is not explained in the mapping"
    )


def test_a_column_of_sides_and_aliases_make_codes_of_a_long_table(tmp_path):
    mapping = MAPPING + (
        "aliases: {RC1: 106rec, G1: 105+108}\n"
        "sides: {rechts: R, links: L}\n"
        "long:\n  station: {column: S}\n  side: {column: Side}\n  joined_by: /\n"
        "  n_examined: {column: n}\n"
    )
    rows = [[*BASE, "S", "Side", "n"], [*ROW, "RC1", "links", "3"], [*ROW, "g1", "", "3"],
            [*ROW, "107/109", "R", "3"]]  # fmt: skip
    assert [one["station"] for one in values(rows, mapping, tmp_path)] == [
        "106recL", "105+108", "107+109R"
    ]  # fmt: skip


def test_rows_that_fail_a_condition_are_left_out(tmp_path):
    mapping = MAPPING + (
        "rows:\n  - {column: use, is: ['', n]}\n  - {column: t, filled: true}\n"
        "  - {column: why, is_not: OUT}\n"
        "pairs: [{station: 107, total: t, positive: p}]\n"
    )
    rows = [[*BASE, "use", "why", "t", "p"]]
    for name, cells in {
        "a": ("", "", "3"),
        "b": ("y", "", "3"),
        "c": ("N", "out", "3"),
        "d": ("n", "", ""),
    }.items():
        rows.append([name, name, "01/03/2024", *cells, "1"])
    assert [one["patient_key"] for one in values(rows, mapping, tmp_path)] == ["a"]


def test_a_finding_is_left_out_with_the_reason_that_the_mapping_gives(tmp_path):
    mapping = MAPPING + (
        "left_out: [{row: 2, column: p, because: 7 positive of 6}]\n"
        "pairs: [{station: 107, total: t, positive: p}]\n"
    )
    assert said([[*BASE, "t", "p"], [*ROW, "6", "7"]], mapping, tmp_path) == [
        "P27: row 2, column p: left out, as the mapping says: 7 positive of 6"
    ]


def test_half_an_id_is_none(tmp_path):
    mapping = MAPPING.replace("{column: Report}", '{template: "{Report}/{Year} row {row}"}')
    mapping += "counts: [{column: p, station: 107, holds: positive}]\n"
    rows = [[*BASE, "Year", "p"], [*ROW, "2024", "1"], [*ROW, "", "1"]]
    assert [one["report_id"] for one in values(rows, mapping, tmp_path)] == ["r/2024 row 2", ""]


def test_a_date_that_is_not_written_as_stated_is_told_and_never_turned_round(tmp_path):
    mapping = MAPPING.replace("day/month/year", "month/day/year")
    mapping += "counts: [{column: p, station: 107, holds: positive}]\n"
    assert said([[*BASE, "p"], ["a", "r", "13/04/2020", "1"]], mapping, tmp_path)[0] == (
        "P16: row 2, column Date: report_date '13/04/2020' is not a date written as month/day/year"
    )


def test_a_station_that_excel_turned_into_a_date_is_told(tmp_path):
    import datetime

    row = ["a", "r", "2024-03-01", "", "AJCC8", datetime.date(2024, 1, 2), 3, 1, "", "", ""]
    (message,) = said([list(HEADINGS), row], None, tmp_path, merged=())
    assert message.startswith("P02: row 2, column station: station '2024-01-02' not in AJCC8; ")
    assert "turned '1-2' into a date" in message


def test_a_count_that_is_merged_over_several_findings_is_refused(tmp_path):
    rows = [list(HEADINGS), ["a", "r", "2024-03-01", "", "JES11", "107", 3, 1, "", "", ""],
            ["a", "r", "2024-03-01", "", "JES11", "108", None, 0, "", "", ""]]  # fmt: skip
    assert said(rows, None, tmp_path, merged=["G2:G3"]) == [
        "P14: row 3, column n_examined: the cell is merged with its neighbour, one number for "
        "several findings; join their stations with + in one row, or split the number"
    ]


def test_a_row_with_more_cells_than_headings_is_told(tmp_path):
    mapping = MAPPING + "counts: [{column: p, station: 107, holds: positive/total}]\n"
    assert said([[*BASE, "p"], [*ROW, "1/2", "x"]], mapping, tmp_path)[-1] == (
        "P14: row 2, column E: a cell beyond the last heading: 5 cells, 4 headings"
    )


def test_the_id_column_of_the_command_line_replaces_that_of_the_mapping(tmp_path):
    mapping = parse_mapping(MAPPING + "counts: [{column: p, station: 107, holds: positive}]\n")
    sheet = read_sheet(
        write_text(tmp_path / "t", [[*BASE, "p", "Key"], [*ROW, "1", "k"]]), header_rows=1
    )
    found = [
        one for one in source_rows(sheet, mapping, id_column="key") if isinstance(one, SourceRow)
    ]
    assert [one.values["patient_key"] for one in found] == ["k"]


def test_the_columns_of_a_finding_are_kept_where_a_line_has_several(tmp_path):
    mapping = parse_mapping(MAPPING + "pairs: [{station: 107, total: t, positive: p}]\n")
    sheet = read_sheet(
        write_text(tmp_path / "t", [[*BASE, "t", "p"], [*ROW, "3", "1"]]), header_rows=1
    )
    (found,) = source_rows(sheet, mapping)
    assert (found.row, found.column) == (2, "p | t")
