"""Closed lines at one level of a picture: marching squares, exact on its bilinear edges."""

import numpy as np

Edge = tuple[int, int, int]
"""(0 across or 1 down, row, column) of the grid edge that a line crosses."""


def trace(field: np.ndarray, level: float) -> tuple[np.ndarray, ...]:
    """Trace where `field` crosses `level`.

    Lorensen and Cline's squares; a saddle is joined where the mean of its four corners
    lies inside. The outside of the picture counts as outside, so every line closes.

    Args:
        field: Shape (rows, columns); values above `level` are inside.
        level: Above 0.

    Returns:
        Lines (point, 2) as x right, y down, in pixels with pixel centres at 0.5; the last
        point joins the first. Inside lies on the same hand all along.
    """
    padded = np.pad(field, 1)
    inside = padded > level
    corners = np.stack([inside[:-1, :-1], inside[:-1, 1:], inside[1:, 1:], inside[1:, :-1]], -1)
    mixed = corners.any(axis=-1) & ~corners.all(axis=-1)
    following: dict[Edge, Edge] = {}
    for row, column in np.argwhere(mixed).tolist():
        following.update(_pieces(padded, level, corners[row, column].tolist(), row, column))
    return tuple(_lines(padded, level, following))


def _pieces(
    padded: np.ndarray, level: float, corners: list[bool], row: int, column: int
) -> list[tuple[Edge, Edge]]:
    """Directed pieces of line in one square, from the edge of entry to that of exit."""
    around = ((0, row, column), (1, row, column + 1), (0, row + 1, column), (1, row, column))
    entries, exits = [], []  # clockwise from the upper left corner
    for number, edge in enumerate(around):
        here, after = corners[number], corners[(number + 1) % 4]
        if after and not here:
            entries.append((number, edge))
        if here and not after:
            exits.append((number, edge))
    if len(entries) == 1:
        return [(entries[0][1], exits[0][1])]
    joined = padded[row : row + 2, column : column + 2].mean() > level
    pieces = []
    for number, edge in entries:
        step = 3 if joined else 1  # the corner before is cut off, or the corner after
        leave = next(other for at, other in exits if at == (number + step) % 4)
        pieces.append((edge, leave))
    return pieces


def _lines(padded: np.ndarray, level: float, following: dict[Edge, Edge]) -> list[np.ndarray]:
    lines = []
    while following:
        start, edge = following.popitem()
        ring = [start]
        while edge != start:
            ring.append(edge)
            edge = following.pop(edge)
        lines.append(_points(padded, level, np.array(ring)))
    return sorted(lines, key=lambda line: (-len(line), line[0].tolist()))


def _points(padded: np.ndarray, level: float, ring: np.ndarray) -> np.ndarray:
    """Where the level lies on each edge, by linear interpolation."""
    down, row, column = ring.T
    first = padded[row, column]
    second = padded[row + down, column + 1 - down]
    part = (level - first) / (second - first)
    x = column + np.where(down == 0, part, 0.0)
    y = row + np.where(down == 1, part, 0.0)
    return np.column_stack([x, y]) - 0.5  # the padding's pixel, less half of one
