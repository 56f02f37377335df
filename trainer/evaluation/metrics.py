"""Figures of merit of scores against labels, from integer counts.

A node is positive where score >= t; t runs over the distinct scores and +inf, so that ties move
together and nothing is interpolated. Every function also takes node counts of bootstrap draws
(`trainer.evaluation.bootstrap`): a node drawn twice counts twice.
"""

from dataclasses import dataclass

import numpy as np

AT = (3, 4)
"""0.75 as a fraction, for integer comparisons: the R75 and S75 of the paper's Table 1."""


@dataclass(frozen=True)
class Counts:
    """Positives and negatives at or above each threshold, for each draw.

    Attributes:
        thresholds: Descending, +inf first; shape (threshold,).
        true: Positive nodes called positive, int64 of shape (draw, threshold).
        false: Negative nodes called positive, same shape.
    """

    thresholds: np.ndarray
    true: np.ndarray
    false: np.ndarray

    @property
    def positives(self) -> np.ndarray:
        """Shape (draw,)."""
        return self.true[:, -1]

    @property
    def negatives(self) -> np.ndarray:
        """Shape (draw,)."""
        return self.false[:, -1]


@dataclass(frozen=True)
class AtThreshold:
    """What is reached at one threshold."""

    threshold: float
    recall: float
    specificity: float
    accuracy: float


@dataclass(frozen=True)
class CalibrationBins:
    """Predicted against observed, in bins of equal node count; arrays of shape (bin,)."""

    predicted: np.ndarray
    observed: np.ndarray
    nodes: np.ndarray
    positives: np.ndarray


def count(label: np.ndarray, score: np.ndarray, times: np.ndarray | None = None) -> Counts:
    """Count calls at every threshold.

    Args:
        label: 0 or 1, shape (node,).
        score: Any finite scale, higher is more malignant, same shape.
        times: How often each draw holds each node, shape (draw, node); None is once, one draw.
    """
    order = np.argsort(-score, kind="stable")
    ranked = score[order]
    ends = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True)) if len(ranked) else []
    drawn = np.ones((1, len(label)), np.int64) if times is None else times
    sums = []
    for wanted in (1, 0):
        chosen = order[label[order] == wanted]
        last = np.cumsum(label[order] == wanted)[ends] if len(ranked) else []
        run = np.zeros((len(drawn), len(chosen) + 1), np.int64)
        np.cumsum(drawn[:, chosen], axis=1, out=run[:, 1:])
        sums.append(run[:, np.concatenate([[0], last]).astype(np.intp)])
    return Counts(np.concatenate([[np.inf], ranked[ends]]), *sums)


def auroc(counts: Counts) -> np.ndarray:
    """Area under the ROC curve, ties one half; NaN without both classes; shape (draw,)."""
    width = np.diff(counts.false, axis=1)
    height = counts.true[:, 1:] + counts.true[:, :-1]
    area = (width * height).sum(axis=1)
    return _ratio(area, 2 * counts.positives * counts.negatives)


def average_precision(counts: Counts) -> np.ndarray:
    """Sum of precision times step of recall (no interpolation); shape (draw,)."""
    true, false = counts.true[:, 1:], counts.false[:, 1:]
    precision = true / np.maximum(true + false, 1)
    return _ratio((precision * np.diff(counts.true, axis=1)).sum(axis=1), counts.positives)


def index_at_recall(counts: Counts) -> np.ndarray:
    """Place of the highest threshold with recall >= 0.75, shape (draw,)."""
    reached = AT[1] * counts.true >= AT[0] * counts.positives[:, None]
    return reached.argmax(axis=1)


def index_at_specificity(counts: Counts) -> np.ndarray:
    """Place of the lowest threshold with specificity >= 0.75, shape (draw,); +inf reaches it."""
    kept = counts.negatives[:, None] - counts.false
    reached = AT[1] * kept >= AT[0] * counts.negatives[:, None]
    return reached.shape[1] - 1 - reached[:, ::-1].argmax(axis=1)


def recall(counts: Counts, index: np.ndarray) -> np.ndarray:
    """Share of positives called positive at one threshold a draw, shape (draw,)."""
    return _ratio(_pick(counts.true, index), counts.positives)


def specificity(counts: Counts, index: np.ndarray) -> np.ndarray:
    """Share of negatives called negative at one threshold a draw, shape (draw,)."""
    return _ratio(counts.negatives - _pick(counts.false, index), counts.negatives)


def accuracy(counts: Counts, index: np.ndarray) -> np.ndarray:
    """Share of nodes called rightly at one threshold a draw, shape (draw,)."""
    right = _pick(counts.true, index) + counts.negatives - _pick(counts.false, index)
    return _ratio(right, counts.positives + counts.negatives)


def at_recall(label: np.ndarray, score: np.ndarray) -> AtThreshold:
    """S@R75 and A@R75 with threshold and achieved pair (oracles 8, 9 of the specification)."""
    counts = count(label, score)
    return _at(counts, index_at_recall(counts))


def at_specificity(label: np.ndarray, score: np.ndarray) -> AtThreshold:
    """R@S75 and A@S75 with threshold and achieved pair."""
    counts = count(label, score)
    return _at(counts, index_at_specificity(counts))


def all_of(counts: Counts) -> dict[str, np.ndarray]:
    """The ranking figures of the paper's Table 1 and average precision, each of shape (draw,)."""
    at_r, at_s = index_at_recall(counts), index_at_specificity(counts)
    return {
        "auroc": auroc(counts),
        "s_at_r75": specificity(counts, at_r),
        "r_at_s75": recall(counts, at_s),
        "a_at_r75": accuracy(counts, at_r),
        "a_at_s75": accuracy(counts, at_s),
        "average_precision": average_precision(counts),
    }


def calibration_bins(label: np.ndarray, probability: np.ndarray, bins: int) -> CalibrationBins:
    """Sort by probability and cut into bins of as equal a count as whole nodes allow."""
    order = np.argsort(probability, kind="stable")
    groups = [group for group in np.array_split(order, bins) if len(group)]
    return CalibrationBins(
        predicted=np.array([probability[group].mean() for group in groups]),
        observed=np.array([label[group].mean() for group in groups]),
        nodes=np.array([len(group) for group in groups]),
        positives=np.array([label[group].sum() for group in groups]),
    )


def net_benefit(label: np.ndarray, probability: np.ndarray, risk: np.ndarray) -> np.ndarray:
    """Net benefit of treating where probability >= risk (Vickers & Elkin 2006).

    Args:
        label: 0 or 1, shape (node,).
        probability: Calibrated, same shape.
        risk: Threshold probabilities below 1, shape (risk,).

    Returns:
        True positives minus false ones weighed by the odds of the risk, per node; shape (risk,).
    """
    called = probability[None, :] >= risk[:, None]
    true = (called & (label == 1)).mean(axis=1)
    false = (called & (label == 0)).mean(axis=1)
    return true - false * risk / (1 - risk)


def _at(counts: Counts, index: np.ndarray) -> AtThreshold:
    return AtThreshold(
        threshold=float(counts.thresholds[index[0]]),
        recall=float(recall(counts, index)[0]),
        specificity=float(specificity(counts, index)[0]),
        accuracy=float(accuracy(counts, index)[0]),
    )


def _pick(values: np.ndarray, index: np.ndarray) -> np.ndarray:
    return np.take_along_axis(values, index[:, None], axis=1)[:, 0]


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Part of whole, NaN where whole is 0: a draw without that class has no such figure."""
    return np.divide(part, whole, out=np.full(len(whole), np.nan), where=whole > 0)
