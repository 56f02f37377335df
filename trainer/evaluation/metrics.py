"""Performance figures of scores against labels, computed from integer counts.

A node is called positive if score >= t; t takes each distinct score and +inf, so that equal
scores are treated alike and nothing is interpolated. Every function also takes node counts of
bootstrap draws (`trainer.evaluation.bootstrap`): a node that is drawn twice counts twice.
"""

from dataclasses import dataclass

import numpy as np

AT = (3, 4)
"""0.75 as a fraction, for integer comparisons: the R75 and S75 of the paper's Table 1."""


@dataclass(frozen=True)
class Counts:
    """Numbers of positives and negatives at or above each threshold, for each draw.

    Attributes:
        thresholds: Thresholds in descending order, +inf first; shape (threshold,).
        true: Number of true positives, int64 of shape (draw, threshold).
        false: Number of false positives, same shape.
    """

    thresholds: np.ndarray
    true: np.ndarray
    false: np.ndarray

    @property
    def positives(self) -> np.ndarray:
        """Number of positive nodes, shape (draw,)."""
        return self.true[:, -1]

    @property
    def negatives(self) -> np.ndarray:
        """Number of negative nodes, shape (draw,)."""
        return self.false[:, -1]


@dataclass(frozen=True)
class AtThreshold:
    """Recall, specificity and accuracy at one threshold."""

    threshold: float
    recall: float
    specificity: float
    accuracy: float


@dataclass(frozen=True)
class CalibrationBins:
    """Predicted and observed shares in bins of equal node count; arrays of shape (bin,)."""

    predicted: np.ndarray
    observed: np.ndarray
    nodes: np.ndarray
    positives: np.ndarray


def count(label: np.ndarray, score: np.ndarray, times: np.ndarray | None = None) -> Counts:
    """Count true and false positives at every threshold.

    Args:
        label: 0 or 1, shape (node,).
        score: Scores on any finite scale, higher is more malignant, same shape.
        times: How often each draw contains each node, shape (draw, node); None is a single draw
            that contains each node once.
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
    """Compute the area under the ROC curve, shape (draw,).

    Ties count one half; the area is NaN if a class is missing.
    """
    width = np.diff(counts.false, axis=1)
    height = counts.true[:, 1:] + counts.true[:, :-1]
    area = (width * height).sum(axis=1)
    return _ratio(area, 2 * counts.positives * counts.negatives)


def average_precision(counts: Counts) -> np.ndarray:
    """Compute the sum of precision times step of recall (no interpolation); shape (draw,)."""
    true, false = counts.true[:, 1:], counts.false[:, 1:]
    precision = true / np.maximum(true + false, 1)
    return _ratio((precision * np.diff(counts.true, axis=1)).sum(axis=1), counts.positives)


def index_at_recall(counts: Counts) -> np.ndarray:
    """Return the index of the highest threshold with recall >= 0.75, shape (draw,)."""
    reached = AT[1] * counts.true >= AT[0] * counts.positives[:, None]
    return reached.argmax(axis=1)


def index_at_specificity(counts: Counts) -> np.ndarray:
    """Return the index of the lowest threshold with specificity >= 0.75, shape (draw,).

    The threshold +inf always reaches it.
    """
    kept = counts.negatives[:, None] - counts.false
    reached = AT[1] * kept >= AT[0] * counts.negatives[:, None]
    return reached.shape[1] - 1 - reached[:, ::-1].argmax(axis=1)


def recall(counts: Counts, index: np.ndarray) -> np.ndarray:
    """Compute the share of positives called positive, one threshold per draw, shape (draw,)."""
    return _ratio(_pick(counts.true, index), counts.positives)


def specificity(counts: Counts, index: np.ndarray) -> np.ndarray:
    """Compute the share of negatives called negative, one threshold per draw, shape (draw,)."""
    return _ratio(counts.negatives - _pick(counts.false, index), counts.negatives)


def accuracy(counts: Counts, index: np.ndarray) -> np.ndarray:
    """Compute the share of nodes called correctly, one threshold per draw, shape (draw,)."""
    right = _pick(counts.true, index) + counts.negatives - _pick(counts.false, index)
    return _ratio(right, counts.positives + counts.negatives)


def at_recall(label: np.ndarray, score: np.ndarray) -> AtThreshold:
    """Return S@R75 and A@R75, the threshold and the recall reached (specification oracles 8, 9)."""
    counts = count(label, score)
    return _at(counts, index_at_recall(counts))


def at_specificity(label: np.ndarray, score: np.ndarray) -> AtThreshold:
    """Return R@S75 and A@S75, the threshold and the specificity reached."""
    counts = count(label, score)
    return _at(counts, index_at_specificity(counts))


def all_of(counts: Counts) -> dict[str, np.ndarray]:
    """Compute average precision and the figures of the paper's Table 1, each of shape (draw,)."""
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
    """Sort nodes by probability and cut them into bins of nearly equal count."""
    order = np.argsort(probability, kind="stable")
    groups = [group for group in np.array_split(order, bins) if len(group)]
    return CalibrationBins(
        predicted=np.array([probability[group].mean() for group in groups]),
        observed=np.array([label[group].mean() for group in groups]),
        nodes=np.array([len(group) for group in groups]),
        positives=np.array([label[group].sum() for group in groups]),
    )


def net_benefit(label: np.ndarray, probability: np.ndarray, risk: np.ndarray) -> np.ndarray:
    """Compute the net benefit of treating if probability >= risk (Vickers & Elkin 2006).

    Args:
        label: 0 or 1, shape (node,).
        probability: Calibrated probability, same shape.
        risk: Threshold probabilities below 1, shape (risk,).

    Returns:
        True positives minus false positives weighted by the odds of the risk, per node; shape
        (risk,).
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
    """Divide part by whole; NaN if whole is 0, as a draw without the class has no such figure."""
    return np.divide(part, whole, out=np.full(len(whole), np.nan), where=whole > 0)
