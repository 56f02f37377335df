"""The status of a node by hand: one case for every rule, and what must never matter."""

from dataclasses import replace
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from db.records import StationKey
from db.station_rule import StationFinding, StationStatus, decide, exclusions, of_station


def ajcc(code: str) -> StationKey:
    return StationKey("AJCC8", "2017-ESO", code)


def jes(code: str) -> StationKey:
    return StationKey("JES11", "2015", code)


UPPER, LOWER, CARINA = map(ajcc, ("2R", "4R", "7"))
NUMBERS = count(1)


def said(status: str, *stations: StationKey, **other) -> StationFinding:
    facts = {"id": next(NUMBERS), "report_id": 1, "report_date": "2026-02-01"}
    return StationFinding(stations=frozenset(stations), status=status, **(facts | other))


def verdict(*findings: StationFinding, at=(LOWER,), relations=None) -> tuple[str, str, bool]:
    """Status, rule, weak."""
    found = decide(at, findings, relations)
    return found.status, found.rule, found.weak


def test_a_positive_station_makes_its_node_malignant():
    assert verdict(said("positive", LOWER)) == ("malignant", "positive", False)


def test_a_negative_station_makes_its_node_benign():
    assert verdict(said("negative", LOWER)) == ("benign", "negative", False)


def test_a_station_that_the_report_does_not_name_is_unknown_not_negative():
    assert verdict(said("negative", CARINA)) == ("unknown", "absent", False)


def test_a_merged_positive_is_weakly_malignant_for_every_member():
    finding = said("positive", UPPER, LOWER)
    for station in (UPPER, LOWER):
        assert verdict(finding, at=(station,)) == ("malignant", "merged_positive", True)


def test_a_merged_negative_is_benign_for_every_member():
    finding = said("negative", UPPER, LOWER, CARINA)
    for station in (UPPER, LOWER, CARINA):
        assert verdict(finding, at=(station,)) == ("benign", "merged_negative", False)


def test_what_was_not_sampled_is_unknown():
    assert verdict(said("not_sampled", LOWER)) == ("unknown", "not_sampled", False)


def test_what_is_indeterminate_is_unknown():
    assert verdict(said("indeterminate", LOWER)) == ("unknown", "indeterminate", False)


def test_a_node_without_a_station_is_unknown():
    assert verdict(said("positive", LOWER), at=()) == ("unknown", "no_station", False)


def test_a_patient_without_a_report_is_unknown():
    assert verdict() == ("unknown", "no_report", False)


def test_the_findings_that_say_so_are_named():
    one, other = said("positive", LOWER), said("negative", CARINA)
    assert decide((LOWER,), [one, other]).findings == (one.id,)


# --- several findings of one report ---


@pytest.mark.parametrize("merged", ["positive", "negative", "indeterminate"])
def test_a_station_alone_in_its_jar_beats_a_merged_one_of_the_same_report(merged: str):
    shared = said(merged, UPPER, LOWER)
    assert verdict(said("negative", LOWER), shared)[1] == "negative"
    assert verdict(said("positive", LOWER), shared)[1] == "positive"


def test_a_blank_cell_of_the_station_leaves_what_the_shared_jar_says():
    # A wide table has a column for 2R, one for 4R and one for both; two of them are blank.
    blank = said("not_sampled", LOWER)
    assert verdict(blank, said("negative", UPPER, LOWER))[:2] == ("benign", "merged_negative")


def test_one_positive_specimen_makes_the_station_positive():
    two = said("negative", LOWER), said("positive", LOWER)
    assert verdict(*two)[:2] == ("malignant", "positive")


def test_a_negative_specimen_beside_an_indeterminate_one_is_indeterminate():
    two = said("negative", LOWER), said("indeterminate", LOWER)
    assert verdict(*two)[:2] == ("unknown", "indeterminate")


def test_two_shared_jars_that_contradict_decide_nothing():
    two = said("negative", UPPER, LOWER), said("positive", LOWER, CARINA)
    assert verdict(*two)[:2] == ("unknown", "indeterminate")


# --- several reports ---


@pytest.mark.parametrize(
    ("older", "newer", "rule"),
    [
        ("positive", "negative", "negative"),
        ("negative", "positive", "positive"),
        ("positive", "indeterminate", "indeterminate"),
        ("positive", "not_sampled", "positive"),
    ],
)
def test_the_newest_report_that_looked_at_the_station_wins(older: str, newer: str, rule: str):
    first = said(older, LOWER)
    second = said(newer, LOWER, report_id=2, report_date="2026-03-01")
    assert verdict(first, second)[1] == rule
    assert verdict(second, first)[1] == rule


def test_of_two_reports_of_one_day_the_later_stored_one_wins():
    first, second = said("positive", LOWER), said("negative", LOWER, report_id=2)
    assert verdict(second, first)[1] == "negative"


def test_a_newer_merged_finding_beats_an_older_one_of_the_station_alone():
    newer = said("positive", UPPER, LOWER, report_id=2, report_date="2026-03-01")
    assert verdict(said("negative", LOWER), newer)[1] == "merged_positive"


