"""Calibration and operating points from validation."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from fake_predictions import cohort, fold_of, predicted
from trainer.errors import TrainerError
from trainer.evaluation import calibrate
from trainer.runs.predictions import TEST, VALIDATION, sigmoid


def drawn(nodes: int, temperature: float, bias: float, seed: int = 0) -> tuple:
    random = np.random.default_rng(seed)
    logit = 2 * random.normal(size=nodes) - 2
    label = random.random(nodes) < sigmoid(logit / temperature + bias)
    return label.astype(np.int64), logit


def test_the_truth_is_found() -> None:
    found, clipped = calibrate.fit_calibration(*drawn(40_000, 2.0, 0.5))
    assert found.temperature == pytest.approx(2.0, rel=0.05)
    assert found.bias == pytest.approx(0.5, abs=0.07)
    assert not clipped


def test_without_separation_it_is_logistic_regression() -> None:
    label, logit = drawn(5000, 1.5, 0)
    found, _ = calibrate.fit_calibration(label, logit)
    reference = LogisticRegression(C=np.inf).fit(logit[:, None], label)
    assert 1 / found.temperature == pytest.approx(reference.coef_.item(), rel=0.01)
    assert found.bias == pytest.approx(reference.intercept_.item(), abs=0.01)


def test_separable_scores_stay_finite() -> None:
    label, logit = np.array([0] * 50 + [1] * 5), np.r_[np.linspace(-9, -1, 50), np.ones(5)]
    found, _ = calibrate.fit_calibration(label, logit)
    assert 0.1 < found.temperature < 10


def test_the_mean_probability_is_the_prevalence() -> None:
    label, logit = drawn(2000, 0.7, -2)
    found, _ = calibrate.fit_calibration(label, logit)
    mean = calibrate.calibrated(found, logit).mean()
    assert mean == pytest.approx(label.mean(), abs=1e-3)


@pytest.mark.parametrize("scale", [1e-4, 1.0, 1e4])
def test_the_scale_of_logits_does_not_matter(scale: float) -> None:
    label, logit = drawn(500, 1, 0)
    plain, _ = calibrate.fit_calibration(label, logit)
    scaled, _ = calibrate.fit_calibration(label, scale * logit + 7)
    np.testing.assert_allclose(
        calibrate.calibrated(scaled, scale * logit + 7),
        calibrate.calibrated(plain, logit),
        atol=1e-6,
    )


def test_reversed_scores_are_not_turned_round() -> None:
    label, logit = drawn(500, 1, 0)
    found, clipped = calibrate.fit_calibration(label, -logit)
    assert clipped
    assert found.temperature > 0
    assert np.ptp(calibrate.calibrated(found, -logit)) < 0.01


def test_constant_scores_give_the_prevalence() -> None:
    label = np.array([1] + [0] * 9)
    found, clipped = calibrate.fit_calibration(label, np.zeros(10))
    assert clipped
    assert calibrate.calibrated(found, np.zeros(1))[0] == pytest.approx(0.142, abs=0.01)


def test_operating_points_say_what_they_reach() -> None:
    validation = fold_of(cohort(), 0).of(VALIDATION)
    fitted = calibrate.fit(validation)
    assert [point.name for point in fitted.points] == ["recall75", "specificity75"]
    for point in fitted.points:
        called = validation.probability >= point.threshold
        assert called[validation.label == 1].mean() == pytest.approx(point.sensitivity)
        assert (~called)[validation.label == 0].mean() == pytest.approx(point.specificity)
    assert fitted.points[0].sensitivity >= 0.75
    assert fitted.points[1].specificity >= 0.75
    assert fitted.notes == ()


def test_a_point_that_no_score_reaches_is_left_out_and_said() -> None:
    points, missing = calibrate.operating_points(np.array([0, 0, 1]), np.full(3, 0.5))
    assert [point.name for point in points] == ["recall75"]
    assert missing == ["specificity75"]


def test_one_class_is_refused() -> None:
    validation = fold_of(cohort(), 0).of(VALIDATION)
    with pytest.raises(TrainerError, match="0 malignant") as refused:
        calibrate.fit(validation.take(validation.label == 0))
    assert refused.value.code == "T24"


def test_test_rows_are_refused() -> None:
    with pytest.raises(TrainerError, match="T27"):
        calibrate.fit(predicted(cohort()).of(TEST, 0))
