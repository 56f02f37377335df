"""Polygons to pixels: which pixel centres of a slice lie inside.

Pixel (row, column) has its centre at exactly (row, column). Vertices are put on a lattice of
1/1024 pixel and the rest is whole-number arithmetic, so that the result depends neither on
the order of the vertices nor on rounding: polygons that share an edge share no pixel and
leave none out between them. A centre on an upper or left edge is inside, one on a lower or
right edge is not.
"""

from collections.abc import Iterator, Sequence

import numpy as np

SNAP_PER_VOX = 1024
"""0.001 pixel is below what contours are written with, and swallows their float noise."""

FAR_VOX = 1 << 20
"""No vertex may be farther from the first pixel: products stay within 63 bits."""

_MAX_CROSSINGS = 1 << 21
"""Crossings of edges and rows held at once."""


def fill_even_odd(
    polygons: Sequence[np.ndarray], shape: tuple[int, int], origin: tuple[int, int] = (0, 0)
) -> np.ndarray:
    """Mark the pixel centres that an odd number of outlines encloses.

    A polygon inside another is a hole, a keyhole (out and back along one line) is a hole,
    polygons apart from each other add up.

    Args:
        polygons: Vertices (vertex, 2), row and column in pixels, within `FAR_VOX`; the last
            vertex is joined to the first.
        shape: Rows and columns of the window to fill.
        origin: Row and column of the window's first pixel.

    Returns:
        bool (row, column) of the window.
    """
    rows, columns = shape
    # One more column: where a row is entered and left beyond the window's right end.
    parity = np.zeros(rows * (columns + 1), np.uint8)
    for row, column in _crossings(_edges(polygons), origin[0], rows):
        within = np.clip(column - origin[1], 0, columns)
        hits = np.bincount(row * (columns + 1) + within, minlength=parity.size)
        parity ^= (hits & 1).astype(np.uint8)
    inside = np.bitwise_xor.accumulate(parity.reshape(rows, columns + 1), axis=1)
    return inside[:, :columns].astype(bool)


def snap(vertices: np.ndarray) -> np.ndarray:
    """Vertices in whole steps of 1/`SNAP_PER_VOX` pixel, int64."""
    return np.rint(np.asarray(vertices, float) * SNAP_PER_VOX).astype(np.int64)


def _edges(polygons: Sequence[np.ndarray]) -> np.ndarray:
    """Edges (edge, 4): row and column of the upper end, then of the lower; none is level."""
    edges = [np.empty((0, 4), np.int64)]
    for polygon in polygons:
        start = snap(polygon)
        end = np.roll(start, -1, axis=0)
        downward = (start[:, 0] < end[:, 0])[:, None]
        upper_first = np.where(downward, np.hstack([start, end]), np.hstack([end, start]))
        edges.append(upper_first[start[:, 0] != end[:, 0]])
    return np.concatenate(edges)


def _crossings(
    edges: np.ndarray, first_row: int, rows: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Row (from `first_row`) and first column at or right of each crossing, in portions.

    An edge has the rows from its upper end up to, not with, its lower end: a vertex between
    two edges is met once.
    """
    from_row = np.clip(_ceil(edges[:, 0], SNAP_PER_VOX) - first_row, 0, rows)
    to_row = np.clip(_ceil(edges[:, 2], SNAP_PER_VOX) - first_row, 0, rows)
    counts = to_row - from_row
    portion = np.cumsum(counts) // _MAX_CROSSINGS
    for part in np.split(np.arange(len(edges)), np.flatnonzero(np.diff(portion)) + 1):
        edge = np.repeat(part, counts[part])
        before = np.repeat(np.cumsum(counts[part]) - counts[part], counts[part])
        row = from_row[edge] + np.arange(len(edge)) - before
        top, left, bottom, right = edges[edge].T
        height = bottom - top
        down = (row + first_row) * SNAP_PER_VOX - top
        yield row, _ceil(left * height + down * (right - left), height * SNAP_PER_VOX)


def _ceil(dividend: np.ndarray, divisor: np.ndarray | int) -> np.ndarray:
    return -(-dividend // divisor)


def between(lower: np.ndarray, upper: np.ndarray, fraction: float) -> np.ndarray:
    """Interpolate the shape of a slice between two others, by signed distance.

    Raya and Udupa, IEEE Trans. Med. Imaging 9:32-42, 1990.

    Args:
        lower: bool (row, column).
        upper: bool of the same shape.
        fraction: Place between them, 0 at `lower`, 1 at `upper`.

    Returns:
        bool of the same shape; empty where either is.
    """
    if not (lower.any() and upper.any()):
        return np.zeros_like(lower)
    distance = (1 - fraction) * _depth(lower) + fraction * _depth(upper)
    return distance > 0


def _depth(mask: np.ndarray) -> np.ndarray:
    """Distance to the outline in pixels, positive inside, 0.5 at the pixels beside it."""
    import SimpleITK as sitk

    image = sitk.GetImageFromArray(np.pad(mask, 1).astype(np.uint8))
    # The filter calls the mask's own outer pixels 0 and their neighbours outside -1.
    outline = sitk.SignedMaurerDistanceMap(image, insideIsPositive=True, squaredDistance=False)
    return sitk.GetArrayFromImage(outline)[1:-1, 1:-1] + 0.5
