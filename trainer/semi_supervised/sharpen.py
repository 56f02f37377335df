"""Pathology-guided label sharpening (Sec. 2.2): make pseudo-labels.

They follow from the teacher's scores and the status of the stations. This module works on
arrays alone; it uses no network, no file and no database.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

MALIGNANT, BENIGN, UNKNOWN = 1, 0, -1
"""Status of a station; without a finding it is unknown, never benign, as surgeons only sample."""
NO_LABEL = -1

RULES = ("none", "malignant>beta", "malignant_top1", "benign<gamma", "benign_all")
NONE, ABOVE_BETA, TOP1, BELOW_GAMMA, ALL_BENIGN = range(len(RULES))

FEWEST_MALIGNANT = 10
"""With fewer malignant pseudo-labels the sharpening loss hardly contains malignant nodes."""


@dataclass(frozen=True)
class Rules:
    """Thresholds and rules that give the pseudo-labels.

    Attributes:
        beta: In a malignant station, a score strictly above it gives label 1.
        gamma: In a benign station, a score strictly below it gives label 0.
        benign_rule: `gamma` (paper), or `all`: every node of a benign station gets 0 (ours).
        malignant_rule: `beta` (paper), or `top1`: also the best-scored node of each station
            gets 1 (ours).
    """

    beta: float = 0.7
    gamma: float = 0.3
    benign_rule: Literal["gamma", "all"] = "gamma"
    malignant_rule: Literal["beta", "top1"] = "beta"


@dataclass(frozen=True)
class PseudoLabels:
    """Pseudo-labels of nodes; arrays of shape (node,).

    Attributes:
        label: Pseudo-label 1 or 0, or -1 for none.
        rule: Index into `RULES` of the rule that gave the label.
    """

    label: np.ndarray
    rule: np.ndarray

    def pool(self, label: int) -> int:
        """Return the number of nodes with this label."""
        return int((self.label == label).sum())


def sharpen(
    score: np.ndarray, status: np.ndarray, station: np.ndarray, rules: Rules
) -> PseudoLabels:
    """Give pseudo-labels to nodes on which teacher and pathology agree.

    Nodes of a malignant station are never labelled 0; nodes of an unknown station get no label.

    Args:
        score: Teacher's probabilities, shape (node,).
        status: Status of the node's station, 1, 0 or -1, same shape.
        station: Station id of each node, unique per patient and study, same shape; -1 if the
            positive node may not be segmented (`top1` is not applied there).
        rules: Thresholds and the choice of rules.
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
    """Return the index of the best-scored node of every station, the first of equal ones.

    Station id -1 means no station. The rule is ours: a malignant station has at least one
    malignant node, as in multiple-instance learning.
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
    """Select the pseudo-labelled nodes of this epoch ("randomly select a fixed number").

    Args:
        label: Pseudo-label 1 or 0, or -1 for none, shape (node,).
        count: K, the number to select; if fewer are eligible, all are selected.
        how: `uniform` without replacement, or `stratified`: malignant ones up to K/2 first (ours).
        rng: Random generator, seeded from (seed, fold, epoch).

    Returns:
        Selection, bool, shape (node,); min(K, eligible) entries are True.
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
