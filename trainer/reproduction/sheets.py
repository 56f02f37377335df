"""Write a reproduced table as CSV: shares at full precision, empty if not run."""

from collections.abc import Sequence
from typing import Any

from trainer.evaluation import files as evaluation_files
from trainer.evaluation.bootstrap import Interval
from trainer.reproduction.labels import HEADINGS, label, paper
from trainer.reproduction.results import TableResult


def as_csv(made: TableResult) -> dict[str, str]:
    """Return CSV contents by file name: figures, seeds, tests and gains, if there are any."""
    name = made.table.name
    sheets = {
        f"{name}.csv": _figure_lines(made),
        f"{name}-seeds.csv": _seed_lines(made),
        f"{name}-tests.csv": _test_lines(made),
        f"{name}-gains.csv": _gain_lines(made),
    }
    return {file: evaluation_files.as_csv(lines) for file, lines in sheets.items() if lines}


def _figure_lines(made: TableResult) -> list[dict[str, Any]]:
    """Return one line per row and figure, as shares; the paper's figures stay in percent."""
    return [
        {
            "table": made.table.name,
            "row": one.row.name,
            "method": label(made.table, one.row),
            "figure": name,
            **_bounds(one.figures.get(name)),
            "sd": one.sd if name == "auroc" else None,
            "paper_percent": paper(one.row, name),
            "seeds": len(one.seeds),
            "nodes": one.nodes,
            "malignant": one.positives,
            "patients": one.patients,
        }
        for one in [*made.found, *([made.baseline] if made.baseline else [])]
        for name in HEADINGS
    ]


def _seed_lines(made: TableResult) -> list[dict[str, Any]]:
    return [
        {"table": made.table.name, "row": one.row.name, "seed": seed, "auroc": value}
        for one in made.found
        for seed, value in one.per_seed.items()
    ]


def _test_lines(made: TableResult) -> list[dict[str, Any]]:
    names = ("nodes", "patients", "difference", "low", "high", "p", "p_holm", "p_delong", "note")
    return [
        {
            "table": made.table.name,
            "first": test.comparison.first,
            "second": test.comparison.second,
            "seeds": _seeds(test.seeds),
            **{name: getattr(test, name) for name in names},
        }
        for test in made.tests
    ]


def _gain_lines(made: TableResult) -> list[dict[str, Any]]:
    return [
        {
            "table": made.table.name,
            "row": one.row.name,
            "seeds": _seeds(one.seeds),
            **_bounds(one.gain),
            "share_of_room": one.share,
        }
        for one in (made.room.gains if made.room else ())
    ]


def _bounds(figure: Interval | None) -> dict[str, float | None]:
    if figure is None:
        return {"value": None, "low": None, "high": None}
    return {"value": figure.value, "low": figure.low, "high": figure.high}


def _seeds(seeds: Sequence[int]) -> str:
    return " ".join(map(str, seeds))
