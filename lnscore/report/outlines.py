"""Trace closed contour lines of a picture at one level with marching squares."""

import numpy as np

Edge = tuple[int, int, int]
"""A grid edge that a line crosses: (0 for horizontal or 1 for vertical, row, column)."""


def trace(field: np.ndarray, level: float) -> tuple[np.ndarray, ...]:
    """Trace the lines along which `field` crosses `level`.

    The method is marching squares (after Lorensen and Cline). In a square with two opposite
    corners inside, these corners are joined if the mean of all four corners is inside. Pixels
    beyond the border count as outside, so every line is closed.

    Args:
        field: Values of the pixels, shape (rows, columns); values above `level` are inside.
        level: Level of the lines, above 0.

    Returns:
        Lines, each of shape (point, 2): x to the right and y down, in pixels, with pixel
        centres at 0.5. The last point joins the first. The inside is always on the same side
        of the line.
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
    """Return the line segments in one square, each from its entry edge to its exit edge."""
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
        step = 3 if joined else 1  # the segment cuts off the corner before it, or the one after
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
    """Return the point at which the level is reached on each edge, by linear interpolation."""
    down, row, column = ring.T
    first = padded[row, column]
    second = padded[row + down, column + 1 - down]
    part = (level - first) / (second - first)
    x = column + np.where(down == 0, part, 0.0)
    y = row + np.where(down == 1, part, 0.0)
    return np.column_stack([x, y]) - 0.5  # minus one pixel of padding, plus half a pixel
