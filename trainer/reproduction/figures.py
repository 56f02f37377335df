"""Draw the figures of a reproduced table: ROC, the sweeps of Fig. 2, and the AUROC by row.

A row that was not run is marked as missing or not drawn; no line is drawn across the gap.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from trainer.evaluation import metrics
from trainer.evaluation.figures import AXIS_COLOUR, EVERYWHERE, look, png
from trainer.evaluation.scored import OutOfFoldScores
from trainer.reproduction import ladders
from trainer.reproduction.comparing import Runs
from trainer.reproduction.labels import HEADINGS, SYMBOLS, label, paper, sweeps
from trainer.reproduction.ladders import FAINT, OURS, PAPER
from trainer.reproduction.results import RowResult, TableResult
from trainer.reproduction.rows import SWEEPS, SWEPT

SQUARE_IN, APART_IN = 6.8, 0.2
FALSE_RATES = np.linspace(0, 1, 401)
SWEPT_FIGURES = ("auroc", "a_at_s75")
MEANINGS: Mapping[str, str] = MappingProxyType(
    {"beta": "threshold of malignant", "omega": "loss weight", "gamma": "threshold of benign"}
)
"""Meaning of each swept parameter."""


LADDERS = ("networks", "table2")
"""Tables whose rows are networks, which are compared as bars."""


def draw(
    made: TableResult, runs: Runs, baseline: OutOfFoldScores | None = None
) -> dict[str, bytes]:
    """Draw every figure of a table, as PNG by file name; none if nothing was run.

    Args:
        made: The table as returned by `results.summarise`.
        runs: Runs that the table was made from.
        baseline: Scores of the short axis that the table was made from.
    """
    if not any(one.figures for one in made.found):
        return {}
    name = made.table.name
    with mpl.rc_context(EVERYWHERE):
        pictures = {f"{name}-roc.png": _roc(made, runs, baseline)}
        if sweeps(made.table):
            pictures[f"{name}-sweep.png"] = _sweeps(made)
        if made.room is not None:
            pictures[f"{name}-room.png"] = ladders.with_room(made, made.room)
        if name in LADDERS:
            pictures[f"{name}-ladder.png"] = ladders.of_networks(made)
        return {file: png(figure) for file, figure in pictures.items()}


def mean_curve(models: Sequence[OutOfFoldScores]) -> np.ndarray:
    """Compute the sensitivity at each of `FALSE_RATES`, the mean over the seeds of one row.

    For each seed it is the highest sensitivity with no more false positives than the given rate;
    nothing is interpolated.
    """
    curves = []
    for model in models:
        counts = metrics.count(model.rows.label, model.score)
        false = counts.false[0] / counts.negatives[0]
        last = np.searchsorted(false, FALSE_RATES, side="right") - 1
        curves.append(counts.true[0][last] / counts.positives[0])
    return np.mean(curves, axis=0)


def _roc(made: TableResult, runs: Runs, baseline: OutOfFoldScores | None) -> Figure:
    figure = Figure(figsize=(SQUARE_IN, SQUARE_IN), layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color=FAINT, linewidth=1, linestyle=":")
    for place, one in enumerate(made.found):
        if one.figures:
            curve = mean_curve([runs[one.row.name][seed] for seed in one.seeds])
            _curve(axes, curve, _named(made, one), look(place))
    if baseline is not None and made.baseline is not None:
        style = {"color": AXIS_COLOUR, "linestyle": (0, (1, 1))}
        _curve(axes, mean_curve([baseline]), _named(made, made.baseline), style)
    axes.set(xlabel="1 − specificity", ylabel="Sensitivity, mean over seeds", aspect="equal")
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), anchor="E")  # beside its legend
    title = f"{made.table.title}\nAUROC, pooled out of fold, %"
    beside = axes.legend(
        loc="center left", bbox_to_anchor=(1.01, 0.5), title=title, alignment="left"
    )
    figure.set_figwidth(SQUARE_IN + APART_IN + beside.get_window_extent().width / figure.dpi)
    return figure


def _curve(axes: Axes, curve: np.ndarray, name: str, style: dict) -> None:
    axes.plot([0, *FALSE_RATES], [0, *curve], label=name, **style)


def _named(made: TableResult, one: RowResult) -> str:
    return f"{label(made.table, one.row)}: {100 * one.figures['auroc'].value:.1f}"


def _sweeps(made: TableResult) -> Figure:
    """Draw one column per parameter and one row per figure, like the paper's Fig. 2."""
    found = {one.row.name: one for one in made.found}
    names = sweeps(made.table)
    figure = Figure(figsize=(4.6 * len(names) + 0.4, 7.2), layout="constrained")
    panels = figure.subplots(len(SWEPT_FIGURES), len(names), sharey="row", squeeze=False)
    for column, name in enumerate(names):
        for line, what in enumerate(SWEPT_FIGURES):
            axes = panels[line, column]
            _panel(axes, [found[row] for row in SWEEPS[name]], np.array(SWEPT[name]), what)
            axes.set_xlabel(f"{SYMBOLS[name]}, {MEANINGS[name]}")
    for line, what in enumerate(SWEPT_FIGURES):
        panels[line, 0].set_ylabel(f"{HEADINGS[what]}, %")
    ladders.explain(figure, panels[0, 0])
    return figure


def _panel(axes: Axes, rows: Sequence[RowResult], value: np.ndarray, what: str) -> None:
    """Draw our values with intervals, a gap if not run, and the paper's values if readable."""
    middle, below, above = ladders.percents([one.figures.get(what) for one in rows])
    axes.errorbar(
        value, middle, [below, above], fmt="o-", color=OURS, capsize=4,
        label="ours, 95 % interval",
    )  # fmt: skip
    printed = [paper(one.row, what) for one in rows]
    dots = np.array([np.nan if one is None else one for one in printed])
    axes.plot(value, dots, "D", color=PAPER, label="paper, its own cohort")
    for place in value[np.isnan(middle)]:
        axes.text(
            place, 0.04, "not run", transform=axes.get_xaxis_transform(), ha="center", color=FAINT
        )
    apart = 0.1 * (value[-1] - value[0])
    axes.set(xticks=value, xlim=(value[0] - apart, value[-1] + apart))
