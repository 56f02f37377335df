"""The report's pathology: stations beside nodes, the way to the patient, what does not fit."""

import csv
import json
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import jsonschema
import pytest
from sqlalchemy import Engine as SqlEngine
from sqlalchemy import event

import lnscore
from db.pathology import FindingRecord
from db.records import StationKey
from fake_report import (
    AJCC_4R,
    AJCC_7,
    Engine,
    Hospital,
    Node,
    ajcc,
    typical_findings,
    typical_nodes,
    uid,
)
from lnscore.report import job as report_job
from lnscore.report import study as study_pages
from lnscore.report.pathology import pn_like
from lnscore.short_names import folder_name

A = Engine()
DEMO = Engine("demo", trained=False, calibrated=False, points=(("p50", 0.5),))
SCRIPT = "<script>alert(1)</script>"
FORMULA = '=HYPERLINK("http://planted.test","x")'


@pytest.fixture
def hospital(tmp_path: Path) -> Iterator[Hospital]:
    made = Hospital(tmp_path)
    yield made
    made.db.close()


@pytest.fixture
def typical(hospital: Hospital) -> Hospital:
    """One study with scores and a report about some of its stations."""
    hospital.add_study("a", typical_nodes(), A)
    hospital.add_report("a", *typical_findings())
    return hospital


def report(hospital: Hospital):
    return report_job.run(hospital.settings, hospital.root / "out")


def folder(hospital: Hospital, name: str = "a") -> Path:
    return study_pages.folder(hospital.root / "out", folder_name(uid("study", name)))


def pathology(hospital: Hospital, name: str = "a") -> dict:
    report(hospital)
    return json.loads((folder(hospital, name) / "study.json").read_text())["pathology"]


def station(hospital: Hospital, code: str) -> dict:
    found = pathology(hospital)["stations"]
    return next(one for one in found if one["station"]["code"] == code)


def table(hospital: Hospital) -> list[dict[str, str]]:
    report(hospital)
    place = hospital.root / "out" / "stations.csv"
    with place.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


