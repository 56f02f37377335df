"""Figures of merit: hand-worked oracles, limits, properties, scikit-learn and torchmetrics."""

# ruff: noqa: TID253

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from sklearn import metrics as sk
from torchmetrics.functional.classification import (
    binary_sensitivity_at_specificity,
    binary_specificity_at_sensitivity,
)

from trainer.evaluation import metrics

LABEL_8 = np.array([1] * 4 + [0] * 6)
SCORE_8 = np.array([0.9, 0.8, 0.6, 0.4, 0.7, 0.6, 0.5, 0.3, 0.2, 0.1])
LABEL_9 = np.array([1] * 8 + [0] * 8)
SCORE_9 = np.array(
    [0.95, 0.9, 0.85, 0.8, 0.7, 0.65, 0.6, 0.55, 0.75, 0.5, 0.45, 0.4, 0.3, 0.2, 0.1, 0.05]
)

QUICK = settings(deadline=None, max_examples=50)


@st.composite
def scored(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Labels of both classes and scores with many ties."""
    size = draw(st.integers(2, 40))
    label = draw(arrays.arrays(np.int64, size, elements=st.integers(0, 1)))
    label[0], label[1] = 0, 1
    score = draw(arrays.arrays(np.int64, size, elements=st.integers(-5, 5)))
    return label, score / 10


def one(figure: np.ndarray) -> float:
    return float(figure[0])


def test_oracle_8_auroc_counts_a_tie_as_half() -> None:
    assert one(metrics.auroc(metrics.count(LABEL_8, SCORE_8))) == 0.8125


def test_oracle_8_at_recall_75() -> None:
    at = metrics.at_recall(LABEL_8, SCORE_8)
    assert (at.threshold, at.recall) == (0.6, 0.75)
    assert at.specificity == pytest.approx(2 / 3)
    assert at.accuracy == 0.7


def test_oracle_8_at_specificity_75_is_not_interpolated() -> None:
    at = metrics.at_specificity(LABEL_8, SCORE_8)
    assert (at.threshold, at.recall, at.accuracy) == (0.7, 0.5, 0.7)
    assert at.specificity == pytest.approx(5 / 6)


def test_oracle_9_finds_the_threshold_that_a_thinned_curve_skips() -> None:
    at = metrics.at_recall(LABEL_9, SCORE_9)
    assert (at.threshold, at.recall, at.specificity, at.accuracy) == (0.65, 0.75, 0.875, 0.8125)
    _, recalls, _ = sk.roc_curve(LABEL_9, SCORE_9)
    assert 0.75 not in recalls


def test_constant_scores_reach_specificity_only_above_every_score() -> None:
    at = metrics.at_specificity(np.array([0, 1, 0]), np.zeros(3))
    assert (at.threshold, at.recall, at.specificity) == (np.inf, 0.0, 1.0)


def test_perfect_scores_reach_everything() -> None:
    label = np.array([0, 0, 0, 1])
    assert metrics.at_recall(label, label.astype(float)).specificity == 1
    assert one(metrics.auroc(metrics.count(label, label.astype(float)))) == 1


def test_one_class_has_no_auroc() -> None:
    assert np.isnan(one(metrics.auroc(metrics.count(np.ones(3, int), np.arange(3.0)))))


@QUICK
@given(scored())
def test_auroc_is_that_of_scikit_learn(case: tuple[np.ndarray, np.ndarray]) -> None:
    label, score = case
    assert one(metrics.auroc(metrics.count(label, score))) == pytest.approx(
        sk.roc_auc_score(label, score)
    )


@QUICK
@given(scored())
def test_average_precision_is_that_of_scikit_learn(case: tuple[np.ndarray, np.ndarray]) -> None:
    label, score = case
    assert one(metrics.average_precision(metrics.count(label, score))) == pytest.approx(
        sk.average_precision_score(label, score)
    )


@QUICK
@given(scored())
def test_a_node_drawn_twice_weighs_twice(case: tuple[np.ndarray, np.ndarray]) -> None:
    label, score = case
    times = np.arange(len(label)) % 3 + 1
    counts = metrics.count(label, score, times[None])
    assert one(metrics.auroc(counts)) == pytest.approx(
        sk.roc_auc_score(label, score, sample_weight=times)
    )


@QUICK
@given(scored())
def test_s_at_r75_is_that_of_torchmetrics(case: tuple[np.ndarray, np.ndarray]) -> None:
    label, score = case
    value, _ = binary_specificity_at_sensitivity(
        torch.from_numpy(score + 0.5), torch.from_numpy(label), min_sensitivity=0.75
    )
    assert metrics.at_recall(label, score).specificity == pytest.approx(float(value), abs=1e-6)


@QUICK
@given(scored())
def test_r_at_s75_is_that_of_torchmetrics(case: tuple[np.ndarray, np.ndarray]) -> None:
    label, score = case
    value, _ = binary_sensitivity_at_specificity(
        torch.from_numpy(score + 0.5), torch.from_numpy(label), min_specificity=0.75
    )
    assert metrics.at_specificity(label, score).recall == pytest.approx(float(value), abs=1e-6)


@QUICK
@given(scored())
def test_the_stored_threshold_gives_the_stored_pair(case: tuple[np.ndarray, np.ndarray]) -> None:
    label, score = case
    for at in (metrics.at_recall(label, score), metrics.at_specificity(label, score)):
        called = score >= at.threshold
        assert called[label == 1].mean() == pytest.approx(at.recall)
        assert (~called)[label == 0].mean() == pytest.approx(at.specificity)
        assert (called == (label == 1)).mean() == pytest.approx(at.accuracy)


@QUICK
@given(scored())
def test_only_the_order_of_scores_matters(case: tuple[np.ndarray, np.ndarray]) -> None:
    label, score = case
    plain = metrics.all_of(metrics.count(label, score))
    bent = metrics.all_of(metrics.count(label, np.exp(3 * score)))
    assert all(np.array_equal(plain[name], bent[name]) for name in plain)


def test_net_benefit_by_hand() -> None:
    label = np.array([1, 1, 0, 0, 0, 0, 0, 0, 0, 0])
    probability = np.array([0.9, 0.1, 0.5, 0.3, 0.05, 0, 0, 0, 0, 0])
    found = metrics.net_benefit(label, probability, np.array([0.2]))
    assert found[0] == pytest.approx(1 / 10 - 2 / 10 * 0.25)


def test_net_benefit_of_calling_all_at_no_risk_is_the_prevalence() -> None:
    found = metrics.net_benefit(np.array([1, 0, 0, 0]), np.ones(4), np.array([0.0]))
    assert found[0] == 0.25


def test_calibration_bins_hold_every_node_once() -> None:
    random = np.random.default_rng(0)
    label, probability = random.integers(2, size=103), random.random(103)
    bins = metrics.calibration_bins(label, probability, 10)
    assert bins.nodes.sum() == 103
    assert bins.positives.sum() == label.sum()
    assert (np.diff(bins.predicted) > 0).all()
