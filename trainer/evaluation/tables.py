"""Format an evaluation as Markdown tables and as short tables for the terminal."""

from collections.abc import Iterable, Sequence

from trainer.evaluation.bootstrap import Interval
from trainer.evaluation.evaluate import Evaluation, EvaluationRow, PairedTest

RANKING = {
    "auroc": "AUROC",
    "s_at_r75": "S@R75",
    "r_at_s75": "R@S75",
    "a_at_r75": "A@R75",
    "a_at_s75": "A@S75",
    "average_precision": "AP",
    "brier": "Brier × 100",
}
"""Heading of each figure; Brier is of the calibrated probability."""

FIXED_BY = (
    "recall75 and specificity75 are each fold's thresholds from its validation part, "
    "where they reach 75 %.\n\n"
)

Head = tuple[list[str], list[list[str]]]
"""Headings and rows of a table."""

FIXED = {
    "recall75": "recall75",
    "specificity75": "specificity75",
    "rule": "10 mm",
}


def as_markdown(evaluation: Evaluation) -> str:
    """Return the tables as Markdown: pooled, per fold, fixed thresholds, tests, groups, notes."""
    rows = evaluation.rows
    pooled = [row for row in rows if row.by == "all"]
    sections = [
        ("# Evaluation", _described(evaluation)),
        ("## Pooled out of fold", table(ranking_head("Model"), ranking(pooled))),
        ("Thresholds of this table and what they reach:", _achieved(pooled)),
        ("## Mean and SD over folds", _across_folds(evaluation)),
        ("## At thresholds that were fixed before", FIXED_BY + table(*fixed(pooled))),
        ("## Paired tests of AUROC", table(*tests(evaluation.tests))),
    ]
    for by in ("fold", "short axis", "slice thickness", "station"):
        group = [row for row in rows if row.by == by]
        sections.append((f"## By {by}", _groups(group)))
    sections.append(("## Notes", "".join(f"- {note}\n" for note in evaluation.notes) or "None.\n"))
    return "\n".join(f"{title}\n\n{text}" for title, text in sections)


def on_screen(evaluation: Evaluation) -> list[tuple[str, list[str], list[list[str]]]]:
    """Return title, headings and rows of the tables that fit a terminal."""
    pooled = [row for row in evaluation.rows if row.by == "all"]
    ranked = [
        [row.model, *(_short(name, row.figures[name]) for name in RANKING if name != "brier")]
        for row in pooled
        if "auroc" in row.figures
    ]
    nodes = f"{pooled[0].nodes} nodes, {pooled[0].positives} malignant"
    title = f"Pooled out of fold, percent (95 % interval); {nodes}"
    called, pairs = fixed(pooled)[1], tests(evaluation.tests)[1]
    return [
        (title, ["Model", *list(RANKING.values())[:-1]], ranked),
        (
            "At thresholds fixed before",
            ["Model", "threshold", "sensitivity", "specificity"],
            [[model, threshold, *both] for model, threshold, *both, _ in called],
        ),
        (
            "Paired tests of AUROC",
            ["Pair", "difference", "p", "p (Holm)", "p (DeLong)", ""],
            [[pair, *rest] for pair, _, _, *rest in pairs],
        ),
    ]


def percent(figure: Interval | None) -> str:
    """Format a share as 91.2 (88.0–94.1), in percent, a difference as −2.2 (−5.3 to 0.8)."""
    if figure is None:
        return "–"
    value = _signed(figure.value)
    if figure.low is None or figure.high is None:
        return value
    to = " to " if figure.low < 0 else "–"
    return f"{value} ({_signed(figure.low)}{to}{_signed(figure.high)})"


def _short(name: str, figure: Interval) -> str:
    return percent(figure if name == "auroc" else Interval(figure.value))


def _signed(share: float) -> str:
    return f"{100 * share:.1f}".replace("-", "−")


def p_value(p: float | None) -> str:
    """Format a p value as .012, or < .001."""
    if p is None:
        return "–"
    return "< .001" if p < 0.001 else f"{p:.3f}".removeprefix("0")


def _described(evaluation: Evaluation) -> str:
    intervals = (
        f"In percent; 95 % intervals from {evaluation.draws} draws of whole patients "
        f"(seed {evaluation.seed}).\n\n"
    )
    keys = list(dict.fromkeys(key for run in evaluation.runs for key in run.described))
    rows = [
        [run.name, ", ".join(map(str, run.folds)), *(run.described.get(key, "") for key in keys)]
        for run in evaluation.runs
    ]
    return intervals + table(["Run", "folds", *keys], rows)


