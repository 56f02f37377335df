"""Draw the figures of an evaluation: ROC, precision-recall, calibration, decision, learning.

The colours are those of Okabe and Ito, which colour-blind readers can distinguish; line styles
differ as well.
"""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from trainer.evaluation import bootstrap, metrics
from trainer.evaluation.scored import RULE, SHORT_AXIS, OutOfFoldScores
from trainer.runs.directory import read_log

Corner = Literal["upper left", "upper right", "lower right"]

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
STYLES = ("-", (0, (7, 1.5)), (0, (3, 1.2)), (0, (7, 1.5, 1.5, 1.5)))
AXIS_COLOUR = "#444444"
BINS = 10
BAND_DRAWS = 500
DPI = 120
RISK_CAP = 0.6
TICKS = (0, 0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1)
READABLE = 4  # calibration curves cross, so more of them cannot be followed
INSIDE = 7  # a legend with more entries is placed beside the axes
EVERYWHERE: dict[Any, Any] = {
    "font.size": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "figure.dpi": DPI,
    "lines.linewidth": 1.8,
}


def draw(models: Sequence[OutOfFoldScores], draws: int, seed: int) -> dict[str, bytes]:
    """Draw every figure of the test nodes, as PNG by file name.

    Args:
        models: Models as returned by `evaluate.models`; the rule is a point, not a curve.
        draws: Number of bootstrap draws for the band of the ROC curve.
        seed: Random seed of the draws.
    """
    ranked = [model for model in models if model.ranked]
    rules = [model for model in models if not model.ranked]
    judged = [model for model in ranked if np.isfinite(model.calibrated).all()]
    with mpl.rc_context(EVERYWHERE):
        pictures = {
            "roc.png": _roc(ranked, rules, draws, seed),
            "precision-recall.png": _precision_recall(ranked, rules),
        }
        if judged:
            pictures["calibration.png"] = _calibration(judged)
            pictures["decision.png"] = _decision(judged, rules)
        return {name: png(figure) for name, figure in pictures.items()}


def draw_learning(folder: Path) -> bytes | None:
    """Draw loss and validation AUROC of every fold of a run, as PNG; None without a log."""
    return _learning(sorted(folder.glob("fold-*/log.jsonl")))


def draw_fold(place: Path) -> bytes | None:
    """Draw loss and validation AUROC of one fold, as PNG; None without a log."""
    return _learning(sorted(place.glob("log.jsonl")))


def _learning(files: Sequence[Path]) -> bytes | None:
    logs = {path.parent.name: read_log(path) for path in files}
    logs = {fold: lines for fold, lines in logs.items() if lines}
    if not logs:
        return None
    with mpl.rc_context(EVERYWHERE):
        figure, (left, right) = _panels(2, (10.5, 4.3))
        for place, (fold, lines) in enumerate(logs.items()):
            for axes, wanted in ((left, ("loss", "train_loss")), (right, ("validation_auroc",))):
                key = next((name for name in wanted if any(name in line for line in lines)), "")
                points = [(line["epoch"], line[key]) for line in lines if line.get(key) is not None]
                if points:
                    axes.plot(
                        *zip(*points, strict=True),
                        **look(place),
                        label=fold.replace("-", " "),
                        marker="o" if len(points) < 3 else "",
                    )
        left.set(xlabel="Epoch", ylabel="Training loss")
        right.set(xlabel="Epoch", ylabel="AUROC on validation")
        for axes in (left, right):
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            axes.legend() if axes.lines else axes.text(
                0.5, 0.5, "not logged", ha="center", transform=axes.transAxes
            )
        return png(figure)


def _roc(
    ranked: Sequence[OutOfFoldScores], rules: Sequence[OutOfFoldScores], draws: int, seed: int
) -> Figure:  # fmt: skip
    figure, (axes,) = _panels(1, (6.6, 6.6))
    axes.plot([0, 1], [0, 1], color="#999999", linewidth=1, linestyle=":")
    for place, model in enumerate(ranked):
        counts = metrics.count(model.rows.label, model.score)
        area = float(metrics.auroc(counts)[0])
        style = _look_of(model, place)
        axes.plot(
            counts.false[0] / counts.negatives[0],
            counts.true[0] / counts.positives[0],
            label=f"{model.name}: {area:.3f}",
            **style,
        )
        if place == 0 and draws:
            _band(axes, model, draws, seed, str(style["color"]))
    for rule in rules:
        called, label = rule.calls["rule"], rule.rows.label
        axes.plot(
            called[label == 0].mean(), called[label == 1].mean(), "D", color=AXIS_COLOUR,
            markersize=8, label=RULE.replace(">=", "≥"), linestyle="none",
        )  # fmt: skip
    axes.set(xlabel="1 − specificity", ylabel="Sensitivity", aspect="equal")
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01))
    _legend(figure, axes, "lower right", "AUROC, pooled out of fold\n(95 % band of the first)")
    return figure


