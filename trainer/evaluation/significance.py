"""DeLong's test, which is reported beside the bootstrap, and Holm's correction."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class DeLong:
    """Two correlated AUROCs and the test of their difference.

    Attributes:
        first: AUROC of the first scores.
        second: AUROC of the second scores.
        variance: Variance of first - second.
        z: Difference divided by its standard error; 0 if both scores rank the nodes alike.
        p: Two-sided p value.
    """

    first: float
    second: float
    variance: float
    z: float
    p: float


def delong(label: np.ndarray, first: np.ndarray, second: np.ndarray) -> DeLong:
    """Compare two AUROCs on the same nodes (DeLong et al. 1988, by midranks: Sun & Xu 2014).

    The test assumes independent nodes. Nodes of one patient are not, so p tends to be too small.

    Args:
        label: 0 or 1, both present, shape (node,).
        first: Scores of one model, same shape.
        second: Scores of the other model, same shape.
    """
    positive = label == 1
    m, n = int(positive.sum()), int((~positive).sum())
    areas, of_positives, of_negatives = [], [], []
    for score in (first, second):
        rank = _midranks(score)
        v10 = (rank[positive] - _midranks(score[positive])) / n
        v01 = 1 - (rank[~positive] - _midranks(score[~positive])) / m
        areas.append(float(v10.mean()))
        of_positives.append(v10)
        of_negatives.append(v01)
    contrast = np.array([1.0, -1.0])
    variance = sum(
        float(contrast @ np.cov(np.stack(parts)) @ contrast) / size if size > 1 else 0.0
        for parts, size in ((of_positives, m), (of_negatives, n))
    )
    difference = areas[0] - areas[1]
    z = difference / math.sqrt(variance) if variance > 0 else 0.0
    return DeLong(areas[0], areas[1], variance, z, math.erfc(abs(z) / math.sqrt(2)))


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust the p values of planned comparisons (Holm 1979): step down, monotone, at most 1."""
    order = np.argsort(p_values, kind="stable")
    left = len(p_values) - np.arange(len(p_values))
    stepped = np.maximum.accumulate(np.asarray(p_values, float)[order] * left)
    adjusted = np.empty(len(p_values))
    adjusted[order] = np.minimum(stepped, 1.0)
    return [float(p) for p in adjusted]


def _midranks(score: np.ndarray) -> np.ndarray:
    """Return ranks from 1, with the mean rank for ties; shape (node,)."""
    _, place, count = np.unique(score, return_inverse=True, return_counts=True)
    last = np.cumsum(count)
    return (last - (count - 1) / 2)[place]
