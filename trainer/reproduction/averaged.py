"""Figures averaged over seeds, with the same patient draws for every seed and row.

Seeds are averaged within each draw. The interval is therefore that of the mean, and within a
draw two rows are compared on the same patients.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np

from trainer.errors import TrainerError
from trainer.evaluation import bootstrap, metrics
from trainer.evaluation.bootstrap import Interval, PairedDifference, PatientDraws
from trainer.evaluation.scored import OutOfFoldScores

FIGURES = ("auroc", "s_at_r75", "r_at_s75", "a_at_r75", "a_at_s75")
"""Names of the figures from `metrics.all_of`, in the order of the paper's columns."""


@dataclass(frozen=True)
class SharedDraws:
    """Bootstrap draws of all patients that any row scored.

    Attributes:
        patients: Ids of the patients, ascending; shape (patient,).
        times: How often each draw contains each patient, shape (draw, patient).
    """

    patients: np.ndarray
    times: np.ndarray

    def of(self, model: OutOfFoldScores) -> PatientDraws:
        """Return the same draws for the nodes of one model."""
        return PatientDraws(self.times, np.searchsorted(self.patients, model.rows.patient_id))


def shared_draws(models: Sequence[OutOfFoldScores], draws: int, seed: int) -> SharedDraws:
    """Draw the patients of all models; without models the draws are empty."""
    if not models:
        return SharedDraws(np.empty(0, np.int64), np.empty((draws, 0)))
    patients = np.unique(np.concatenate([model.rows.patient_id for model in models]))
    return SharedDraws(patients, bootstrap.patient_draws(patients, draws, seed).times)


def auroc(model: OutOfFoldScores) -> float:
    """Compute the AUROC, pooled out of fold."""
    return float(metrics.auroc(metrics.count(model.rows.label, model.score))[0])


def mean_auroc(models: Sequence[OutOfFoldScores]) -> float:
    """Compute the mean AUROC over the seeds of one row."""
    return float(np.mean([auroc(model) for model in models]))


def figures(models: Sequence[OutOfFoldScores], shared: SharedDraws) -> dict[str, Interval]:
    """Compute the mean over the seeds of each pooled figure, with its interval.

    Args:
        models: Models of one row, one per seed, each with both classes.
        shared: Draws that contain their patients.
    """
    points = [metrics.all_of(metrics.count(one.rows.label, one.score)) for one in models]
    drawn = [bootstrap.ranking(one.rows.label, one.score, shared.of(one)) for one in models]
    return {
        name: bootstrap.interval(
            float(np.mean([point[name] for point in points])),
            np.mean([draw[name] for draw in drawn], axis=0),
        )
        for name in FIGURES
    }


def difference(
    first: Sequence[OutOfFoldScores], second: Sequence[OutOfFoldScores], shared: SharedDraws
) -> PairedDifference:
    """Compute AUROC(first) - AUROC(second), each the mean over its seeds, with interval and p.

    Args:
        first: Models of one row, one per seed.
        second: Models of the other row, on the same nodes, which include both classes.
        shared: Draws that contain their patients.
    """
    value = mean_auroc(first) - mean_auroc(second)
    return bootstrap.difference(value, _drawn(first, shared) - _drawn(second, shared))


def on_common_nodes(rows: Sequence[Sequence[OutOfFoldScores]]) -> list[list[OutOfFoldScores]]:
    """Reduce every model of every row to the nodes that all of them have, in the same order."""
    nodes = reduce(np.intersect1d, [model.rows.node_id for row in rows for model in row])
    return [[_on(model, nodes) for model in row] for row in rows]


def has_both_classes(model: OutOfFoldScores) -> bool:
    """Return whether the model's nodes include both classes, so that AUROC is defined."""
    return bool(0 < model.rows.label.sum() < len(model.rows))


def check_one_cohort(models: Sequence[OutOfFoldScores]) -> None:
    """Refuse models with different facts about the same node.

    Raises:
        TrainerError: T25 tracking UIDs, patients or labels differ.
    """
    for column, found in (
        ("tracking_uid", "other tracking UIDs"),
        ("patient_id", "other patients"),
        ("label", "other labels"),
    ):
        known: dict[int, object] = {}
        for model in models:
            told = zip(
                model.rows.node_id.tolist(), getattr(model.rows, column).tolist(), strict=True
            )
            differ = sum(known.setdefault(node, value) != value for node, value in told)
            if differ:
                raise TrainerError(
                    "T25",
                    f"{model.name} has {found} than earlier runs for {differ} nodes "
                    "with the same id",
                    "runs on one database and one reader's labels",
                    "Reproduce each cohort in a folder of its own.",
                )


def _drawn(models: Sequence[OutOfFoldScores], shared: SharedDraws) -> np.ndarray:
    drawn = [bootstrap.aurocs(one.rows.label, one.score, shared.of(one)) for one in models]
    return np.mean(drawn, axis=0)


def _on(model: OutOfFoldScores, nodes: np.ndarray) -> OutOfFoldScores:
    return model.take(np.intersect1d(model.rows.node_id, nodes, return_indices=True)[1])