def _band(axes: Axes, model: OutOfFoldScores, draws: int, seed: int, colour: str) -> None:
    """Draw the 95 % band of sensitivity at each specificity, from draws of patients."""
    label, grid = model.rows.label, np.linspace(0, 1, 101)
    drawn = bootstrap.patient_draws(model.rows.patient_id, draws, seed)
    curves = []
    for times in drawn.times.astype(np.int64)[:, drawn.place]:
        counts = metrics.count(label, model.score, times[None])
        if counts.positives[0] and counts.negatives[0]:
            false = counts.false[0] / counts.negatives[0]
            last = np.searchsorted(false, grid, side="right") - 1
            curves.append(counts.true[0][last] / counts.positives[0])
    if curves:
        low, high = np.percentile(curves, [2.5, 97.5], axis=0)
        axes.fill_between(grid, low, high, color=colour, alpha=0.15, linewidth=0)


def _precision_recall(
    ranked: Sequence[OutOfFoldScores], rules: Sequence[OutOfFoldScores]
) -> Figure:
    figure, (axes,) = _panels(1, (7.2, 6.0))
    for place, model in enumerate(ranked):
        counts = metrics.count(model.rows.label, model.score)
        recall = counts.true[0, 1:] / counts.positives[0]
        precision = counts.true[0, 1:] / (counts.true[0, 1:] + counts.false[0, 1:])
        average = float(metrics.average_precision(counts)[0])
        axes.step(
            np.concatenate([[0], recall]),
            np.concatenate([precision[:1], precision]),
            where="pre",
            label=f"{model.name}: {average:.3f}",
            **_look_of(model, place),
        )
    for rule in rules:
        called, label = rule.calls["rule"], rule.rows.label
        if called.any():
            axes.plot(
                called[label == 1].mean(), label[called].mean(), "D", color=AXIS_COLOUR,
                markersize=8, label=RULE.replace(">=", "≥"), linestyle="none",
            )  # fmt: skip
    share = float(ranked[0].rows.label.mean())
    axes.axhline(
        share, color="#999999", linewidth=1, linestyle=":", label=f"prevalence: {share:.3f}"
    )
    axes.set(xlabel="Recall (sensitivity)", ylabel="Precision (positive predictive value)")
    axes.set(xlim=(0, 1.01), ylim=(0, 1.01))
    _legend(figure, axes, "upper right", "Average precision")
    return figure


def _calibration(judged: Sequence[OutOfFoldScores]) -> Figure:
    figure, (axes,) = _panels(1, (6.6, 6.6))
    top = 0.05
    networks = [model for model in judged if model.name != SHORT_AXIS]
    shown = networks[:READABLE] + [model for model in judged if model.name == SHORT_AXIS]
    for place, model in enumerate(shown):
        bins = metrics.calibration_bins(model.rows.label, model.calibrated, BINS)
        low, high = wilson(bins.positives, bins.nodes)
        style = _look_of(model, place)
        errors = np.clip(np.stack([bins.observed - low, high - bins.observed]), 0, None)
        if place == 0:
            axes.errorbar(
                bins.predicted, bins.observed, errors, fmt="none", ecolor=style["color"], alpha=0.5
            )
            top = max(top, float(high.max()))
        axes.plot(
            bins.predicted, bins.observed, marker="o", markersize=5, label=model.name, **style
        )
        top = max(top, float(bins.predicted.max()), float(bins.observed.max()))
    top = min(1.0, 1.05 * top)
    line = np.linspace(0, top, 100)
    axes.plot(line, line, color="#999999", linewidth=1, linestyle=":", label="perfect")
    ticks = [tick for tick in TICKS if tick <= top]
    for scale, name in ((axes.set_xscale, "x"), (axes.set_yscale, "y")):
        scale("function", functions=(_root, np.square))  # most nodes lie near 0
        axes.set(**{f"{name}lim": (0, top), f"{name}ticks": ticks})
    axes.set_xticklabels([f"{tick:g}" for tick in ticks])
    axes.set_yticklabels([f"{tick:g}" for tick in ticks])
    axes.set_box_aspect(1)
    axes.set_xlabel("Calibrated probability, mean of a bin (square-root axis)")
    axes.set_ylabel("Share of malignant nodes (square-root axis)")
    some = f"\n(first {READABLE} of {len(networks)} runs)" if len(networks) > READABLE else ""
    _legend(figure, axes, "upper left", f"Bins of equal count{some}")
    return figure


