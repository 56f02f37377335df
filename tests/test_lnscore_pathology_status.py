"""`lnscore pathology status`: what fits together and what does not, in words and as values."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from db.pathology import FindingRecord
from db.records import StationKey
from fake_report import AJCC_4R, AJCC_7, AJCC_8M, Hospital, Node, ajcc, uid
from lnscore.errors import Refusal
from lnscore.pathology import status
from lnscore.stations import crosswalks
from lnscore.summary import Summary


@pytest.fixture
def hospital(tmp_path: Path) -> Iterator[Hospital]:
    made = Hospital(tmp_path)
    yield made
    made.db.close()


def run(hospital: Hospital, study: str | None = None, crosswalk: str | None = None, days: int = 60):
    return status.run(hospital.settings, study, crosswalk, days)


def positive(*stations: StationKey, row: int = 1) -> FindingRecord:
    return FindingRecord(
        stations=stations, status="positive", source_row=row, n_examined=7, n_positive=2
    )


def negative(*stations: StationKey, row: int = 1) -> FindingRecord:
    return FindingRecord(
        stations=stations, status="negative", source_row=row, n_examined=7, n_positive=0
    )


def nodes(*stations: StationKey | None) -> list[Node]:
    return [Node(0.5, f"LN {i}", station) for i, station in enumerate(stations, 1)]


def test_it_is_a_summary_that_json_can_hold(hospital: Hospital) -> None:
    hospital.add_study("a", nodes(AJCC_4R, None))
    hospital.add_report("a", positive(AJCC_4R), negative(AJCC_7, row=2))
    found = run(hospital)
    assert isinstance(found, Summary)
    assert found.exit_code == 0
    assert json.loads(json.dumps(found.as_dict()))["nodes"] == found.counts


def test_a_study_is_told_with_its_counts_and_all_that_does_not_fit(hospital: Hospital) -> None:
    hospital.add_study("a", nodes(AJCC_4R, AJCC_4R, AJCC_7, AJCC_8M, None), date="2026-09-01")
    hospital.add_report(
        "a", positive(AJCC_4R), negative(AJCC_7, row=2), positive(ajcc("17"), row=3)
    )
    hospital.add_report("a", positive(AJCC_7), report_date="2026-12-01", report_id="R0")
    assert run(hospital).lines() == [
        f"study {uid('study', 'a')}, CT of 2026-09-01: 5 nodes, 2 malignant, 1 benign, 2 unknown",
        "  no finding for AJCC8:8M (1 node): unknown",
        "  positive without a node in the masks: AJCC8:17 2/7",
        "  nodes without a station: LN 5",
        "  AJCC8:7: negative (report of 2026-12-20) counts, not positive (report of 2026-12-01); "
        "both are kept",
        "  P09: CT is 100 d before surgery (limit 60) (3 nodes)",
        "nodes of 1 study: 2 malignant, 1 benign, 2 unknown, 3 left out of training",
    ]


def test_therapy_and_a_late_ct_are_told_with_the_days(hospital: Hospital) -> None:
    hospital.add_study("a", nodes(AJCC_4R), date="2026-12-13")
    hospital.add_report("a", positive(AJCC_4R), neoadjuvant="chemo")
    lines = run(hospital).lines()
    assert "  P10: CT is 3 d after surgery: excluded from training (1 node)" in lines
    assert (
        "  P10: neoadjuvant chemotherapy before surgery: excluded from training (1 node)" in lines
    )
    (found,) = run(hospital).as_dict()["studies"]
    assert {why["days"] for why in found["exclusions"]} == {-3}


def test_findings_without_a_study_wait_and_are_counted(hospital: Hospital) -> None:
    hospital.add_study("a", nodes(AJCC_4R))
    hospital.add_report("later", positive(AJCC_4R), negative(AJCC_7, row=2))
    found = run(hospital)
    assert (
        "2 findings of 1 patient without a study: joined when the study is ingested"
        in found.lines()
    )
    assert found.as_dict()["pending"] == {"findings": 2, "patients": 1}
    hospital.add_study("later", nodes(AJCC_4R))
    assert run(hospital).as_dict()["pending"] == {"findings": 0, "patients": 0}


def test_studies_without_pathology_are_counted_not_listed(hospital: Hospital) -> None:
    for name in ("a", "b"):
        hospital.add_study(name, nodes(AJCC_4R))
    assert run(hospital).lines() == [
        "2 studies without pathology",
        "nodes of 2 studies: 0 malignant, 0 benign, 2 unknown",
    ]


def test_one_study_is_told_alone(hospital: Hospital) -> None:
    for name in ("a", "b"):
        hospital.add_study(name, nodes(AJCC_4R))
        hospital.add_report(name, positive(AJCC_4R))
    hospital.add_report("later", positive(AJCC_4R))
    found = run(hospital, uid("study", "b"))
    assert [one.study_uid for one in found.studies] == [uid("study", "b")]
    assert found.pending_findings == 0


def test_an_unknown_study_is_refused(hospital: Hospital) -> None:
    with pytest.raises(Refusal, match=r"U04: no study 1\.2\.3 in .*; wanted the StudyInstanceUID"):
        run(hospital, "1.2.3")


def test_a_merged_positive_is_without_a_node_only_if_no_member_has_one(hospital: Hospital) -> None:
    hospital.add_study("a", nodes(AJCC_4R))
    hospital.add_report("a", positive(AJCC_4R, ajcc("2R")), positive(ajcc("8U"), AJCC_8M, row=2))
    lines = run(hospital).lines()
    assert "  positive without a node in the masks: AJCC8:8M+AJCC8:8U 2/7" in lines
    assert lines[-1].endswith("1 of the malignant are weak")


def test_each_node_names_its_findings_and_its_rule(hospital: Hospital) -> None:
    hospital.add_study("a", nodes(AJCC_4R, AJCC_7))
    hospital.add_report("a", positive(AJCC_4R), negative(AJCC_7, AJCC_8M, row=2))
    first, second = run(hospital).as_dict()["studies"][0]["nodes"]
    assert (first["rule"], first["status"], len(first["findings"])) == ("positive", "malignant", 1)
    assert (second["rule"], second["status"]) == ("merged_negative", "benign")


def test_findings_of_another_system_wait_for_a_crosswalk(hospital: Hospital) -> None:
    hospital.add_study("a", nodes(AJCC_7))
    hospital.add_report("a", negative(StationKey("JES11", "2015", "107")))
    assert (
        "  findings in JES11, where no node has a station of that system: "
        "joined only through a crosswalk" in run(hospital).lines()
    )


def test_a_crosswalk_joins_and_says_that_it_is_not_confirmed(hospital: Hospital) -> None:
    hospital.add_study("a", nodes(AJCC_7))
    hospital.add_report("a", negative(StationKey("JES11", "2015", "107")))
    found = run(hospital, crosswalk="AJCC8-JES11")
    assert found.lines()[0].startswith("crosswalk AJCC8-JES11 ")
    assert found.lines()[0].endswith("is not confirmed by a clinician")
    (node,) = found.as_dict()["studies"][0]["nodes"]
    relation = next(
        row.relation
        for row in crosswalks.read("AJCC8-JES11").of(AJCC_7)
        if row.to_station.code == "107"
    )
    assert node["rule"] == f"crosswalk_{relation}"


def test_an_unknown_crosswalk_is_refused_with_the_names(hospital: Hospital) -> None:
    with pytest.raises(Refusal, match=r"N11: crosswalk 'mine'; wanted one of .*AJCC8-JES11"):
        run(hospital, crosswalk="mine")


def test_the_number_of_a_report_is_told_nowhere(hospital: Hospital) -> None:
    hospital.add_study("a", nodes(AJCC_4R))
    for number, kind in enumerate((positive, negative)):
        day = f"2026-12-{20 + number}"
        hospital.add_report("a", kind(AJCC_4R), report_id=f"PLANTED{number}", report_date=day)
    found = run(hospital)
    assert found.studies[0].conflicts
    assert "PLANTED" not in str(found.lines()) + json.dumps(found.as_dict())