def test_a_superseded_report_says_nothing():
    old = said("positive", LOWER, superseded=True)
    assert verdict(old)[1] == "no_report"
    assert verdict(old, said("negative", CARINA))[1] == "absent"


# --- several candidate stations ---


def test_candidates_that_agree_decide():
    findings = said("negative", UPPER), said("negative", LOWER)
    assert verdict(*findings, at=(UPPER, LOWER)) == ("benign", "candidates_agree", False)


def test_candidates_of_one_merged_positive_agree_weakly():
    finding = said("positive", UPPER, LOWER)
    assert verdict(finding, at=(UPPER, LOWER)) == ("malignant", "candidates_agree", True)


@pytest.mark.parametrize("other", ["negative", "indeterminate", "not_sampled"])
def test_candidates_that_disagree_decide_nothing(other: str):
    findings = said("positive", UPPER), said(other, LOWER)
    assert verdict(*findings, at=(UPPER, LOWER)) == ("unknown", "candidates_disagree", False)


def test_a_candidate_that_is_absent_does_not_agree():
    assert verdict(said("negative", UPPER), at=(UPPER, LOWER))[1] == "candidates_disagree"


def test_candidates_that_are_all_absent_are_absent():
    assert verdict(said("negative", CARINA), at=(UPPER, LOWER))[1] == "absent"


def test_a_candidate_of_a_system_that_pathology_does_not_use_does_not_disagree():
    at = (LOWER, jes("106tbR"))
    assert verdict(said("negative", jes("106tbR")), at=at)[:2] == ("benign", "negative")


# --- crosswalk ---


@pytest.mark.parametrize(
    ("relation", "finding", "expected"),
    [
        ("equal", "positive", ("malignant", False)),
        ("equal", "negative", ("benign", False)),
        ("narrower", "positive", ("malignant", True)),
        ("narrower", "negative", ("benign", False)),
        ("broader", "positive", ("malignant", False)),
        ("broader", "negative", ("unknown", False)),
        ("overlaps", "positive", ("malignant", True)),
        ("overlaps", "negative", ("unknown", False)),
        ("equal", "not_sampled", ("unknown", False)),
        ("equal", "indeterminate", ("unknown", False)),
    ],
)
def test_a_crosswalk_relation_says_no_more_than_it_may(relation: str, finding: str, expected):
    relations = {(LOWER, jes("106tbR")): relation}
    status, rule, weak = verdict(said(finding, jes("106tbR")), relations=relations)
    assert ((status, weak), rule) == (expected, f"crosswalk_{relation}")


def test_no_crosswalk_is_used_unless_given():
    assert verdict(said("positive", jes("106tbR")))[1] == "absent"


def test_a_finding_of_the_nodes_own_system_beats_the_crosswalk():
    relations = {(LOWER, jes("106tbR")): "equal"}
    findings = said("positive", jes("106tbR")), said("negative", LOWER)
    assert verdict(*findings, relations=relations)[1] == "negative"


def test_a_merged_positive_through_a_crosswalk_stays_weak():
    relations = {(LOWER, jes("106tbR")): "equal"}
    finding = said("positive", jes("106tbR"), jes("106pre"))
    assert verdict(finding, relations=relations) == ("malignant", "crosswalk_equal", True)


def test_a_relation_read_the_other_way_is_not_used():
    relations = {(jes("106tbR"), LOWER): "equal"}
    assert verdict(said("positive", jes("106tbR")), relations=relations)[1] == "absent"


def test_an_equal_station_beats_one_that_only_overlaps():
    relations = {(LOWER, jes("106tbR")): "equal", (LOWER, jes("106pre")): "overlaps"}
    findings = said("negative", jes("106tbR")), said("positive", jes("106pre"))
    assert verdict(*findings, relations=relations)[:2] == ("benign", "crosswalk_equal")


def test_stations_of_the_other_system_that_contradict_decide_nothing():
    relations = {(LOWER, jes("106tbR")): "narrower", (LOWER, jes("106pre")): "overlaps"}
    findings = said("negative", jes("106tbR")), said("positive", jes("106pre"))
    assert verdict(*findings, relations=relations)[:2] == ("unknown", "crosswalk_disagree")


def test_a_whole_with_one_positive_part_is_malignant():
    relations = {(LOWER, jes("106tbR")): "broader", (LOWER, jes("106pre")): "broader"}
    findings = said("negative", jes("106tbR")), said("positive", jes("106pre"))
    assert verdict(*findings, relations=relations) == ("malignant", "crosswalk_broader", False)


# --- what is left out of training ---


@pytest.mark.parametrize(
    ("ct_date", "codes"),
    [
        ("2026-01-20", ()),
        ("2025-11-21", ()),  # 60 days
        ("2025-11-20", ("P09",)),
        ("2026-01-21", ("P10",)),
        (None, ()),
    ],
)
def test_the_ct_must_lie_in_the_days_before_surgery(ct_date: str | None, codes: tuple[str, ...]):
    assert exclusions(said("positive", LOWER, surgery_date="2026-01-20"), ct_date) == codes


