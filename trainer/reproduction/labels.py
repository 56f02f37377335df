"""Labels of rows in a table, and the content of the columns beside the figures."""

from collections.abc import Mapping
from types import MappingProxyType

from trainer.evaluation.tables import RANKING
from trainer.reproduction.averaged import FIGURES
from trainer.reproduction.rows import (
    ROWS,
    SINGLE,
    SWEEPS,
    SWEPT,
    TWO_STREAM,
    PaperTable,
    Training,
)

SYMBOLS: Mapping[str, str] = MappingProxyType({"beta": "β", "omega": "ω", "gamma": "γ"})
HEADINGS: Mapping[str, str] = MappingProxyType({name: RANKING[name] for name in FIGURES})
"""The paper's heading of each figure, in the paper's order."""

PARTS = ("2.5D", "TS", "MS", "MT", "PGLS")
"""The columns of the paper's Table 2 that name the parts of a network or method."""

MARKED = ("table2",)
"""Tables that show which parts a row has."""

_OF_NETWORK: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        SINGLE: ("2.5D",),
        "2.5d+ts": ("2.5D", "TS"),
        "2.5d+ms": ("2.5D", "MS"),
        TWO_STREAM: ("2.5D", "TS", "MS"),
    }
)
_OF_METHOD: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"mean-teacher": ("MT",), "pgls": ("MT", "PGLS")}
)


def parts(row: Training) -> tuple[str, ...]:
    """Return the `PARTS` that a row has."""
    return _OF_NETWORK.get(row.network, ()) + _OF_METHOD.get(row.method or "", ())


def sweeps(table: PaperTable) -> tuple[str, ...]:
    """Return the parameters that a table sweeps, as named in `SWEEPS`."""
    return tuple(name for name, rows in SWEEPS.items() if set(rows) <= set(table.rows))


def label(table: PaperTable, row: Training) -> str:
    """Return the label of a row in a table; in a sweep it is the value of the parameter."""
    swept = [
        f"{SYMBOLS[name]} = {dict(zip(SWEEPS[name], SWEPT[name], strict=True))[row.name]:g}"
        for name in sweeps(table)
        if row.name in SWEEPS[name]
    ]
    return ", ".join(swept) or row.label


def label_of(table: PaperTable, name: str) -> str:
    """Return the label of a row, given its name."""
    return label(table, ROWS[name])


def paper(row: Training, figure: str) -> float | None:
    """Return the paper's value of a figure in `HEADINGS`, percent; None if there is none."""
    return None if row.paper is None else getattr(row.paper, figure.replace("_at_", "_"))
