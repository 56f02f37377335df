"""Out-of-fold scores of a model's test nodes, for tables and figures.

The short axis is treated as a model too.
"""

from dataclasses import dataclass, replace

import numpy as np

from trainer.evaluation import calibrate, metrics
from trainer.evaluation.predicted_run import PredictedRun
from trainer.runs.predictions import TEST, VALIDATION, Predictions, concat

SHORT_AXIS = "short axis"
RULE_MM = 10.0
RULE = f"short axis >= {RULE_MM:g} mm"
"""The rule of clinical routine: a node of 10 mm or more is called malignant."""


@dataclass(frozen=True, kw_only=True)
class OutOfFoldScores:
    """Out-of-fold scores of one model; every array has shape (node,).

    Attributes:
        name: Name of the model.
        rows: Test rows with the facts of each node.
        score: Score that ranks the nodes and that thresholds apply to.
        calibrated: Probability calibrated on the fold's validation part, NaN without calibration.
        calls: Called malignant or not, bool, by name of a threshold fixed without test labels.
        ranked: False for a rule, which has calls but no score.
        notes: Warnings for the reader, in sentences.
    """

    name: str
    rows: Predictions
    score: np.ndarray
    calibrated: np.ndarray
    calls: dict[str, np.ndarray]
    ranked: bool = True
    notes: tuple[str, ...] = ()

    def take(self, chosen: np.ndarray) -> "OutOfFoldScores":
        """Return some of the nodes, by index or by a bool mask of shape (node,)."""
        return replace(
            self,
            rows=self.rows.take(chosen),
            score=self.score[chosen],
            calibrated=self.calibrated[chosen],
            calls={name: called[chosen] for name, called in self.calls.items()},
        )


def of_run(run: PredictedRun) -> OutOfFoldScores:
    """Return the scores of a network, which are its raw fused probabilities.

    The validation part of each fold calibrates them.

    Raises:
        TrainerError: T24 all test labels are of one class.
    """
    rows = run.rows.of(TEST)
    calibrate.check_classes(rows.label, f"the test part of {run.name}")
    parts = [_fold(run.rows, fold, run.rows.probability, run.rows.logit) for fold in rows.folds]
    notes = [f"{run.name}, {note}" for part in parts for note in part.notes]
    if run.missing:
        absent = ", ".join(map(str, run.missing))
        notes.append(f"{run.name}: fold {absent} is missing; its patients are in no figure")
    return _joined(run.name, parts, notes)


def by_short_axis(run: PredictedRun) -> OutOfFoldScores | None:
    """Return the short axis as the score, on the nodes that have one.

    Returns:
        None if these nodes lack a class.
    """
    measured = run.rows.take(np.isfinite(run.rows.short_axis_mm))
    rows = measured.of(TEST)
    if not 0 < rows.label.sum() < len(rows):
        return None
    axis = measured.short_axis_mm
    parts = [_fold(measured, fold, axis, axis) for fold in rows.folds]
    notes = [f"{SHORT_AXIS}, {note}" for part in parts for note in part.notes]
    without = len(run.rows.of(TEST)) - len(rows)
    if without:
        notes.append(f"{SHORT_AXIS}: {without} nodes without an outline have no axis; left out")
    return _joined(SHORT_AXIS, parts, notes)


def by_rule(baseline: OutOfFoldScores) -> OutOfFoldScores:
    """Return the calls of the short-axis rule on the same nodes."""
    return replace(
        baseline,
        name=RULE,
        calibrated=np.full(len(baseline.score), np.nan),
        calls={"rule": baseline.rows.short_axis_mm >= RULE_MM},
        ranked=False,
        notes=(),
    )


def _fold(rows: Predictions, fold: int, score: np.ndarray, logit: np.ndarray) -> OutOfFoldScores:
    """Score one fold's test nodes; calibration and thresholds never use their labels."""
    test = (rows.part == TEST) & (rows.fold == fold)
    fitting = (rows.part == VALIDATION) & (rows.fold == fold)
    nodes = int(test.sum())
    plain = OutOfFoldScores(
        name="",
        rows=rows.take(test),
        score=score[test],
        calibrated=np.full(nodes, np.nan),
        calls={},
    )
    label = rows.label[fitting]
    if not 0 < label.sum() < len(label):
        note = f"fold {fold}: no validation nodes of both classes, so no calibration"
        return replace(plain, notes=(note,))
    calibration, clipped = calibrate.fit_calibration(label, logit[fitting])
    thresholds = {
        "recall75": metrics.at_recall(label, score[fitting]).threshold,
        "specificity75": metrics.at_specificity(label, score[fitting]).threshold,
    }
    flat = f"fold {fold}: scores do not rise with malignancy on validation; calibration is flat"
    return replace(
        plain,
        calibrated=calibrate.calibrated(calibration, logit[test]),
        calls={name: score[test] >= threshold for name, threshold in thresholds.items()},
        notes=(flat,) if clipped else (),
    )


def _joined(name: str, parts: list[OutOfFoldScores], notes: list[str]) -> OutOfFoldScores:
    everywhere = [call for call in parts[0].calls if all(call in part.calls for part in parts)]
    return OutOfFoldScores(
        name=name,
        rows=concat([part.rows for part in parts]),
        score=np.concatenate([part.score for part in parts]),
        calibrated=np.concatenate([part.calibrated for part in parts]),
        calls={call: np.concatenate([part.calls[call] for part in parts]) for call in everywhere},
        notes=tuple(notes),
    )
