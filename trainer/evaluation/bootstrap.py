"""Patient-cluster bootstrap: whole patients are drawn, because nodes of one patient correlate."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from trainer.evaluation import metrics

DRAWS = 2000
LEVEL = 0.95
AT_ONCE = 100  # draws per block: their counts fit into the processor's cache


@dataclass(frozen=True)
class Interval:
    """A figure and its percentile interval; the bounds are None if too few draws define it."""

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class PairedDifference:
    """A paired difference of two figures, with its percentile interval and two-sided p value."""

    value: float
    low: float | None
    high: float | None
    p: float


@dataclass(frozen=True)
class PatientDraws:
    """The bootstrap draws: how often each draw contains each patient.

    Attributes:
        times: Number of times, integers stored as float64 for fast sums; shape (draw, patient).
        place: Patient of each node, an index into `times`; shape (node,).
    """

    times: np.ndarray
    place: np.ndarray

    def mean(self, value: np.ndarray, among: np.ndarray) -> np.ndarray:
        """Compute the mean of `value` over the nodes where `among` is True, in each draw.

        Args:
            value: Value of each node, shape (node,).
            among: Nodes to include, bool, same shape.

        Returns:
            Mean of each draw, shape (draw,); NaN if the draw has none of these nodes.
        """
        patients = self.times.shape[1]
        place = self.place[among]
        sums = np.bincount(place, value[among].astype(np.float64), patients)
        both = np.stack([sums, np.bincount(place, minlength=patients)], axis=1)
        total, nodes = (self.times @ both).T
        return np.divide(total, nodes, out=np.full(len(total), np.nan), where=nodes > 0)


def patient_draws(patient: np.ndarray, draws: int, seed: int) -> PatientDraws:
    """Draw patients with replacement, as many as there are.

    Args:
        patient: Patient of each node, shape (node,); at least one node.
        draws: Number of draws.
        seed: Random seed; the same seed and patients give the same draws.
    """
    _, place = np.unique(patient, return_inverse=True)
    patients = int(place.max()) + 1
    random = np.random.default_rng(seed)
    drawn = random.integers(patients, size=(draws, patients))
    drawn += np.arange(draws)[:, None] * patients  # one histogram for all draws
    times = np.bincount(drawn.ravel(), minlength=draws * patients)
    return PatientDraws(times.reshape(draws, patients).astype(np.float64), place)


def ranking(label: np.ndarray, score: np.ndarray, draws: PatientDraws) -> dict[str, np.ndarray]:
    """Compute the figures of `metrics.all_of` for every draw, each of shape (draw,)."""
    return _in_blocks(lambda block: metrics.all_of(metrics.count(label, score, block)), draws)


def aurocs(label: np.ndarray, score: np.ndarray, draws: PatientDraws) -> np.ndarray:
    """Compute the AUROC of every draw, NaN if a draw lacks a class; shape (draw,)."""
    return _in_blocks(
        lambda block: {"auroc": metrics.auroc(metrics.count(label, score, block))}, draws
    )["auroc"]


def interval(value: float, drawn: np.ndarray) -> Interval:
    """Compute the percentile interval of a figure.

    Draws in which the figure is not defined are left out; there are no bounds if they are more
    than half.
    """
    usable = drawn[np.isfinite(drawn)]
    if len(usable) * 2 < max(len(drawn), 1):
        return Interval(value)
    tail = 100 * (1 - LEVEL) / 2
    low, high = np.percentile(usable, [tail, 100 - tail])
    return Interval(value, float(low), float(high))


def paired(
    label: np.ndarray,
    first: np.ndarray,
    second: np.ndarray,
    draws: PatientDraws,
) -> PairedDifference:
    """Test whether AUROC(first) = AUROC(second) on the same nodes, paired in every draw.

    Args:
        label: 0 or 1, both present, shape (node,).
        first: Scores of one model, same shape.
        second: Scores of the other model, same shape.
        draws: Draws of the patients of these nodes.
    """
    drawn = aurocs(label, first, draws) - aurocs(label, second, draws)
    plain = [metrics.auroc(metrics.count(label, score)) for score in (first, second)]
    return difference(float((plain[0] - plain[1])[0]), drawn)


def difference(value: float, drawn: np.ndarray) -> PairedDifference:
    """Return a difference with its interval and p; draws in which it is not defined are left out.

    p = 2 min(P(d <= 0), P(d >= 0)) with 1 added above and below, so that it is never 0 (ours; the
    paper names no test).

    Args:
        value: Difference on the original nodes.
        drawn: Difference in every draw, NaN if it is not defined; shape (draw,).
    """
    drawn = drawn[np.isfinite(drawn)]
    tail = min((drawn <= 0).sum(), (drawn >= 0).sum())
    p = min(1.0, 2 * (1 + int(tail)) / (1 + len(drawn)))
    bounds = interval(value, drawn)
    return PairedDifference(value, bounds.low, bounds.high, p)


def _in_blocks(
    figures: Callable[[np.ndarray], dict[str, np.ndarray]], draws: PatientDraws
) -> dict[str, np.ndarray]:
    """Compute figures block by block, so that node counts of only a few draws are in memory."""
    starts = range(0, len(draws.times), AT_ONCE)
    blocks = [
        figures(draws.times[at : at + AT_ONCE].astype(np.int64)[:, draws.place]) for at in starts
    ]
    return {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}
