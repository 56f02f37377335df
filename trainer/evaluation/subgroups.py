"""Subgroups of results by size, station, slice thickness and fold."""

from collections.abc import Iterator

import numpy as np

from trainer.runs.predictions import Predictions

SIZES_MM = (("< 5 mm", 0.0, 5.0), ("5 to < 10 mm", 5.0, 10.0), (">= 10 mm", 10.0, np.inf))
SLICES_MM = (("< 2 mm", 0.0, 2.0), ("2 to < 4 mm", 2.0, 4.0), (">= 4 mm", 4.0, np.inf))
UNKNOWN = "unknown"

Group = tuple[str, str, np.ndarray]
"""Kind of the group (such as station), name of the group, and a bool mask of shape (node,)."""


def of(rows: Predictions) -> Iterator[Group]:
    """Yield every group that has a node; the groups of one kind together contain all nodes.

    Args:
        rows: Test rows.
    """
    yield "all", "all", np.ones(len(rows), bool)
    for fold in rows.folds:
        yield "fold", str(fold), rows.fold == fold
    yield from _binned("short axis", rows.short_axis_mm, SIZES_MM)
    yield from _binned("slice thickness", rows.slice_mm, SLICES_MM)
    station = np.array([name or UNKNOWN for name in rows.station], dtype=object)
    for name in sorted(set(station), key=lambda name: (name == UNKNOWN, name)):
        yield "station", name, station == name


def _binned(
    kind: str, value: np.ndarray, bins: tuple[tuple[str, float, float], ...]
) -> Iterator[Group]:
    for name, low, high in bins:
        inside = (value >= low) & (value < high)
        if inside.any():
            yield kind, name, inside
    outside = ~((value >= bins[0][1]) & (value < bins[-1][2]))
    if outside.any():
        yield kind, UNKNOWN, outside
