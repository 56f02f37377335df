"""Runs to results: every figure with its interval, by group, beside the short axis, and tests."""

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

FEW = 5  # of a class: an interval from fewer is hardly one


@dataclass(frozen=True, kw_only=True)
class EvaluationRow:
    """One model in one group of nodes.

    Attributes:
        model: Name.
        by: all, fold, short axis, slice thickness or station.
        group: Which.
        nodes: In the group.
        patients: Whose nodes they are.
        positives: Malignant nodes.
        figures: Name to value and interval; a figure that is not defined here is absent.
        achieved: `r75`, `s75`: threshold chosen in this group and what it reaches.
        note: Why figures are absent or uncertain; empty where there is nothing to say.
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
    """AUROC(first) - AUROC(second) on the nodes that both have; None where not tested."""

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
    """What a run was, as far as its `run.json` says."""

    name: str
    described: dict[str, str]
    folds: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Everything that `lnscore eval` finds."""

    runs: tuple[RunFacts, ...]
    rows: tuple[EvaluationRow, ...]
    across_folds: tuple[AcrossFolds, ...]
    tests: tuple[PairedTest, ...]
    notes: tuple[str, ...]
    draws: int
    seed: int


def models(runs: Sequence[PredictedRun]) -> list[OutOfFoldScores]:
    """Every run, then the short axis and its rule on the run with the most nodes.

    Raises:
        TrainerError: T24 test labels of one class.
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
    """Compute every table.

    Args:
        runs: The first is the one that is tested against the others.
        scored: `models(runs)`.
        draws: Of the bootstrap.
        seed: Of the bootstrap.
        advance: Called with (models done, models).

    Raises:
        TrainerError: T25 two runs that cannot be of one database, or labelled otherwise.
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
    """The figures of one model on all its nodes, as an engine's manifest holds them.

    Args:
        model: Its nodes.
        prefix: Before each name, as `test_`.
        draws: Of the bootstrap.
        seed: Of the bootstrap.
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
        return f"no {absent} node: AUROC and its like are not defined"
    if min(positives, negatives) < FEW:
        scarce = "malignant" if positives < negatives else "benign"
        return f"only {min(positives, negatives)} {scarce}: hardly an estimate"
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
    """Sensitivity, specificity, accuracy at a threshold that was fixed beforehand."""
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
    """Pairs on common nodes: the first run against each other one, each run against the axis."""
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
                f"{first.name} and {second.name} have {found} for {differ} nodes of one number",
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
    """What makes a comparison of two models less than plain."""
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
