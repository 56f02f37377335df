"""Compute the content of a table from its runs: means over seeds, planned tests, the room.

What was not run stays empty; nothing is interpolated.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from trainer.evaluation.bootstrap import DRAWS, Interval
from trainer.evaluation.scored import SHORT_AXIS, OutOfFoldScores
from trainer.reproduction import averaged, comparing
from trainer.reproduction.averaged import SharedDraws
from trainer.reproduction.comparing import ComparisonResult, LabelHeadroom, Runs
from trainer.reproduction.rows import ROWS, PaperTable, Training

BASELINE = Training(name=SHORT_AXIS, label="Short axis", group="reference", network="")


@dataclass(frozen=True, kw_only=True)
class RowResult:
    """Results of one row of a table; without seeds and figures if the row was not run.

    Attributes:
        row: The row.
        seeds: Seeds with all folds, ascending; none for the short axis.
        figures: Mean over seeds and its interval, for each name in `averaged.FIGURES`.
        sd: Standard deviation of AUROC over seeds (n - 1), None for fewer than two.
        per_seed: AUROC by seed.
        nodes: Number of nodes with an out-of-fold score in any seed.
        positives: Number of malignant nodes among them.
        patients: Number of patients of these nodes.
    """

    row: Training
    seeds: tuple[int, ...] = ()
    figures: dict[str, Interval] = field(default_factory=dict)
    sd: float | None = None
    per_seed: dict[int, float] = field(default_factory=dict)
    nodes: int = 0
    positives: int = 0
    patients: int = 0


@dataclass(frozen=True, kw_only=True)
class TableResult:
    """All results of a table.

    Attributes:
        table: The definition of the table.
        found: Results of every row, in order.
        tests: Results of every planned test, in order.
        room: The room and the gains; None for a table without an all-labels row.
        baseline: Results of the short axis, None if no run has it.
        notes: Warnings for the reader, in sentences.
        draws: Number of bootstrap draws.
        seed: Random seed of the bootstrap.
    """

    table: PaperTable
    found: tuple[RowResult, ...]
    tests: tuple[ComparisonResult, ...]
    room: LabelHeadroom | None
    baseline: RowResult | None
    notes: tuple[str, ...]
    draws: int
    seed: int


def summarise(
    table: PaperTable,
    runs: Runs,
    draws: int = DRAWS,
    seed: int = 0,
    baseline: OutOfFoldScores | None = None,
) -> TableResult:
    """Compute a table from its finished runs.

    Args:
        table: The definition of the table; runs of other rows are ignored.
        runs: Scores (`scored.of_run`) by row and seed; a seed with fewer folds than others is left
            out.
        draws: Number of bootstrap draws.
        seed: Random seed of the bootstrap.
        baseline: Scores of the short axis (`scored.by_short_axis`) on any of the runs.

    Raises:
        TrainerError: T25 the runs are of different databases or have different labels.
    """
    whole, left_out = _whole(table, runs)
    models = [model for seeds in whole.values() for model in seeds.values()]
    models += [] if baseline is None else [baseline]
    averaged.check_one_cohort(models)
    shared = averaged.shared_draws(models, draws, seed)
    return TableResult(
        table=table,
        found=tuple(_found(ROWS[name], whole[name], shared) for name in table.rows),
        tests=tuple(comparing.run_tests(table.planned, whole, shared)),
        room=comparing.find_room(table, whole, shared) if table.all_labels else None,
        baseline=None if baseline is None else _reference(baseline, shared),
        notes=(*left_out, *_unlike(whole)),
        draws=draws,
        seed=seed,
    )


def _whole(
    table: PaperTable, runs: Runs
) -> tuple[dict[str, dict[int, OutOfFoldScores]], list[str]]:
    """Return the runs that have all folds, seeds ascending, and notes on runs left out."""
    given = {name: dict(sorted(runs.get(name, {}).items())) for name in table.rows}
    asked = {fold for seeds in given.values() for one in seeds.values() for fold in one.rows.folds}
    notes = []
    for name, seeds in given.items():
        for number, one in list(seeds.items()):
            if absent := sorted(asked - set(one.rows.folds)):
                folds = ", ".join(map(str, absent))
                notes.append(f"{name}, seed {number}, is left out: fold {folds} is missing")
                del seeds[number]
    return given, notes


def _found(row: Training, seeds: Mapping[int, OutOfFoldScores], shared: SharedDraws) -> RowResult:
    if not seeds:
        return RowResult(row=row)
    per_seed = {number: averaged.auroc(model) for number, model in seeds.items()}
    rows = [model.rows for model in seeds.values()]
    _, first = np.unique(np.concatenate([one.node_id for one in rows]), return_index=True)
    return RowResult(
        row=row,
        seeds=tuple(seeds),
        figures=averaged.figures(list(seeds.values()), shared),
        sd=float(np.std(list(per_seed.values()), ddof=1)) if len(seeds) > 1 else None,
        per_seed=per_seed,
        nodes=len(first),
        positives=int(np.concatenate([one.label for one in rows])[first].sum()),
        patients=len(np.unique(np.concatenate([one.patient_id for one in rows]))),
    )


def _reference(baseline: OutOfFoldScores, shared: SharedDraws) -> RowResult:
    return replace(_found(BASELINE, {0: baseline}, shared), seeds=(), per_seed={})


def _unlike(runs: Runs) -> list[str]:
    """Return notes on runs whose nodes or folds differ from those of the first run."""
    named = [(f"{name}, seed {s}", one) for name, seeds in runs.items() for s, one in seeds.items()]
    notes = []
    for name, model in named[1:]:
        first = named[0][1].rows
        _, here, there = np.intersect1d(first.node_id, model.rows.node_id, return_indices=True)
        most = max(len(first), len(model.rows))
        moved = int((first.fold[here] != model.rows.fold[there]).sum())
        if len(here) < most:
            notes.append(f"{name}, shares {len(here)} of {most} nodes with {named[0][0]}")
        if moved:
            notes.append(f"{name}, has {moved} nodes in other folds than {named[0][0]}")
    return notes