def ranking_head(*first: str) -> list[str]:
    """Return the headings of the table that `ranking` fills."""
    return [*first, "nodes (malignant)", *RANKING.values()]


def ranking(rows: Sequence[EvaluationRow]) -> list[list[str]]:
    """Return one row per model with its ranking figures; a rule has no row."""
    return [
        [row.model, f"{row.nodes} ({row.positives})", *_cells(row)]
        for row in rows
        if "auroc" in row.figures
    ]


def _cells(row: EvaluationRow) -> list[str]:
    return [percent(row.figures.get(name)) for name in RANKING]


def _achieved(rows: Sequence[EvaluationRow]) -> str:
    cells = [
        [
            row.model,
            "recall >= 75 %" if name == "r75" else "specificity >= 75 %",
            f"{at.threshold:.4g}",
            f"{100 * at.recall:.2f}",
            f"{100 * at.specificity:.2f}",
            f"{100 * at.accuracy:.2f}",
        ]
        for row in rows
        for name, at in row.achieved.items()
    ]
    return table(["Model", "asked", "threshold", "recall", "specificity", "accuracy"], cells)


def _across_folds(evaluation: Evaluation) -> str:
    found = {(one.model, one.figure): one for one in evaluation.across_folds}
    models = list(
        dict.fromkeys(one.model for one in evaluation.across_folds if one.figure == "auroc")
    )
    rows = []
    for model in models:
        cells = [found.get((model, figure)) for figure in RANKING]
        rows.append([model, *(_mean_sd(cell.mean, cell.sd) if cell else "–" for cell in cells)])
    return table(["Model", *RANKING.values()], rows)


def _mean_sd(mean: float, sd: float | None) -> str:
    return f"{100 * mean:.1f}" + ("" if sd is None else f" ± {100 * sd:.1f}")


def fixed(rows: Sequence[EvaluationRow]) -> Head:
    """Return headings and rows of the figures at thresholds that were fixed beforehand."""
    cells = []
    for row in rows:
        for name, meaning in FIXED.items():
            figures = [
                row.figures.get(f"{figure}_{name}")
                for figure in ("sensitivity", "specificity", "accuracy")
            ]
            if any(figures):
                cells.append([row.model, meaning, *map(percent, figures)])
    return ["Model", "threshold", "sensitivity", "specificity", "accuracy"], cells


def tests(pairs: Sequence[PairedTest]) -> Head:
    """Return headings and rows of the paired tests."""
    head = [
        "Pair", "nodes", "patients", "difference of AUROC", "p", "p (Holm)", "p (DeLong)", "",
    ]  # fmt: skip
    rows = []
    for test in pairs:
        difference = (
            None
            if test.difference is None
            else percent(Interval(test.difference, test.low, test.high))
        )
        rows.append(
            [
                f"{test.first} − {test.second}",
                str(test.nodes),
                str(test.patients),
                difference or "–",
                p_value(test.p),
                p_value(test.p_holm),
                p_value(test.p_delong),
                test.note,
            ]
        )
    return head, rows


def _groups(rows: Sequence[EvaluationRow]) -> str:
    order = list(dict.fromkeys(row.group for row in rows))
    cells = []
    for group in order:
        for row in rows:
            if row.group == group:
                cells.append(
                    [
                        group,
                        row.model,
                        str(row.nodes),
                        str(row.positives),
                        percent(row.figures.get("auroc")),
                        _pair(row),
                        row.note,
                    ]
                )
    head = ["Group", "Model", "nodes", "malignant", "AUROC", "sensitivity / specificity", ""]
    note = (
        "Sensitivity and specificity at the threshold of 75 % sensitivity on validation; "
        "for the rule, at 10 mm.\n\n"
    )
    return note + table(head, cells)


def _pair(row: EvaluationRow) -> str:
    name = "rule" if any(key.endswith("_rule") for key in row.figures) else "recall75"
    both = (row.figures.get(f"{figure}_{name}") for figure in ("sensitivity", "specificity"))
    return " / ".join(percent(figure) for figure in both)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Format a Markdown table; "None." without rows."""

    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"

    body = "".join(line(row) for row in rows)
    return line(head) + "|" + "-|" * len(head) + "\n" + body if body else "None.\n"
