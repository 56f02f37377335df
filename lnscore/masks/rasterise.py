"""Convert polygons to pixels: find the pixel centres of a slice that lie inside.

Pixel (row, column) has its centre at exactly (row, column). Vertices are rounded to a lattice of
1/1024 pixel, and all further steps use whole numbers. The result therefore depends neither on
the order of the vertices nor on rounding: polygons with a common edge share no pixel and leave
no pixel out between them. A centre on an upper or left edge is inside; a centre on a lower or
right edge is outside.
"""

from collections.abc import Iterator, Sequence

import numpy as np

SNAP_PER_VOX = 1024
"""Lattice steps in a pixel: finer than the precision of contours, coarser than float noise."""

FAR_VOX = 1 << 20
"""Largest distance of a vertex from the first pixel, so that products fit into 63 bits."""

MAX_CROSSINGS = 1 << 21
"""Largest number of crossings of edges and rows that are held in memory at once."""


def fill_even_odd(
    polygons: Sequence[np.ndarray], shape: tuple[int, int], origin: tuple[int, int] = (0, 0)
) -> np.ndarray:
    """Mark the pixel centres that an odd number of outlines encloses.

    A polygon inside another is a hole, and so is a keyhole (out and back along one line).
    Separate polygons add up.

    Args:
        polygons: Vertices as row and column in pixels, shape (vertex, 2), within `FAR_VOX`; the
            last vertex is joined to the first.
        shape: Rows and columns of the window to fill.
        origin: Row and column of the window's first pixel.

    Returns:
        Mask of the window, bool, shape (row, column).
    """
    rows, columns = shape
    # One additional column collects the crossings beyond the right end of the window.
    parity = np.zeros(rows * (columns + 1), np.uint8)
    for row, column in _crossings(_edges(polygons), origin[0], rows):
        within = np.clip(column - origin[1], 0, columns)
        hits = np.bincount(row * (columns + 1) + within, minlength=parity.size)
        parity ^= (hits & 1).astype(np.uint8)
    inside = np.bitwise_xor.accumulate(parity.reshape(rows, columns + 1), axis=1)
    return inside[:, :columns].astype(bool)


def snap(vertices: np.ndarray) -> np.ndarray:
    """Round vertices to whole steps of 1/`SNAP_PER_VOX` pixel, int64."""
    return np.rint(np.asarray(vertices, float) * SNAP_PER_VOX).astype(np.int64)


def _edges(polygons: Sequence[np.ndarray]) -> np.ndarray:
    """Return the edges, shape (edge, 4): row and column of the upper end, then of the lower end.

    Horizontal edges are left out.
    """
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
    """Yield, in portions, the row of each crossing and the first column at or right of it.

    Rows count from `first_row`. An edge covers the rows from its upper end (included) to its
    lower end (excluded), so that a vertex between two edges counts once.
    """
    from_row = np.clip(_ceil(edges[:, 0], SNAP_PER_VOX) - first_row, 0, rows)
    to_row = np.clip(_ceil(edges[:, 2], SNAP_PER_VOX) - first_row, 0, rows)
    counts = to_row - from_row
    portion = np.cumsum(counts) // MAX_CROSSINGS
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
        lower: Mask of the lower slice, bool, shape (row, column).
        upper: Mask of the upper slice, same type and shape.
        fraction: Position between the slices, 0 at `lower`, 1 at `upper`.

    Returns:
        Interpolated mask, same type and shape; empty if either mask is empty.
    """
    if not (lower.any() and upper.any()):
        return np.zeros_like(lower)
    distance = (1 - fraction) * _depth(lower) + fraction * _depth(upper)
    return distance > 0


def _depth(mask: np.ndarray) -> np.ndarray:
    """Return the distance to the outline in pixels: positive inside, 0.5 at outermost pixels."""
    import SimpleITK as sitk

    image = sitk.GetImageFromArray(np.pad(mask, 1).astype(np.uint8))
    # The filter gives 0 for the outermost pixels of the mask and -1 for their outside neighbours.
    outline = sitk.SignedMaurerDistanceMap(image, insideIsPositive=True, squaredDistance=False)
    return sitk.GetArrayFromImage(outline)[1:-1, 1:-1] + 0.5