class Page(HTMLParser):
    """Text with one blank for any space, and the tags."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.words: list[str] = []
        self.feed(html)
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)

    def handle_data(self, data):
        self.words.append(data)


def page(hospital: Hospital, name: str = "a") -> Page:
    report(hospital)
    return Page((folder(hospital, name) / "index.html").read_text(encoding="utf-8"))


# --- stations ---


def test_a_station_names_its_finding_its_nodes_and_who_agrees(typical: Hospital) -> None:
    found = station(typical, "7")
    assert (found["verdict"]["status"], found["verdict"]["rule"]) == ("benign", "negative")
    assert [one["n_examined"] for one in found["findings"]] == [9]
    assert found["nodes"] == [2, 3]
    assert found["highest"] == 0.644
    assert found["calls"] == {"screening": True, "surgery": False}
    assert found["agrees"] == {"screening": False, "surgery": True}


def test_a_weak_station_is_not_compared_with_an_engine(typical: Hospital) -> None:
    found = station(typical, "8M")
    assert (found["verdict"]["rule"], found["verdict"]["weak"]) == ("merged_positive", True)
    assert [key["code"] for key in found["findings"][0]["stations"]] == ["8M", "8U"]
    assert found["agrees"] == {}


def test_a_node_that_may_lie_elsewhere_neither_agrees_nor_differs(hospital: Hospital) -> None:
    both = (AJCC_7, AJCC_4R)
    nodes = [Node(0.9, "x", AJCC_7, candidates=both), Node(0.8, "y", candidates=both)]
    hospital.add_study("a", nodes, A)
    negative = FindingRecord(
        stations=(AJCC_7,), status="negative", source_row=1, n_examined=3, n_positive=0
    )
    hospital.add_report(
        "a",
        negative,
        FindingRecord(
            stations=(AJCC_4R,), status="positive", source_row=2, n_examined=3, n_positive=1
        ),
    )
    found = station(hospital, "7")
    assert (found["verdict"]["status"], found["nodes"]) == ("benign", [1, 2])
    assert (found["calls"], found["agrees"]) == ({"screening": True, "surgery": True}, {})
    assert {one["compared_stations"] for one in pathology(hospital)["roll_up"]["at"]} == {0}


def test_only_nodes_with_the_stations_verdict_are_compared(hospital: Hospital) -> None:
    both = (AJCC_7, AJCC_4R)
    nodes = [Node(0.9, "x", AJCC_7, candidates=both), Node(0.2, "y", AJCC_7)]
    hospital.add_study("a", nodes, A)
    negative = FindingRecord(
        stations=(AJCC_7,), status="negative", source_row=1, n_examined=3, n_positive=0
    )
    hospital.add_report(
        "a",
        negative,
        FindingRecord(
            stations=(AJCC_4R,), status="positive", source_row=2, n_examined=3, n_positive=1
        ),
    )
    assert station(hospital, "7")["agrees"] == {"screening": True, "surgery": True}


@pytest.mark.parametrize(
    "left_out",
    [{"surgery_date": "2027-02-20"}, {"surgery_date": "2026-11-01"}, {"neoadjuvant": "chemo"}],
)
def test_nodes_that_training_leaves_out_are_not_compared(
    hospital: Hospital, left_out: dict[str, str]
) -> None:
    hospital.add_study("a", [Node(0.9, "x", AJCC_7)], A)
    hospital.add_report(
        "a",
        FindingRecord(
            stations=(AJCC_7,), status="negative", source_row=1, n_examined=3, n_positive=0
        ),
        **left_out,
    )
    found = station(hospital, "7")
    assert (found["verdict"]["status"], found["agrees"]) == ("benign", {})
    assert found["calls"] == {"screening": True, "surgery": True}


def test_a_station_that_no_report_names_is_shown_as_unknown(hospital: Hospital) -> None:
    hospital.add_study("a", [Node(0.5, "x", AJCC_4R)], A)
    hospital.add_report(
        "a",
        FindingRecord(
            stations=(AJCC_7,), status="negative", source_row=1, n_examined=3, n_positive=0
        ),
    )
    assert station(hospital, "4R")["verdict"]["rule"] == "absent"
    assert "AJCC8:4R not in the report: unknown" in page(hospital).text


def test_every_node_has_its_status(typical: Hospital) -> None:
    report(typical)
    nodes = json.loads((folder(typical) / "study.json").read_text())["nodes"]
    assert [node["pathology"]["status"] for node in nodes] == [
        "malignant",
        "benign",
        "benign",
        "malignant",
        "unknown",
    ]


def test_the_table_has_a_row_for_every_station(typical: Hospital) -> None:
    rows = {row["station_code"]: row for row in table(typical)}
    assert list(rows) == ["4R", "7", "8M", "8U", "9L", "17", "20"]
    seven = rows["7"]
    assert (seven["status"], seven["finding"], seven["n_positive"]) == ("benign", "negative", "0")
    assert (seven["nodes"], seven["highest_probability"]) == ("2 3", "0.644")
    assert seven["agrees"] == "screening=0 surgery=1"
    assert rows["8U"]["sent_together"] == "AJCC8:8M+AJCC8:8U"


def test_the_json_fits_the_published_schema(typical: Hospital) -> None:
    report(typical)
    schema = Path(lnscore.__file__).parent / "data" / "study.schema.json"
    value = json.loads((folder(typical) / "study.json").read_text())
    jsonschema.Draft202012Validator(json.loads(schema.read_text())).validate(value)


def test_without_pathology_there_is_no_section_and_no_row(hospital: Hospital) -> None:
    hospital.add_study("a", typical_nodes(), A)
    assert table(hospital) == []
    assert pathology(hospital) is None
    assert "Pathology" not in page(hospital).text


def test_a_patients_pathology_is_on_no_other_patients_page(typical: Hospital) -> None:
    typical.add_study("b", typical_nodes(), A)
    assert pathology(typical, "b") is None


# --- from nodes to the patient ---


@pytest.mark.parametrize(
    ("count", "category"),
    [(0, "N0"), (1, "N1"), (2, "N1"), (3, "N2"), (6, "N2"), (7, "N3"), (40, "N3")],
)
def test_the_category_follows_the_number_of_positive_nodes(count: int, category: str) -> None:
    assert pn_like(count) == category


def test_the_roll_up_counts_each_finding_once(typical: Hospital) -> None:
    found = pathology(typical)["roll_up"]
    assert (found["n_positive"], found["n_examined"], found["pn_like"]) == (6, 26, "N2")
    assert (found["positive_stations"], found["merged_positive"]) == (2, 1)
    assert found["negative_stations"] == 1
    expected = sum(node.probability**1.3 for node in typical_nodes())
    assert found["expected_positive"] == pytest.approx(expected)
    assert found["at"] == [
        {
            "name": "screening",
            "positive_nodes": 3,
            "positive_stations": 2,
            "agreeing_stations": 1,
            "compared_stations": 2,
        },
        {
            "name": "surgery",
            "positive_nodes": 1,
            "positive_stations": 1,
            "agreeing_stations": 2,
            "compared_stations": 2,
        },
    ]


def test_what_was_examined_is_every_specimen_of_the_report_that_decided(
    hospital: Hospital,
) -> None:
    hospital.add_study("a", [Node(0.5, "x", AJCC_7)], A)
    older = FindingRecord(
        stations=(AJCC_7,), status="negative", source_row=1, n_examined=100, n_positive=0
    )
    hospital.add_report("a", older, report_id="R0", report_date="2026-12-15")
    hospital.add_report(
        "a",
        FindingRecord(
            stations=(AJCC_7,), status="positive", source_row=1, n_examined=3, n_positive=1
        ),
        FindingRecord(stations=(AJCC_7,), status="negative", source_row=2, n_examined=5),
        FindingRecord(
            stations=(AJCC_4R,), status="positive", source_row=3, n_examined=4, n_positive=1
        ),
        FindingRecord(
            stations=(ajcc("2R"),), status="negative", source_row=4, n_examined=2, n_positive=0
        ),
        FindingRecord(
            stations=(ajcc("2R"), AJCC_4R),
            status="positive",
            source_row=5,
            n_examined=6,
            n_positive=2,
        ),
    )
    facts = pathology(hospital)
    whole = facts["roll_up"]
    assert (whole["n_positive"], whole["n_examined"], whole["examined_is_least"]) == (4, 20, False)
    assert (whole["positive_stations"], whole["merged_positive"]) == (2, 0)
    assert [len(one["findings"]) for one in facts["stations"]] == [1, 1, 1]
    rows = {row["station_code"]: row for row in table(hospital)}
    counts = {code: (row["n_positive"], row["n_examined"]) for code, row in rows.items()}
    assert counts == {"2R": ("0", "2"), "4R": ("1", "4"), "7": ("1", "8")}
    assert "AJCC8:7 positive 1 of 3 in all 1 of 8 examined 2026-12-20" in page(hospital).text


def test_a_specimen_without_a_number_leaves_the_stations_number_open(hospital: Hospital) -> None:
    hospital.add_study("a", [Node(0.5, "x", AJCC_7)], A)
    open_ = FindingRecord(stations=(AJCC_7,), status="negative", source_row=2)
    hospital.add_report(
        "a",
        FindingRecord(
            stations=(AJCC_7,), status="positive", source_row=1, n_examined=3, n_positive=1
        ),
        open_,
    )
    whole = pathology(hospital)["roll_up"]
    assert (whole["n_examined"], whole["examined_is_least"]) == (3, True)
    (row,) = table(hospital)
    assert (row["n_positive"], row["n_examined"]) == ("1", "")


def test_a_positive_finding_without_a_number_counts_as_at_least_one(hospital: Hospital) -> None:
    hospital.add_study("a", [Node(0.5)], A)
    hospital.add_report("a", FindingRecord(stations=(AJCC_7,), status="positive", source_row=1))
    found = pathology(hospital)["roll_up"]
    assert (found["n_positive"], found["positive_is_least"]) == (1, True)
    assert "at least 1 , pN1-like" in page(hospital).text


def test_no_category_is_given_for_stations_of_another_organ(hospital: Hospital) -> None:
    hospital.add_study("a", [Node(0.5)], A)
    lung = StationKey("IASLC", "2009", "7")
    hospital.add_report(
        "a",
        FindingRecord(
            stations=(lung,), status="positive", source_row=1, n_examined=3, n_positive=2
        ),
    )
    assert pathology(hospital)["roll_up"]["pn_like"] is None
    assert "-like" not in page(hospital).text


def test_no_category_is_given_where_nothing_was_examined(hospital: Hospital) -> None:
    hospital.add_study("a", [Node(0.5)], A)
    hospital.add_report("a", FindingRecord(stations=(AJCC_7,), status="not_sampled", source_row=1))
    assert pathology(hospital)["roll_up"]["pn_like"] is None


def test_without_calibration_there_is_no_expected_number(hospital: Hospital) -> None:
    hospital.add_study("a", typical_nodes(), Engine(calibrated=False))
    hospital.add_report("a", *typical_findings())
    assert pathology(hospital)["roll_up"]["expected_positive"] is None
    assert "expected number" not in page(hospital).text


def test_the_newest_engine_is_the_one_beside_pathology(hospital: Hospital) -> None:
    study = hospital.add_study("a", [Node(0.9, "x", AJCC_7)], Engine("old"))
    hospital.score(study, [0.1], A)
    hospital.add_report(
        "a",
        FindingRecord(
            stations=(AJCC_7,), status="negative", source_row=1, n_examined=3, n_positive=0
        ),
    )
    found = station(hospital, "7")
    assert (found["highest"], found["agrees"]) == (0.1, {"screening": True, "surgery": True})


@pytest.mark.parametrize(("engine", "warns"), [(A, False), (DEMO, True)])
def test_an_untrained_engine_beside_pathology_says_so(
    hospital: Hospital, engine: Engine, warns: bool
) -> None:
    hospital.add_study("a", [Node(0.9, "x", AJCC_7)], engine)
    hospital.add_report(
        "a",
        FindingRecord(
            stations=(AJCC_7,), status="negative", source_row=1, n_examined=3, n_positive=0
        ),
    )
    assert ("its agreement with pathology means nothing" in page(hospital).text) is warns


def test_an_engine_of_phantoms_beside_pathology_says_so(hospital: Hospital) -> None:
    engine = Engine("phantoms", phantom=True)
    hospital.add_study("a", [Node(0.9, "x", AJCC_7)], engine)
    hospital.add_report(
        "a",
        FindingRecord(
            stations=(AJCC_7,), status="negative", source_row=1, n_examined=3, n_positive=0
        ),
    )
    said = "is an engine trained on phantoms: its agreement with pathology means nothing"
    assert said in page(hospital).text


def test_nodes_without_a_score_are_shown_beside_pathology(hospital: Hospital) -> None:
    hospital.add_study("a", [Node(None, "x", AJCC_7)])
    hospital.add_report(
        "a",
        FindingRecord(
            stations=(AJCC_7,), status="negative", source_row=1, n_examined=3, n_positive=0
        ),
    )
    found = station(hospital, "7")
    assert (found["nodes"], found["highest"], found["agrees"]) == ([1], None, {})
    assert "AJCC8:7 negative 0 of 3 2026-12-20 1 not scored yet" in page(hospital).text


def test_pathology_of_a_study_without_nodes_is_shown(hospital: Hospital) -> None:
    hospital.add_study("a", ())
    hospital.add_report(
        "a",
        FindingRecord(
            stations=(AJCC_7,), status="positive", source_row=1, n_examined=3, n_positive=1
        ),
    )
    assert "AJCC8:7 positive 1 of 3" in page(hospital).text


def test_a_station_that_was_not_sampled_has_no_counts(hospital: Hospital) -> None:
    hospital.add_study("a", [Node(0.5)], A)
    hospital.add_report(
        "a",
        FindingRecord(
            stations=(AJCC_7,), status="not_sampled", source_row=1, n_examined=0, n_positive=0
        ),
    )
    assert "AJCC8:7 not sampled 2026-12-20" in page(hospital).text


# --- what does not fit ---


def test_what_does_not_fit_is_said(typical: Hospital) -> None:
    typical.add_report(
        "a",
        FindingRecord(
            stations=(AJCC_7,), status="positive", source_row=1, n_examined=3, n_positive=1
        ),
        report_date="2026-10-01",
        report_id="R0",
        surgery_date="2026-09-20",
    )
    text = page(typical).text
    assert (
        "AJCC8:7: negative 0 of 9 (report of 2026-12-20) counts, positive 1 of 3 (report of "
        "2026-10-01) does not: the reports contradict each other"
    ) in text
    assert "AJCC8:17 is positive 3 of 4, but no node of the masks lies there" in text
    assert "Node 5: no station is known, so pathology gives no status for it" in text


def test_what_training_leaves_out_is_said_with_the_days(hospital: Hospital) -> None:
    hospital.add_study("a", [Node(0.5, "x", AJCC_7)], A, date="2026-01-01")
    finding = FindingRecord(
        stations=(AJCC_7,), status="positive", source_row=1, n_examined=3, n_positive=1
    )
    hospital.add_report("a", finding, surgery_date="2026-03-16", neoadjuvant="chemoradio")
    text = page(hospital).text
    assert "CT is 74 d before surgery (limit 60) (P09)" in text
    assert "Neoadjuvant chemoradiotherapy before surgery: excluded from training (P10)" in text


def test_stations_of_another_system_are_said_not_to_be_joined(hospital: Hospital) -> None:
    hospital.add_study("a", [Node(0.5, "x", AJCC_7)], A)
    jes = StationKey("JES11", "2015", "107")
    hospital.add_report(
        "a",
        FindingRecord(stations=(jes,), status="positive", source_row=1, n_examined=3, n_positive=1),
    )
    assert "The report names stations of JES11, but no node has a station of that system" in (
        page(hospital).text
    )


# --- again, hostile, private ---


def test_stations_are_read_once_for_all_studies(hospital: Hospital) -> None:
    for name in "abc":
        hospital.add_study(name, [Node(0.5, "x", AJCC_7)], A)
        hospital.add_report(
            name,
            FindingRecord(
                stations=(AJCC_7,), status="negative", source_row=1, n_examined=3, n_positive=0
            ),
        )
    asked: list[str] = []

    def note(connection, cursor, statement, *_):
        asked.append(" ".join(statement.split()))

    event.listen(SqlEngine, "before_cursor_execute", note)
    report(hospital)
    event.remove(SqlEngine, "before_cursor_execute", note)
    assert sum("finding_station" in one for one in asked) == 3
    assert sum(one.endswith("FROM station") for one in asked) == 2  # keys, meanings


def test_new_pathology_renews_the_page_of_its_study_only(typical: Hospital) -> None:
    typical.add_study("b", typical_nodes()[:2], A)
    assert report(typical).pages_written == 2
    assert report(typical).pages_written == 0
    typical.add_report(
        "b",
        FindingRecord(
            stations=(AJCC_4R,), status="positive", source_row=1, n_examined=5, n_positive=2
        ),
    )
    summary = report(typical)
    assert (summary.pages_written, summary.pages_current) == (1, 1)
    assert "AJCC8:4R" in page(typical, "b").text


def test_markup_in_a_stations_name_is_only_text(hospital: Hospital) -> None:
    hostile = StationKey(SCRIPT, "v", SCRIPT)
    hospital.add_study("a", [Node(0.5, "x", hostile, SCRIPT)], A)
    hospital.add_report(
        "a",
        FindingRecord(
            stations=(hostile, AJCC_7), status="positive", source_row=1, n_examined=3, n_positive=1
        ),
    )
    hospital.add_report(
        "a",
        FindingRecord(
            stations=(hostile,), status="negative", source_row=1, n_examined=3, n_positive=0
        ),
        report_id="R2",
        report_date="2027-01-01",
    )
    shown = page(hospital)
    assert "script" not in shown.tags
    assert shown.text.count(SCRIPT) > 6


def test_formulas_in_a_stations_name_are_only_text(hospital: Hospital) -> None:
    hostile = StationKey(FORMULA, FORMULA, FORMULA)
    hospital.add_study("a", [Node(0.5, "x", hostile, FORMULA)], Engine(FORMULA))
    hospital.add_report(
        "a",
        FindingRecord(
            stations=(hostile, AJCC_7), status="positive", source_row=1, n_examined=3, n_positive=1
        ),
    )
    cells = [cell for row in table(hospital) for cell in row.values()]
    assert sum(cell == "'" + FORMULA for cell in cells) >= 4
    assert not any(cell.startswith("=") for cell in cells)


def test_neither_the_reports_number_nor_the_patients_key_is_written(typical: Hospital) -> None:
    typical.add_report(
        "a",
        FindingRecord(
            stations=(ajcc("2R"),), status="positive", source_row=1, n_examined=3, n_positive=1
        ),
        report_id="PLANTED",
    )
    report(typical)
    files = [path for path in (typical.root / "out").rglob("*") if path.is_file()]
    written = b"".join(path.read_bytes() for path in files)
    with typical.db.read() as session:
        from db.schema import Patient

        keys = [one.pseudo_key.encode() for one in session.query(Patient)]
    assert b"PLANTED" not in written
    assert not any(key in written for key in keys)
