"""Pathology-guided label sharpening (Sec. 2.2): scores and station statuses to pseudo-labels.

Values in, values out: it knows nothing of networks, of files, of the database.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

MALIGNANT, BENIGN, UNKNOWN = 1, 0, -1
"""Status of a station; no finding is unknown, never benign: surgeons sample."""
NO_LABEL = -1

RULES = ("none", "malignant>beta", "malignant_top1", "benign<gamma", "benign_all")
NONE, ABOVE_BETA, TOP1, BELOW_GAMMA, ALL_BENIGN = range(len(RULES))

FEWEST_MALIGNANT = 10
"""With fewer malignant pseudo-labels the loss is of benign nodes alone."""


@dataclass(frozen=True)
class Rules:
    """How a pseudo-label is given.

    Attributes:
        beta: Malignant station: label 1 strictly above it.
        gamma: Benign station: label 0 strictly below it.
        benign_rule: `gamma` (paper); `all` nodes of a benign station are 0 (ours).
        malignant_rule: `beta` (paper); `top1` also labels the best of each station 1 (ours).
    """

    beta: float = 0.7
    gamma: float = 0.3
    benign_rule: Literal["gamma", "all"] = "gamma"
    malignant_rule: Literal["beta", "top1"] = "beta"


@dataclass(frozen=True)
class PseudoLabels:
    """One row a node; arrays of shape (node,).

    Attributes:
        label: 1, 0, or -1 for none.
        rule: Place in `RULES`.
    """

    label: np.ndarray
    rule: np.ndarray

    def pool(self, label: int) -> int:
        """How many nodes got this label."""
        return int((self.label == label).sum())


def sharpen(
    score: np.ndarray, status: np.ndarray, station: np.ndarray, rules: Rules
) -> PseudoLabels:
    """Give pseudo-labels where the teacher and the pathology agree.

    A malignant station's node is never labelled 0; an unknown station's node gets no label.

    Args:
        score: Teacher's probabilities, shape (node,).
        status: Of the node's station: 1, 0 or -1.
        station: A number for each station of a patient and study, the same for its nodes; -1
            where its nodes need not hold what made it malignant (no `top1` there).
        rules: Thresholds and which rule.
    """
    rule = np.full(len(score), NONE, np.int8)
    if rules.benign_rule == "all":
        rule[status == BENIGN] = ALL_BENIGN
    rule[(status == BENIGN) & (score < rules.gamma)] = BELOW_GAMMA
    if rules.malignant_rule == "top1":
        rule[best_of_each(score, np.where(status == MALIGNANT, station, -1))] = TOP1
    rule[(status == MALIGNANT) & (score > rules.beta)] = ABOVE_BETA
    label = np.full(len(score), NO_LABEL, np.int8)
    label[(rule == ABOVE_BETA) | (rule == TOP1)] = 1
    label[(rule == BELOW_GAMMA) | (rule == ALL_BENIGN)] = 0
    return PseudoLabels(label, rule)


def best_of_each(score: np.ndarray, station: np.ndarray) -> np.ndarray:
    """Index of the best-scored node of every station, the first of equals; -1 is no station.

    A malignant station holds at least one malignant node (a multiple-instance rule, ours).
    """
    order = np.lexsort((np.arange(len(score)), -score, station))
    ordered = station[order]
    first = np.ones(len(order), bool)
    first[1:] = ordered[1:] != ordered[:-1]
    return order[first & (ordered >= 0)]


def select(
    label: np.ndarray,
    count: int,
    how: Literal["uniform", "stratified"],
    rng: np.random.Generator,
) -> np.ndarray:
    """Choose the pseudo-labelled nodes that train this epoch ("randomly select a fixed number").

    Args:
        label: 1, 0, or -1 for none, shape (node,).
        count: K; fewer eligible are all taken.
        how: `uniform` without replacement; `stratified` takes malignant up to K/2 first (ours).
        rng: Of (seed, fold, epoch).

    Returns:
        bool, shape (node,): min(K, eligible) are True.
    """
    chosen = np.zeros(len(label), bool)
    if how == "uniform":
        chosen[_some(np.flatnonzero(label != NO_LABEL), count, rng)] = True
        return chosen
    yes = rng.permutation(np.flatnonzero(label == 1))
    no = _some(np.flatnonzero(label == 0), count - min(len(yes), count // 2), rng)
    chosen[no] = True
    chosen[yes[: count - len(no)]] = True
    return chosen


def _some(pool: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    return rng.choice(pool, min(count, len(pool)), replace=False)
