"""What a row is called in a table, and what stands in its columns beside the figures."""

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
"""Figure to the paper's heading, in the paper's order."""

PARTS = ("2.5D", "TS", "MS", "MT", "PGLS")
"""The columns of the paper's Table 2."""

MARKED = ("table2",)
"""Tables that say of what parts a row consists."""

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
    """Which of `PARTS` a row has."""
    return _OF_NETWORK.get(row.network, ()) + _OF_METHOD.get(row.method or "", ())


def sweeps(table: PaperTable) -> tuple[str, ...]:
    """The parameters that a table sweeps, as `SWEEPS` names them."""
    return tuple(name for name, rows in SWEEPS.items() if set(rows) <= set(table.rows))


def label(table: PaperTable, row: Training) -> str:
    """As the table prints a row; in a sweep, the default row is called by its values."""
    swept = [
        f"{SYMBOLS[name]} = {dict(zip(SWEEPS[name], SWEPT[name], strict=True))[row.name]:g}"
        for name in sweeps(table)
        if row.name in SWEEPS[name]
    ]
    return ", ".join(swept) or row.label


def label_of(table: PaperTable, name: str) -> str:
    """The same by a row's name."""
    return label(table, ROWS[name])


def paper(row: Training, figure: str) -> float | None:
    """What the paper prints for a figure of `HEADINGS`, percent."""
    return None if row.paper is None else getattr(row.paper, figure.replace("_at_", "_"))