def test_a_ct_after_the_report_is_after_the_surgery():
    finding = said("positive", LOWER)
    assert exclusions(finding, "2026-02-02") == ("P10",)
    assert exclusions(finding, "2026-02-01") == ()


@pytest.mark.parametrize(
    ("therapy", "codes"),
    [("none", ()), ("unknown", ()), ("chemo", ("P10",)), ("chemoradio", ("P10",))],
)
def test_therapy_before_surgery_excludes(therapy: str, codes: tuple[str, ...]):
    assert exclusions(said("negative", LOWER, neoadjuvant=therapy), "2026-01-01") == codes


def test_an_excluded_node_keeps_its_status():
    finding = said("positive", LOWER, surgery_date="2026-01-20", neoadjuvant="chemo")
    found = decide((LOWER,), [finding], ct_date="2025-06-01")
    assert found == StationStatus("malignant", "positive", False, (finding.id,), ("P09", "P10"))


def test_only_the_reports_that_decide_exclude():
    other = said("positive", CARINA, neoadjuvant="chemo", report_id=2)
    assert decide((LOWER,), [said("negative", LOWER), other], ct_date="2026-01-01").excluded == ()


# --- what must never matter ---

HERE = [ajcc(code) for code in ("1R", "2R", "4R", "7")]
ELSEWHERE = [ajcc(code) for code in ("15", "16", "17")]
STATUSES = st.sampled_from(["positive", "negative", "not_sampled", "indeterminate"])


@st.composite
def findings(draw: st.DrawFn, stations=tuple(HERE), reports=4) -> list[StationFinding]:
    made = draw(
        st.lists(
            st.tuples(
                st.integers(1, reports),
                st.frozensets(st.sampled_from(stations), min_size=1, max_size=3),
                STATUSES,
            ),
            max_size=8,
        )
    )
    day = draw(st.lists(st.integers(1, 3), min_size=reports, max_size=reports))
    return [
        StationFinding(
            id=i,
            report_id=report,
            report_date=f"2026-01-0{day[report - 1]}",
            stations=members,
            status=status,
        )
        for i, (report, members, status) in enumerate(made, 1)
    ]


@given(findings(), st.randoms())
def test_the_order_of_findings_does_not_matter(told, random):
    before = decide(HERE[:1], told)
    random.shuffle(told)
    assert decide(HERE[:1], told) == before


@given(findings(), findings(stations=tuple(ELSEWHERE)), st.booleans())
def test_a_report_about_other_stations_changes_no_station(told, others, newer: bool):
    date = "2027-01-01" if newer else "2025-01-01"
    added = [
        replace(one, id=one.id + 100, report_id=one.report_id + 100, report_date=date)
        for one in others
    ]
    for station in HERE:
        assert of_station(station, told + added) == of_station(station, told)


@given(findings(), st.permutations(range(1, 9)), st.integers(0, 1000))
def test_numbering_findings_anew_changes_only_the_numbers(told, numbers, shift: int):
    anew = {one.id: numbers[one.id - 1] for one in told}
    renumbered = [
        replace(one, id=anew[one.id], report_id=one.report_id * 3 + shift) for one in told
    ]
    for station in HERE:
        before = of_station(station, told)
        ids = tuple(sorted(anew[i] for i in before.findings))
        assert of_station(station, renumbered) == replace(before, findings=ids)


@given(findings())
def test_a_station_never_becomes_benign_without_a_negative_finding_of_it(told):
    for station in HERE:
        found = of_station(station, told)
        if found.status != "unknown":
            kind = {"malignant": "positive", "benign": "negative"}[found.status]
            by_id = {one.id: one for one in told}
            assert found.findings
            for i in found.findings:
                assert by_id[i].status == kind
                assert station in by_id[i].stations


def test_a_positive_jar_that_all_its_stations_deny_decides_nothing():
    lines = said("negative", LOWER), said("negative", CARINA), said("positive", LOWER, CARINA)
    for station in (LOWER, CARINA):
        assert verdict(*lines, at=(station,)) == ("unknown", "indeterminate", False)


def test_a_positive_jar_is_explained_by_another_of_its_stations():
    lines = said("negative", LOWER), said("positive", CARINA), said("positive", LOWER, CARINA)
    assert verdict(*lines) == ("benign", "negative", False)


def test_a_second_operation_years_later_says_nothing_of_the_first_ct():
    first = said("positive", LOWER, report_date="2020-01-20", surgery_date="2020-01-15")
    later = said(
        "negative", LOWER, report_id=2, report_date="2024-01-20", surgery_date="2024-01-15"
    )
    found = decide((LOWER,), [first, later], ct_date="2020-01-01")
    assert (found.status, found.excluded) == ("malignant", ())


def test_an_equal_station_that_was_not_sampled_hides_no_other():
    relations = {(LOWER, jes("106recR")): "equal", (LOWER, jes("107")): "broader"}
    lines = said("not_sampled", jes("106recR")), said("positive", jes("107"))
    assert verdict(*lines, relations=relations)[:2] == ("malignant", "crosswalk_broader")