def _decision(judged: Sequence[OutOfFoldScores], rules: Sequence[OutOfFoldScores]) -> Figure:
    figure, (axes,) = _panels(1, (7.6, 5.6))
    label = judged[0].rows.label
    share = float(label.mean())
    last = min(RISK_CAP, max(0.2, 5 * share))
    risk = np.linspace(0.001, last, 200)
    everyone = share - (1 - share) * risk / (1 - risk)
    axes.plot(risk, everyone, color="#999999", linewidth=1.2, label="call every node malignant")
    axes.axhline(0, color="black", linewidth=1, label="call none")
    best = share
    for place, model in enumerate(judged):
        benefit = metrics.net_benefit(model.rows.label, model.calibrated, risk)
        axes.plot(risk, benefit, label=model.name, **_look_of(model, place))
    for rule in rules:
        called = rule.calls["rule"].astype(float)  # 1 or 0: called at every risk or at none
        benefit = metrics.net_benefit(rule.rows.label, called, risk)
        axes.plot(risk, benefit, color="#999999", linestyle="--", label=RULE.replace(">=", "≥"))
    axes.set(xlim=(0, last), ylim=(-0.25 * best, 1.1 * best))
    axes.set(xlabel="Risk at which a node would be called malignant", ylabel="Net benefit per node")
    _legend(figure, axes, "upper right", "")
    return figure


def _legend(figure: Figure, axes: Axes, place: Corner, title: str) -> None:
    names = axes.get_legend_handles_labels()[1]
    if len(names) <= INSIDE:
        axes.legend(loc=place, title=title, alignment="left")
        return
    figure.set_figwidth(figure.get_figwidth() + 1.2 + 0.1 * max(map(len, names)))
    axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), title=title, alignment="left")


def _root(value: np.ndarray) -> np.ndarray:
    return np.sqrt(np.clip(value, 0, None))


def wilson(positives: np.ndarray, nodes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the bounds of the 95 % interval of a share (Wilson 1927), each of shape (bin,)."""
    z = 1.959964
    share = positives / nodes
    middle = (share + z**2 / (2 * nodes)) / (1 + z**2 / nodes)
    half = z / (1 + z**2 / nodes) * np.sqrt(share * (1 - share) / nodes + z**2 / (4 * nodes**2))
    return np.clip(middle - half, 0, 1), np.clip(middle + half, 0, 1)


def _look_of(model: OutOfFoldScores, place: int) -> dict[str, Any]:
    if model.name == SHORT_AXIS:
        return {"color": AXIS_COLOUR, "linestyle": (0, (1, 1))}
    return look(place)


def look(place: int) -> dict[str, Any]:
    """Return colour and line style of the n-th model; the first 24 are different."""
    return {
        "color": COLOURS[place % len(COLOURS)],
        "linestyle": STYLES[(place + place // len(COLOURS)) % len(STYLES)],
    }


def _panels(count: int, size_in: tuple[float, float]) -> tuple[Figure, Sequence[Axes]]:
    """Make a figure with axes; not with pyplot, which would keep every figure in memory."""
    figure = Figure(figsize=size_in, layout="constrained")
    return figure, np.atleast_1d(figure.subplots(1, count, sharex=True)).tolist()


def png(figure: Figure) -> bytes:
    """Return a figure as PNG bytes; the same figure always gives the same bytes."""
    held = io.BytesIO()
    figure.savefig(held, format="png", dpi=DPI, metadata={"Software": None})
    return held.getvalue()
