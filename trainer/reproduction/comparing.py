"""Compare rows: the planned tests, and gains as a share of the room.

The room is AUROC(all labels) - AUROC(supervised): the gain if all nodes were labelled.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from trainer.evaluation import significance
from trainer.evaluation.bootstrap import Interval, PairedDifference
from trainer.evaluation.scored import OutOfFoldScores
from trainer.reproduction import averaged
from trainer.reproduction.averaged import SharedDraws
from trainer.reproduction.rows import ROWS, Comparison, PaperTable, Training

Runs = Mapping[str, Mapping[int, OutOfFoldScores]]
"""Scores of the test nodes, by name of the row and by seed."""


@dataclass(frozen=True, kw_only=True)
class ComparisonResult:
    """Result of a planned test on the seeds and nodes of both rows; None if it was not tested.

    Attributes:
        comparison: The two rows.
        seeds: Seeds that both rows have.
        nodes: Number of nodes that both rows have in every seed.
        patients: Number of patients of these nodes.
        difference: Difference of the AUROCs, each the mean over the seeds.
        low: Lower bound of its 95 % interval.
        high: Upper bound of its 95 % interval.
        p: Two-sided p value of the paired patient-cluster bootstrap.
        p_holm: The same p, corrected by Holm for the tests of the table that could be run.
        p_delong: p value of DeLong's test on probabilities averaged over the seeds.
        note: Reason why it was not tested.
    """

    comparison: Comparison
    seeds: tuple[int, ...] = ()
    nodes: int = 0
    patients: int = 0
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    p: float | None = None
    p_holm: float | None = None
    p_delong: float | None = None
    note: str = ""


@dataclass(frozen=True)
class Gain:
    """Gain of one row over the supervised row.

    Attributes:
        row: The row.
        seeds: Seeds that it has in common with the supervised and the all-labels row; with the
            supervised row alone if all three have none in common.
        gain: AUROC(row) - AUROC(supervised); None if one of them was not run.
        share: Gain divided by the room on the same seeds and nodes; None if there is no room.
    """

    row: Training
    seeds: tuple[int, ...] = ()
    gain: Interval | None = None
    share: float | None = None


@dataclass(frozen=True)
class LabelHeadroom:
    """The gain that would be possible if all unlabelled nodes were labelled.

    Attributes:
        seeds: Seeds that the supervised and the all-labels row have in common.
        room: AUROC(all labels) - AUROC(supervised); None if one was not run.
        gains: Gains of all other rows, the all-labels row included.
    """

    seeds: tuple[int, ...]
    room: Interval | None
    gains: tuple[Gain, ...]


def run_tests(
    planned: Sequence[Comparison], runs: Runs, shared: SharedDraws
) -> list[ComparisonResult]:
    """Run the planned tests in order; Holm's correction counts those that could be run."""
    tests = [_tested(comparison, runs, shared) for comparison in planned]
    adjusted = iter(significance.holm([test.p for test in tests if test.p is not None]))
    return [test if test.p is None else replace(test, p_holm=next(adjusted)) for test in tests]


def find_room(table: PaperTable, runs: Runs, shared: SharedDraws) -> LabelHeadroom:
    """Compute the room of a table and the gain of every row that starts from its supervised row."""
    top = _gain(table.all_labels, table, runs, shared)
    others = [name for name in table.rows if ROWS[name].start == table.supervised]
    gains = tuple(_gain(name, table, runs, shared) for name in others)
    return LabelHeadroom(top.seeds, top.gain, gains)


def _tested(comparison: Comparison, runs: Runs, shared: SharedDraws) -> ComparisonResult:
    names = (comparison.first, comparison.second)
    absent = [ROWS[name].label for name in names if not runs[name]]
    if absent:
        return ComparisonResult(comparison=comparison, note=f"not run: {', '.join(absent)}")
    seeds = _common_seeds(runs, names)
    if not seeds:
        return ComparisonResult(comparison=comparison, note="not tested: no common seed")
    first, second = _together(runs, names, seeds)
    rows = first[0].rows
    plain = ComparisonResult(
        comparison=comparison,
        seeds=seeds,
        nodes=len(rows),
        patients=len(np.unique(rows.patient_id)),
    )
    if not averaged.has_both_classes(first[0]):
        return replace(plain, note="not tested: the common nodes lack a class")
    found = averaged.difference(first, second, shared)
    return replace(
        plain,
        difference=found.value,
        low=found.low,
        high=found.high,
        p=found.p,
        p_delong=significance.delong(rows.label, _mean_score(first), _mean_score(second)).p,
    )


def _gain(name: str, table: PaperTable, runs: Runs, shared: SharedDraws) -> Gain:
    names = (name, table.supervised, table.all_labels)
    seeds = _common_seeds(runs, names)
    if not seeds:
        names = names[:2]
        seeds = _common_seeds(runs, names)
    if not seeds:
        return Gain(ROWS[name])
    first, supervised, *top = _together(runs, names, seeds)
    if not averaged.has_both_classes(first[0]):
        return Gain(ROWS[name], seeds)
    found = averaged.difference(first, supervised, shared)
    room = averaged.mean_auroc(top[0]) - averaged.mean_auroc(supervised) if top else 0.0
    share = found.value / room if room > 0 else None
    return Gain(ROWS[name], seeds, _interval(found), share)


def _common_seeds(runs: Runs, names: Sequence[str]) -> tuple[int, ...]:
    return tuple(sorted(set.intersection(*(set(runs[name]) for name in names))))


def _together(
    runs: Runs, names: Sequence[str], seeds: Sequence[int]
) -> list[list[OutOfFoldScores]]:  # fmt: skip
    return averaged.on_common_nodes([[runs[name][seed] for seed in seeds] for name in names])


def _mean_score(models: Sequence[OutOfFoldScores]) -> np.ndarray:
    return np.mean([model.score for model in models], axis=0)


def _interval(found: PairedDifference) -> Interval:
    return Interval(found.value, found.low, found.high)
