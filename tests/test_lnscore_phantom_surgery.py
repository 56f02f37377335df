"""Pathology of phantoms: the status follows from the nodes, with the dirt of real reports."""

from collections import Counter
from itertools import combinations

import numpy as np
import pytest

from lnscore.phantom.patients import PatientPlan, draw_patient
from lnscore.phantom.surgery import PAIRS, operate


@pytest.fixture(scope="module")
def operated():
    """Fifty patients with their reports."""
    patients = [draw_patient(PatientPlan(2, number, 8, 2)) for number in range(1, 51)]
    return [(patient, operate(patient)) for patient in patients]


def _malignant(patient, stations) -> int:
    return sum(node.malignant for node in patient.nodes if node.station in stations)


def test_status_and_counts_follow_from_the_nodes(operated):
    for patient, surgery in operated:
        for line in surgery.lines:
            if line.status != "not_sampled":
                seen = [node for node in patient.nodes if node.station in line.stations]
                assert line.positive == _malignant(patient, line.stations)
                assert line.status == ("positive" if line.positive else "negative")
                assert line.examined is not None
                assert line.examined >= max(len(seen), 1)


def test_a_station_that_was_not_sampled_has_no_counts(operated):
    lines = [line for _, surgery in operated for line in surgery.lines]
    skipped = [line for line in lines if line.status == "not_sampled"]
    assert 0.01 < len(skipped) / len(lines) < 0.12
    assert {(line.examined, line.positive) for line in skipped} == {(None, None)}


def test_some_specimens_hold_two_neighbouring_stations(operated):
    merged = [line.stations for _, surgery in operated for line in surgery.lines
              if len(line.stations) > 1]  # fmt: skip
    assert len(merged) > 20
    assert set(merged) <= set(PAIRS)


def test_no_station_has_two_lines(operated):
    for _, surgery in operated:
        named = Counter(code for line in surgery.lines for code in line.stations)
        assert max(named.values()) == 1


def test_some_malignant_stations_are_missing_from_the_report(operated):
    """Absent is unknown, not negative: the importer and the trainer must cope."""
    gaps = 0
    for patient, surgery in operated:
        named = {code for line in surgery.lines for code in line.stations}
        gaps += len({node.station for node in patient.nodes if node.malignant} - named)
    assert 3 <= gaps <= 40


def test_surgery_follows_the_scan_and_the_report_the_surgery(operated):
    for patient, surgery in operated:
        assert patient.study_day < surgery.surgery_day < surgery.report_day


def test_metastases_gather_in_few_stations(operated):
    stations = [
        {node.station for node in patient.nodes if node.malignant} for patient, _ in operated
    ]
    assert sum(len(codes) for codes in stations) / len(stations) < 1.8


def test_nodes_of_a_patient_never_overlap(operated):
    for patient, _ in operated:
        for one, other in combinations(patient.nodes, 2):
            apart_mm = np.linalg.norm(np.subtract(one.centre_mm, other.centre_mm))
            assert apart_mm > max(one.traits.semi_axes_mm) + max(other.traits.semi_axes_mm)
