"""What pathology says of unlabelled nodes: stations numbered, exclusions left out, disturbances."""

from dataclasses import replace

import numpy as np
import pytest

from db.cohort import CohortNode
from db.station_rule import StationStatus
from fake_training import make_cohort, quick_ssl
from trainer.semi_supervised.sharpen import BENIGN, MALIGNANT, UNKNOWN
from trainer.semi_supervised.unlabelled import Unlabelled, described, disturb


def malignant(*findings: int, rule: str = "positive", **more) -> StationStatus:
    return StationStatus("malignant", rule, findings=findings, **more)


BENIGN_STATION = StationStatus("benign", "negative", findings=(9,))


def nodes(count: int, patient: int = 1) -> list[CohortNode]:
    some = make_cohort(patients=count, nodes=1, hidden=0).nodes
    return [replace(node, patient_id=patient, study_uid="1.2") for node in some]


def told(*said: StationStatus) -> Unlabelled:
    mine = nodes(len(said))
    index = np.arange(len(said)) + 100
    return described(index, mine, {n.node_id: one for n, one in zip(mine, said, strict=True)})


def test_nodes_of_the_same_findings_share_a_station() -> None:
    known = told(malignant(3), malignant(3), malignant(4), BENIGN_STATION)
    assert known.status.tolist() == [MALIGNANT] * 3 + [BENIGN]
    assert known.station[0] == known.station[1]
    assert len(set(known.station.tolist())) == 3
    assert (known.bags == known.station).all()


def test_two_patients_never_share_a_station() -> None:
    one, other = nodes(1)[0], nodes(2, patient=2)[1]
    said = {one.node_id: malignant(3), other.node_id: malignant(3)}
    known = described(np.array([0, 1]), [one, other], said)
    assert known.station[0] != known.station[1]


def test_a_node_with_several_candidates_is_no_stations_best() -> None:
    known = told(malignant(3, rule="candidates_agree"), malignant(5, rule="merged_positive"))
    assert known.bags.tolist() == [-1, 1]


def test_merged_positives_are_malignant_and_flagged() -> None:
    known = told(malignant(5, rule="merged_positive", weak=True))
    assert (known.status[0], known.weak[0]) == (MALIGNANT, True)


def test_excluded_nodes_are_left_out_and_counted() -> None:
    late = malignant(3, excluded=("P09",))
    treated = replace(BENIGN_STATION, excluded=("P09", "P10"))
    known = told(late, BENIGN_STATION, treated)
    assert known.index.tolist() == [101]
    assert known.counts() == {
        "nodes": 1, "malignant": 0, "benign": 1, "unknown": 0, "P09": 2, "P10": 1,
    }  # fmt: skip


def test_a_node_that_nothing_was_told_of_is_unknown() -> None:
    mine = nodes(1)
    known = described(np.array([0]), mine, {})
    assert (known.status[0], known.station[0]) == (UNKNOWN, -1)


@pytest.fixture
def many() -> Unlabelled:
    said = [malignant(i // 2) if i < 40 else StationStatus("benign", "negative", findings=(i // 2,))
            for i in range(200)]  # fmt: skip
    return told(*said, *[StationStatus("unknown", "absent")] * 10)


def by_station(known: Unlabelled, of: np.ndarray) -> dict[int, set[int]]:
    return {
        int(number): set(known.status[of == number].tolist())
        for number in np.unique(of)
        if number >= 0
    }


def test_nothing_disturbed_is_the_same(many: Unlabelled) -> None:
    assert disturb(many, quick_ssl()) is many


def test_dropped_stations_become_unknown_as_a_whole(many: Unlabelled) -> None:
    half = disturb(many, quick_ssl(station_drop=0.5))
    assert (half.status != UNKNOWN).sum() == 100
    assert all(len(found) == 1 for found in by_station(half, many.station).values())
    assert (half.station[half.status == UNKNOWN] == -1).all()


def test_noise_turns_so_many_stations_round(many: Unlabelled) -> None:
    noisy = disturb(many, quick_ssl(station_noise=0.1))
    assert (noisy.status != many.status).sum() == 20
    assert all(len(found) == 1 for found in by_station(noisy, many.station).values())


def test_shuffled_stations_keep_how_many_are_malignant(many: Unlabelled) -> None:
    shuffled = disturb(many, quick_ssl(station_shuffle=1.0))
    assert shuffled.status.sum() == many.status.sum()
    assert (shuffled.status == MALIGNANT)[:40].sum() < 30
    assert all(len(found) == 1 for found in by_station(shuffled, many.station).values())


def test_a_disturbance_repeats_by_its_seed(many: Unlabelled) -> None:
    values = {"station_shuffle": 0.5, "station_noise": 0.1, "station_drop": 0.2}
    one, again = (disturb(many, quick_ssl(**values)) for _ in range(2))
    other = disturb(many, quick_ssl(**values, station_seed=1))
    assert one.digest() == again.digest()
    assert one.digest() != other.digest()
    assert one.digest() != many.digest()
