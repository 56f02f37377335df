"""DeLong and Holm; the bootstrap of patients."""

import numpy as np
import pytest
from MLstatkit import Delong_test

from trainer.evaluation import bootstrap, significance

LABEL = np.array([1] * 4 + [0] * 6)
FIRST = np.array([0.9, 0.8, 0.6, 0.4, 0.7, 0.6, 0.5, 0.3, 0.2, 0.1])
SECOND = np.array([0.9, 0.5, 0.6, 0.3, 0.8, 0.7, 0.4, 0.2, 0.65, 0.1])
BINORMAL = 0.9068  # of normals 1.868 apart


def binormal(nodes: int, patients: int, seed: int, separation: float = 1.868) -> tuple:
    random = np.random.default_rng(seed)
    label = (random.random(nodes) < 0.2).astype(np.int64)
    score = random.normal(size=nodes) + separation * label
    return label, score, random.integers(patients, size=nodes)


def test_oracle_10() -> None:
    found = significance.delong(LABEL, FIRST, SECOND)
    assert (found.first, found.second) == (0.8125, pytest.approx(0.583333, abs=1e-6))
    assert found.variance == pytest.approx(0.0258681, abs=1e-7)
    assert abs(found.z) == pytest.approx(1.424851, abs=1e-6)
    assert found.p == pytest.approx(0.154200, abs=1e-6)


@pytest.mark.parametrize("seed", range(5))
def test_delong_is_that_of_mlstatkit(seed: int) -> None:
    label, first, _ = binormal(200, 50, seed)
    second = np.round(first + np.random.default_rng(seed + 99).normal(size=200), 1)
    z, p = Delong_test(label, first, second)[:2]  # of second - first
    found = significance.delong(label, first, second)
    assert (found.z, found.p) == (pytest.approx(-z), pytest.approx(p))


def test_delong_of_equal_rankings_is_no_difference() -> None:
    found = significance.delong(LABEL, FIRST, 2 * FIRST)
    assert (found.z, found.p) == (0, 1)


def test_holm_by_hand() -> None:
    assert significance.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_holm_of_nothing_is_nothing() -> None:
    assert significance.holm([]) == []


def test_a_draw_holds_whole_patients() -> None:
    patient = np.array([7, 7, 3, 3, 3, 9])
    draws = bootstrap.patient_draws(patient, 50, 0)
    of_nodes = draws.times[:, draws.place]
    assert np.array_equal(of_nodes[:, 0], of_nodes[:, 1])
    assert np.array_equal(of_nodes[:, 2], of_nodes[:, 4])
    assert (draws.times.sum(axis=1) == 3).all()


def test_the_same_seed_gives_the_same_draws() -> None:
    patient = np.arange(20)
    first, again = (bootstrap.patient_draws(patient, 9, 4).times for _ in range(2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, bootstrap.patient_draws(patient, 9, 5).times)


def test_the_interval_holds_the_true_auroc_of_a_binormal_model() -> None:
    held = 0
    for seed in range(40):
        label, score, patient = binormal(400, 100, seed)
        drawn = bootstrap.aurocs(label, score, bootstrap.patient_draws(patient, 200, 0))
        found = bootstrap.interval(float(drawn.mean()), drawn)
        assert found.low is not None
        assert found.high is not None
        held += found.low <= BINORMAL <= found.high
    assert held >= 34  # 38 expected; fewer than 34 has probability 0.01


def test_nodes_that_repeat_within_a_patient_widen_the_interval() -> None:
    label, score, patient = binormal(300, 300, 1)
    apart = bootstrap.aurocs(label, score, bootstrap.patient_draws(patient, 500, 0))
    many = [np.repeat(column, 4) for column in (label, score, patient)]
    clustered = bootstrap.aurocs(many[0], many[1], bootstrap.patient_draws(many[2], 500, 0))
    alone = bootstrap.aurocs(many[0], many[1], bootstrap.patient_draws(np.arange(1200), 500, 0))
    assert clustered.std() == pytest.approx(apart.std(), rel=0.1)
    assert alone.std() < 0.65 * clustered.std()


def test_a_model_against_itself_is_no_difference() -> None:
    label, score, patient = binormal(200, 40, 2)
    found = bootstrap.paired(label, score, score, bootstrap.patient_draws(patient, 200, 0))
    assert (found.value, found.low, found.high, found.p) == (0, 0, 0, 1)


def test_p_is_never_zero() -> None:
    label, score, patient = binormal(500, 100, 3, separation=4)
    found = bootstrap.paired(label, score, -score, bootstrap.patient_draws(patient, 199, 0))
    assert found.p == pytest.approx(2 / 200)


def test_p_of_equally_good_models_is_uniform_enough() -> None:
    small = 0
    for seed in range(60):
        label, first, patient = binormal(200, 60, seed)
        second = np.random.default_rng(1000 + seed).normal(size=200) + 1.868 * label
        draws = bootstrap.patient_draws(patient, 200, 0)
        small += bootstrap.paired(label, first, second, draws).p < 0.05
    assert small <= 8  # 3 expected; more than 8 has probability 0.003


def test_draws_without_a_class_are_left_out() -> None:
    found = bootstrap.interval(0.5, np.array([0.4, np.nan, 0.6, 0.5]))
    assert found.low == pytest.approx(0.405)


def test_too_few_draws_with_a_figure_give_no_interval() -> None:
    found = bootstrap.interval(0.5, np.array([0.4, np.nan, np.nan]))
    assert (found.low, found.high) == (None, None)
