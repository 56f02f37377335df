"""Draw a table as a figure with one line per row, from top to bottom, showing its AUROC."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from trainer.evaluation.bootstrap import Interval
from trainer.evaluation.figures import COLOURS
from trainer.evaluation.tables import percent
from trainer.reproduction.comparing import Gain, LabelHeadroom
from trainer.reproduction.labels import MARKED, label, paper, parts
from trainer.reproduction.results import RowResult, TableResult
from trainer.reproduction.rows import Training

OURS, PAPER, SHADE, FAINT = COLOURS[0], COLOURS[1], COLOURS[2], "#999999"
CHANCE = 50  # AUROC of a random score, percent; bars begin here
WIDE_IN, LINE_IN = 10.6, 0.5
"""Width of the figure and height of one of its lines, inches."""


def of_networks(made: TableResult) -> Figure:
    """Draw bars with intervals; the paper's figures and the short axis are marked."""
    names = [_composed(made, one.row) for one in made.found]
    figure, axes = _lines(names)
    middle, below, above = percents(_aurocs(made.found))
    place = np.arange(len(names))
    axes.barh(
        place, middle - CHANCE, left=CHANCE, height=0.6, color=OURS, alpha=0.55,
        xerr=[below, above], capsize=4, ecolor="black", label="ours, 95 % interval",
    )  # fmt: skip
    printed = [paper(one.row, "auroc") for one in made.found]
    dots = np.array([np.nan if one is None else one for one in printed])
    axes.plot(dots, place, "D", color=PAPER, label="paper, its own cohort")
    if made.baseline is not None:
        short_axis = 100 * made.baseline.figures["auroc"].value
        axes.axvline(short_axis, color=FAINT, linestyle="--", label="short axis alone")
    for line, one in enumerate(made.found):
        _beside(axes, line, percent(one.figures["auroc"]) if one.figures else "not run")
    lowest = np.nanmin([CHANCE, *(middle - below)])
    axes.set(xlim=(lowest if lowest < CHANCE else CHANCE, 100), xlabel="AUROC, % (50 is chance)")
    explain(figure, axes)
    return figure


def with_room(made: TableResult, room: LabelHeadroom) -> Figure:
    """Draw points with intervals and each seed; the room is shaded.

    The room lies between the supervised and the all-labels row.
    """
    figure, axes = _lines([label(made.table, one.row) for one in made.found])
    _shade(axes, made)
    middle, below, above = percents(_aurocs(made.found))
    place = np.arange(len(made.found))
    axes.errorbar(
        middle, place, xerr=[below, above], fmt="o", color=OURS, capsize=4,
        label="mean over seeds, 95 % interval",
    )  # fmt: skip
    seeds = [(100 * v, line) for line, one in enumerate(made.found) for v in one.per_seed.values()]
    axes.plot(*np.reshape(seeds, (-1, 2)).T, "|", color="black", markersize=9, label="one seed")
    gains = {gain.row.name: gain for gain in room.gains}
    for line, one in enumerate(made.found):
        _beside(axes, line, _told(one, gains.get(one.row.name)))
    axes.set_xlabel("AUROC, pooled out of fold, %")
    explain(figure, axes)
    return figure


def explain(figure: Figure, axes: Axes) -> None:
    """Add one legend above all axes, with the paper or the room as its last entry."""
    handles, names = axes.get_legend_handles_labels()
    figure.legend(handles[::-1], names[::-1], loc="outside upper center", ncols=len(names))


def percents(figures: Sequence[Interval | None]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return values and the lengths of their lower and upper error bars; NaN if there is none."""
    nothing = Interval(np.nan)
    rows = [
        (one.value, one.value if one.low is None else one.low,
         one.value if one.high is None else one.high)
        for one in (figure or nothing for figure in figures)
    ]  # fmt: skip
    middle, low, high = 100 * np.array(rows).T
    return middle, np.maximum(middle - low, 0), np.maximum(high - middle, 0)


def _composed(made: TableResult, row: Training) -> str:
    """Return the parts of a row in the ablation table; its label in other tables."""
    if row.truth or made.table.name not in MARKED:
        return label(made.table, row)
    return " + ".join(parts(row)) or "3D"


def _aurocs(found: Sequence[RowResult]) -> list[Interval | None]:
    return [one.figures.get("auroc") for one in found]


def _lines(names: Sequence[str]) -> tuple[Figure, Axes]:
    """Make axes with one line per name, the first at the top."""
    size_in = (WIDE_IN, 1.5 + LINE_IN * len(names))
    figure = Figure(figsize=size_in, layout="constrained")
    axes = figure.subplots()
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.grid(visible=False, axis="y")
    axes.set_axisbelow(True)
    return figure, axes


def _beside(axes: Axes, line: int, text: str) -> None:
    axes.text(1.02, line, text, transform=axes.get_yaxis_transform(), va="center", fontsize=10)


def _shade(axes: Axes, made: TableResult) -> None:
    """Shade the room, between the values of the two rows as they are drawn."""
    ends = [
        100 * one.figures["auroc"].value
        for name in (made.table.supervised, made.table.all_labels)
        for one in made.found
        if one.row.name == name and one.figures
    ]
    if len(ends) == 2 and ends[0] < ends[1]:
        axes.axvspan(*ends, color=SHADE, alpha=0.15, linewidth=0, label="room")


def _told(one: RowResult, gain: Gain | None) -> str:
    """Return the text beside a row: the value, the gain in points and its share of the room."""
    if not one.figures:
        return "not run"
    text = f"{100 * one.figures['auroc'].value:.1f}"
    if gain is not None and gain.gain is not None:
        text += f"  {100 * gain.gain.value:+.1f}"
    if gain is not None and gain.share is not None:
        text += f"  ({100 * gain.share:.0f} % of the room)"
    return text.replace("-", "−")
