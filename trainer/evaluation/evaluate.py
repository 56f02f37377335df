"""Compute the results of runs: figures with intervals, by group, with the short axis, and tests."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from engines.manifest import Metric
from trainer.errors import TrainerError
from trainer.evaluation import bootstrap, metrics, significance, subgroups
from trainer.evaluation.bootstrap import DRAWS, Interval, PatientDraws
from trainer.evaluation.metrics import AtThreshold
from trainer.evaluation.predicted_run import PredictedRun
from trainer.evaluation.scored import SHORT_AXIS, OutOfFoldScores, by_rule, by_short_axis, of_run

FEW = 5  # nodes of a class; an interval from fewer is not reliable


@dataclass(frozen=True, kw_only=True)
class EvaluationRow:
    """Results of one model in one group of nodes.

    Attributes:
        model: Name of the model.
        by: Kind of the group: all, fold, short axis, slice thickness or station.
        group: Name of the group.
        nodes: Number of nodes in the group.
        patients: Number of patients in the group.
        positives: Number of malignant nodes.
        figures: Value and interval by name; a figure that is not defined here is absent.
        achieved: Thresholds chosen in this group, `r75` and `s75`, and what they reach.
        note: Reason why figures are absent or uncertain; empty without a reason.
    """

    model: str
    by: str
    group: str
    nodes: int
    patients: int
    positives: int
    figures: dict[str, Interval]
    achieved: dict[str, AtThreshold]
    note: str


@dataclass(frozen=True)
class AcrossFolds:
    """Mean and standard deviation (n - 1) of one figure over the folds."""

    model: str
    figure: str
    mean: float
    sd: float | None
    folds: int


@dataclass(frozen=True, kw_only=True)
class PairedTest:
    """Test of AUROC(first) - AUROC(second) on their common nodes; None if it was not tested."""

    first: str
    second: str
    nodes: int
    patients: int
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    p: float | None = None
    p_holm: float | None = None
    p_delong: float | None = None
    note: str = ""


@dataclass(frozen=True)
class RunFacts:
    """Description of a run, as far as its `run.json` has it."""

    name: str
    described: dict[str, str]
    folds: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """All results of `lnscore eval`."""

    runs: tuple[RunFacts, ...]
    rows: tuple[EvaluationRow, ...]
    across_folds: tuple[AcrossFolds, ...]
    tests: tuple[PairedTest, ...]
    notes: tuple[str, ...]
    draws: int
    seed: int


def models(runs: Sequence[PredictedRun]) -> list[OutOfFoldScores]:
    """Return the scores of every run, then of the short axis and of its rule.

    The last two are computed on the run with the most nodes.

    Raises:
        TrainerError: T24 all test labels are of one class.
    """
    scored = [of_run(run) for run in runs]
    largest = max(runs, key=lambda run: len(run.rows))
    baseline = by_short_axis(largest)
    return scored if baseline is None else [*scored, baseline, by_rule(baseline)]


def evaluate(
    runs: Sequence[PredictedRun],
    scored: Sequence[OutOfFoldScores],
    *,
    draws: int = DRAWS,
    seed: int = 0,
    advance: Callable[[int, int], None] = lambda done, total: None,
) -> Evaluation:
    """Compute the results for all tables.

    Args:
        runs: The runs; the first is tested against each other one.
        scored: Scores as returned by `models(runs)`.
        draws: Number of bootstrap draws.
        seed: Random seed of the bootstrap.
        advance: Callback, called with (models done, all models).

    Raises:
        TrainerError: T25 two runs are of different databases or have different labels.
    """
    rows: list[EvaluationRow] = []
    for done, model in enumerate(scored, 1):
        for by, group, chosen in subgroups.of(model.rows):
            rows.append(_row(model.take(chosen), by, group, draws, seed))
        advance(done, len(scored))
    pairs, notes = _planned(runs, scored)
    return Evaluation(
        runs=tuple(RunFacts(run.name, run.described, run.rows.folds) for run in runs),
        rows=tuple(rows),
        across_folds=tuple(_across_folds(rows)),
        tests=tuple(_adjusted([_test(first, second, draws, seed) for first, second in pairs])),
        notes=(*(note for model in scored for note in model.notes), *notes),
        draws=draws,
        seed=seed,
    )


def manifest_metrics(
    model: OutOfFoldScores, prefix: str, draws: int = DRAWS, seed: int = 0
) -> dict[str, Metric]:
    """Compute the figures of one model on all its nodes, in the form of an engine's manifest.

    Args:
        model: Scores of the model.
        prefix: Prefix of each name, such as `test_`.
        draws: Number of bootstrap draws.
        seed: Random seed of the bootstrap.
    """
    figures = _row(model, "all", "all", draws, seed).figures
    return {
        prefix + name: Metric(value=one.value, low=one.low, high=one.high)
        for name, one in figures.items()
    }


def _row(model: OutOfFoldScores, by: str, group: str, draws: int, seed: int) -> EvaluationRow:
    label, patient = model.rows.label, model.rows.patient_id
    drawn = bootstrap.patient_draws(patient, draws, seed)
    positives, negatives = int(label.sum()), int((label == 0).sum())
    both = bool(positives and negatives)
    figures = _ranked(model, drawn) if both and model.ranked else {}
    for name, called in model.calls.items():
        figures |= _called(label, called, name, drawn)
    achieved = {
        "r75": metrics.at_recall(label, model.score),
        "s75": metrics.at_specificity(label, model.score),
    }
    return EvaluationRow(
        model=model.name,
        by=by,
        group=group,
        nodes=len(label),
        patients=len(np.unique(patient)),
        positives=positives,
        figures=figures,
        achieved=achieved if both and model.ranked else {},
        note=_note(positives, negatives),
    )


def _note(positives: int, negatives: int) -> str:
    if not positives or not negatives:
        absent = "malignant" if negatives else "benign"
        return f"no {absent} node: AUROC and similar figures are not defined"
    if min(positives, negatives) < FEW:
        scarce = "malignant" if positives < negatives else "benign"
        return f"only {min(positives, negatives)} {scarce}: too few to estimate"
    return ""


def _ranked(model: OutOfFoldScores, draws: PatientDraws) -> dict[str, Interval]:
    label = model.rows.label
    point = {name: float(one[0]) for name, one in _all_of(label, model.score).items()}
    drawn = bootstrap.ranking(label, model.score, draws)
    figures = {name: bootstrap.interval(value, drawn[name]) for name, value in point.items()}
    if np.isfinite(model.calibrated).all():
        squared = (model.calibrated - label) ** 2
        brier = draws.mean(squared, np.ones(len(label), bool))
        figures["brier"] = bootstrap.interval(float(squared.mean()), brier)
    return figures


def _all_of(label: np.ndarray, score: np.ndarray) -> dict[str, np.ndarray]:
    return metrics.all_of(metrics.count(label, score))


def _called(
    label: np.ndarray, called: np.ndarray, name: str, draws: PatientDraws
) -> dict[str, Interval]:
    """Compute sensitivity, specificity and accuracy at a threshold that was fixed beforehand."""
    right = called == (label == 1)
    figures = {}
    for figure, among in (
        ("sensitivity", label == 1),
        ("specificity", label == 0),
        ("accuracy", np.ones(len(label), bool)),
    ):
        if among.any():
            value = float(right[among].mean())
            figures[f"{figure}_{name}"] = bootstrap.interval(value, draws.mean(right, among))
    return figures


def _across_folds(rows: Sequence[EvaluationRow]) -> list[AcrossFolds]:
    values: dict[tuple[str, str], list[float]] = {}
    for row in rows:
        if row.by == "fold":
            for name, figure in row.figures.items():
                values.setdefault((row.model, name), []).append(figure.value)
    return [
        AcrossFolds(
            model,
            figure,
            float(np.mean(found)),
            float(np.std(found, ddof=1)) if len(found) > 1 else None,
            len(found),
        )
        for (model, figure), found in values.items()
    ]


def _planned(
    runs: Sequence[PredictedRun], scored: Sequence[OutOfFoldScores]
) -> tuple[list[tuple[OutOfFoldScores, OutOfFoldScores]], list[str]]:
    """Return the pairs to test on common nodes, and notes about them.

    The first run is tested against each other run, and each run against the short axis.
    """
    networks = scored[: len(runs)]
    baseline = [model for model in scored if model.name == SHORT_AXIS and model.ranked]
    pairs = [(networks[0], other) for other in networks[1:]]
    pairs += [(network, axis) for axis in baseline[-1:] for network in networks]
    notes, common = [], []
    for first, second in pairs:
        both = _common(first, second)
        common.append(both)
        notes += _differences(first, second, *both)
    return common, notes


def _common(
    first: OutOfFoldScores, second: OutOfFoldScores
) -> tuple[OutOfFoldScores, OutOfFoldScores]:
    _, one, two = np.intersect1d(first.rows.node_id, second.rows.node_id, return_indices=True)
    first_rows, second_rows = first.rows.take(one), second.rows.take(two)
    for column, found in (
        ("tracking_uid", "other tracking UIDs"),
        ("patient_id", "other patients"),
        ("label", "other labels"),
    ):
        differ = int((getattr(first_rows, column) != getattr(second_rows, column)).sum())
        if differ:
            raise TrainerError(
                "T25",
                f"{first.name} and {second.name} have {found} for {differ} nodes with the same id",
                "runs on one database and one reader's labels",
                "Evaluate them apart, or train both on the same labels.",
            )
    return first.take(one), second.take(two)


def _differences(
    whole_first: OutOfFoldScores,
    whole_second: OutOfFoldScores,
    first: OutOfFoldScores,
    second: OutOfFoldScores,
) -> list[str]:
    """Return notes on what limits the comparison of two models."""
    notes = []
    names = f"{whole_first.name} and {whole_second.name}"
    shared, most = len(first.score), max(len(whole_first.score), len(whole_second.score))
    if shared < most:
        notes.append(f"{names} share {shared} of {most} nodes; they are compared on those")
    moved = int((first.rows.fold != second.rows.fold).sum())
    if moved:
        notes.append(f"{names} were split differently: {moved} nodes lie in other folds")
    return notes


def _test(first: OutOfFoldScores, second: OutOfFoldScores, draws: int, seed: int) -> PairedTest:
    label, patient = first.rows.label, first.rows.patient_id
    plain = PairedTest(
        first=first.name, second=second.name, nodes=len(label), patients=len(np.unique(patient))
    )
    if not 0 < label.sum() < len(label):
        return replace(plain, note="not tested: the common nodes lack a class")
    drawn = bootstrap.patient_draws(patient, draws, seed)
    found = bootstrap.paired(label, first.score, second.score, drawn)
    second_opinion = significance.delong(label, first.score, second.score)
    return replace(
        plain,
        difference=found.value,
        low=found.low,
        high=found.high,
        p=found.p,
        p_delong=second_opinion.p,
    )


def _adjusted(tests: Sequence[PairedTest]) -> list[PairedTest]:
    adjusted = iter(significance.holm([test.p for test in tests if test.p is not None]))
    return [test if test.p is None else replace(test, p_holm=next(adjusted)) for test in tests]
