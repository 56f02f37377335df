"""Figures of a ledger: pseudo-labels over the epochs, and example nodes of each group."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from engines.patch import CROP
from trainer.evaluation.figures import COLOURS, EVERYWHERE, STYLES, png
from trainer.semi_supervised.ledger_summary import FoldLedger

WINDOW_HU = (-160, 240)
PLAIN: dict[Any, Any] = EVERYWHERE | {"axes.grid": False}
COLUMNS = 8
GROUPS: Mapping[str, tuple[pl.Expr, bool]] = {
    "labelled malignant": (pl.col("label") == 1, True),
    "malignant station, no label": (
        (pl.col("station") == "malignant") & (pl.col("label") < 0),
        True,
    ),
    "benign station, highest scores": (pl.col("station") == "benign", True),
    "labelled benign": (pl.col("label") == 0, False),
}
"""Rows of the example figure: which nodes, and whether the highest scores come first."""


def draw_counts(told: Sequence[FoldLedger]) -> bytes:
    """Draw, over the epochs, how many pseudo-labels there are and how many of them are right.

    The second panel needs a known truth.

    Returns:
        The figure as PNG.
    """
    judged = any(
        one.epochs[f"right_{name}"].count() for one in told for name in ("malignant", "benign")
    )
    with mpl.rc_context(EVERYWHERE):
        figure = Figure(figsize=(11.0 if judged else 6.5, 4.4), layout="constrained")
        axes = np.atleast_1d(figure.subplots(1, 1 + judged)).tolist()
        _lines(axes[0], told, {"malignant": "labelled malignant", "benign": "labelled benign"})
        axes[0].set(ylabel="Unlabelled nodes with a pseudo-label", yscale="symlog")
        axes[0].set_ylim(bottom=0)
        if judged:
            names = {"right_malignant": "malignant", "right_benign": "benign"}
            _lines(axes[1], told, names)
            axes[1].set(ylabel="Share of pseudo-labels that are right", ylim=(None, 1.01))
        return png(figure)


def _lines(axes: Axes, told: Sequence[FoldLedger], columns: Mapping[str, str]) -> None:
    for colour, (column, label) in zip(COLOURS, columns.items(), strict=False):
        for place, one in enumerate(told):
            rows = one.epochs.filter(pl.col(column).is_not_null())
            axes.plot(
                rows["epoch"].to_numpy(), rows[column].to_numpy(), color=colour,
                linestyle=STYLES[place % len(STYLES)], label=f"{label}, fold {one.fold}",
                marker="o" if rows.height < 3 else "",
            )  # fmt: skip
    axes.set_xlabel("Epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(fontsize=8)


def examples(told: FoldLedger) -> dict[str, pl.DataFrame]:
    """Return nodes of the last epoch for each group, at most as many as fit in one row."""
    return {
        name: told.last.filter(mask).sort("score", descending=highest).head(COLUMNS)
        for name, (mask, highest) in GROUPS.items()
    }


def draw_examples(chosen: Mapping[str, pl.DataFrame], patches: Mapping[int, np.ndarray]) -> bytes:
    """Draw the middle slice of every example with its score, as PNG.

    Args:
        chosen: Examples as returned by `examples`.
        patches: HU patches by node id, shape (18, 80, 80) each.
    """
    with mpl.rc_context(PLAIN):
        figure = Figure(figsize=(1.35 * COLUMNS, 1.8 * len(chosen)), layout="constrained")
        bands: Any = figure.subfigures(len(chosen), 1, squeeze=False)[:, 0]
        for band, (name, rows) in zip(bands, chosen.items(), strict=True):
            band.suptitle(name, x=0.005, ha="left", fontsize=9)
            line = band.subplots(1, COLUMNS)
            for axes in line:
                axes.set_axis_off()
            for axes, row in zip(line, rows.iter_rows(named=True), strict=False):
                crop = patches[row["node_id"]][None][CROP][0]
                axes.imshow(crop[len(crop) // 2], cmap="gray", vmin=WINDOW_HU[0], vmax=WINDOW_HU[1])
                axes.set_title(_caption(row), loc="left", fontsize=7, color=_colour(row))
        return png(figure)


def _caption(row: dict) -> str:
    truth = {None: "", 0: ", is benign", 1: ", is malignant"}[row["truth"]]
    return f"{row['score']:.2f}{truth}"


def _colour(row: dict) -> str:
    """Return the colour of the caption: a wrong pseudo-label is highlighted."""
    wrong = row["truth"] is not None and row["label"] >= 0 and row["truth"] != row["label"]
    return COLOURS[1] if wrong else "#222222"
