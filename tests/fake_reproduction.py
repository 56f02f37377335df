"""Small runs of the paper's rows: labels and scores by hand, or a cohort with a known order."""

from dataclasses import replace

import numpy as np

from fake_predictions import cohort
from trainer.evaluation.scored import SHORT_AXIS, OutOfFoldScores
from trainer.runs.predictions import TEST, Predictions, sigmoid

LABEL = (1, 1, 0, 0)
PERFECT, THREE_QUARTERS, HALF = (0.9, 0.8, 0.2, 0.1), (0.9, 0.2, 0.8, 0.1), (0.9, 0.1, 0.8, 0.2)
"""Scores of `LABEL` with an AUROC of 1, 0.75 and 0.5."""

FACTS = cohort(240, 48)


def scored(score, label=LABEL, node=None, patient=None, fold=None, name="run") -> OutOfFoldScores:
    """A run by hand; each node is a patient of its own, two folds in turn."""
    nodes = len(score)
    number = np.arange(1, nodes + 1) if node is None else np.asarray(node)
    facts = {
        "node_id": number,
        "tracking_uid": np.array([f"2.25.{one}" for one in number], dtype=object),
        "patient_id": number if patient is None else np.asarray(patient),
        "fold": number % 2 if fold is None else np.asarray(fold),
        "label": np.asarray(label),
        "station": np.full(nodes, "", dtype=object),
        **{name: np.ones(nodes) for name in ("short_axis_mm", "long_axis_mm", "volume_mm3")},
        "slice_mm": np.ones(nodes),
    }
    logit = np.log(np.asarray(score) / (1 - np.asarray(score)))
    return _of(facts, logit, name)


def of_cohort(separation: float, seed: int, name: str = "run") -> OutOfFoldScores:
    """A binormal run on `FACTS`."""
    noise = np.random.default_rng(seed).normal(size=len(FACTS["label"]))
    return _of(FACTS, noise + separation * FACTS["label"] - 2, name)


def short_axis(model: OutOfFoldScores, axis) -> OutOfFoldScores:
    """The short axis of the same nodes as a score."""
    return replace(model, name=SHORT_AXIS, score=np.asarray(axis, dtype=float))


def _of(facts: dict, logit: np.ndarray, name: str) -> OutOfFoldScores:
    nothing = np.full(len(logit), np.nan)
    rows = Predictions(
        **facts,
        part=np.full(len(logit), TEST, dtype=object),
        logit=logit,
        probability=sigmoid(logit),
        local=nothing,
        global_=nothing,
    )
    return OutOfFoldScores(
        name=name, rows=rows, score=rows.probability, calibrated=nothing, calls={}
    )
