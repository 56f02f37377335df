"""Fit temperature, bias and operating points of one network on its validation part.

The sampling in training changes the share of positives, so that a raw probability alone means
little; the validation part has the natural prevalence. Test nodes are never read here.
"""

from dataclasses import dataclass

import numpy as np

from engines.manifest import Calibration, OperatingPoint
from trainer.errors import TrainerError
from trainer.evaluation import metrics
from trainer.runs.predictions import VALIDATION, Predictions, sigmoid

FLATTEST, STEEPEST = 1e-3, 1e3
"""Bounds of 1 / temperature, in units of the logits' own standard deviation."""
STEPS = 100
CONVERGED = 1e-10


@dataclass(frozen=True)
class FittedCalibration:
    """Calibration and operating points, fitted on the validation part.

    Attributes:
        calibration: Temperature and bias for the engine's manifest.
        points: `recall75` and `specificity75`, thresholds on the raw probability.
        notes: Warnings for a reader of the manifest, in sentences.
    """

    calibration: Calibration
    points: tuple[OperatingPoint, ...]
    notes: tuple[str, ...]


def fit(validation: Predictions) -> FittedCalibration:
    """Fit calibration and operating points of one fold.

    Args:
        validation: Rows of one fold's validation part.

    Raises:
        TrainerError: T24 all labels are of one class; T27 rows of other parts or of several folds.
    """
    if set(validation.part) - {VALIDATION} or len(validation.folds) > 1:
        raise TrainerError(
            "T27",
            f"rows of folds {validation.folds}, parts {sorted(set(validation.part))}",
            "the validation part of one fold",
            "Fit each network on its own validation part.",
        )
    check_classes(validation.label, "the validation part")
    calibration, clipped = fit_calibration(validation.label, validation.logit)
    points, missing = operating_points(validation.label, validation.probability)
    notes = [f"no threshold reaches {name} on validation: scores are tied" for name in missing]
    if clipped:
        notes.append("the scores do not rise with malignancy on validation: calibration is flat")
    return FittedCalibration(calibration, points, tuple(notes))


def fit_calibration(label: np.ndarray, logit: np.ndarray) -> tuple[Calibration, bool]:
    """Fit sigmoid(logit / temperature + bias) by maximum likelihood (Platt 1999).

    The problem is convex in (1 / temperature, bias). Platt's targets, (n1 + 1) / (n1 + 2) and
    1 / (n0 + 2), keep the result finite if a threshold separates the classes. If scores fall with
    malignancy, the flattest allowed calibration is used, because a negative temperature would
    reverse the ranking.

    Args:
        label: 0 or 1, both present, shape (node,).
        logit: Raw logits, or any other finite scale, same shape.

    Returns:
        The calibration, and whether its slope was limited by a bound.
    """
    centre, spread = float(logit.mean()), float(logit.std())
    scaled = (logit - centre) / (spread if spread > 0 else 1.0)
    positives, negatives = int(label.sum()), int((label == 0).sum())
    target = np.where(label == 1, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    slope, offset = _newton(scaled, target)
    bounded = min(max(slope, FLATTEST), STEEPEST)
    if bounded != slope:
        offset = _offset(bounded * scaled, target)
    temperature = (spread if spread > 0 else 1.0) / bounded
    return Calibration(temperature=temperature, bias=offset - centre / temperature), (
        bounded != slope
    )


def calibrated(calibration: Calibration, logit: np.ndarray) -> np.ndarray:
    """Return the calibrated probability, same shape."""
    return sigmoid(logit / calibration.temperature + calibration.bias)


def operating_points(
    label: np.ndarray, probability: np.ndarray
) -> tuple[tuple[OperatingPoint, ...], list[str]]:
    """Find the operating points R75 and S75.

    Returns:
        The points with the sensitivity and specificity that they reach, and the names of the
        points that no score reaches.
    """
    reached = {
        "recall75": metrics.at_recall(label, probability),
        "specificity75": metrics.at_specificity(label, probability),
    }
    points = tuple(
        OperatingPoint(
            name=name,
            threshold=at.threshold,
            sensitivity=at.recall,
            specificity=at.specificity,
        )
        for name, at in reached.items()
        if np.isfinite(at.threshold)
    )
    return points, [name for name, at in reached.items() if not np.isfinite(at.threshold)]


def check_classes(label: np.ndarray, where: str) -> None:
    """Refuse labels that are all of one class.

    Raises:
        TrainerError: T24, with the number of nodes of each class.
    """
    positives, nodes = int(label.sum()), len(label)
    if not 0 < positives < nodes:
        raise TrainerError(
            "T24",
            f"{where} has {positives} malignant and {nodes - positives} benign nodes",
            "at least one of each",
            "Label more nodes, or make the split again.",
        )


def _newton(x: np.ndarray, target: np.ndarray) -> tuple[float, float]:
    """Fit a logistic regression on one variable by Newton steps, halved until the loss falls."""
    design = np.stack([x, np.ones_like(x)], axis=1)
    weights = np.array([0.0, _logit(float(target.mean()))])
    loss = _loss(design @ weights, target)
    for _ in range(STEPS):
        p = sigmoid(design @ weights)
        gradient = design.T @ (p - target)
        curvature = (design * (p * (1 - p))[:, None]).T @ design + 1e-9 * np.eye(2)
        step = np.linalg.solve(curvature, gradient)
        size = 1.0
        while (after := _loss(design @ (weights - size * step), target)) > loss and size > 1e-8:
            size /= 2
        if after > loss:
            break
        weights = weights - size * step
        loss, fell = after, loss - after
        if fell < CONVERGED:
            break
    return float(weights[0]), float(weights[1])


def _offset(fixed: np.ndarray, target: np.ndarray) -> float:
    """Fit the bias for a fixed slope, so that mean probability equals mean target (bisection)."""
    reach = float(np.abs(fixed).max()) + 50.0
    low, high = -reach, reach
    for _ in range(STEPS):
        middle = (low + high) / 2
        if sigmoid(fixed + middle).mean() < target.mean():
            low = middle
        else:
            high = middle
    return (low + high) / 2


def _loss(z: np.ndarray, target: np.ndarray) -> float:
    return float((np.logaddexp(0.0, z) - target * z).sum())


def _logit(p: float) -> float:
    return float(np.log(p / (1 - p)))
