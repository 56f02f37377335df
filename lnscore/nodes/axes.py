"""Measure the long and short axis of a node in the patient's axial planes, in mm.

This follows RECIST 1.1 for nodes (Eisenhauer et al., Eur J Cancer 2009;45:228; Schwartz et al.,
ibid. 261): in an axial plane the long axis is the longest diameter of the outline, and the short
axis is the largest diameter at right angles to it. Our own choices: diameters are distances
between parallel tangents (calipers), and each axis is the largest over all planes. The tangents
touch the outline `OUTSIDE_VOX` beyond the outermost pixel centres.
"""

import numpy as np

from lnscore.dicom.geometry import Geometry

AXIAL_WITHIN_DEG = 5.0
"""Slices at most this far from axial are measured directly; others are resampled to be axial."""
OUTSIDE_VOX = 0.25
"""Distance of the outline from the outermost pixel centres, in pixels along rows and columns.

Among many rows, one ends close to the true border, so half a pixel would be too much: on
ellipsoids, half a pixel makes the short axis 0.5 pixels too long on average, a quarter only 0.1.
"""
TIE_MM = 1e-6
MAX_SAMPLES = 4_000_000
"""Largest number of sample points on the axial planes; larger masks are sampled more coarsely."""


def axial_axes_mm(
    mask: np.ndarray, origin_vox: tuple[int, int, int], geometry: Geometry
) -> tuple[float, float]:
    """Measure long and short axis.

    Args:
        mask: bool z y x, cropped to its bounding box, not empty.
        origin_vox: CT index z y x of `mask[0, 0, 0]`.
        geometry: Geometry of the CT.

    Returns:
        Long and short axis in mm, each the largest over the axial planes.
    """
    down, along = geometry.affine[:3, 1], geometry.affine[:3, 2]
    normal = np.cross(along, down)
    if abs(normal[2]) >= np.cos(np.deg2rad(AXIAL_WITHIN_DEG)) * np.linalg.norm(normal):
        planes, steps_mm = mask, np.stack([down, along])
    else:
        planes, pitch_mm = _axial_planes(mask, origin_vox, geometry)
        steps_mm = np.array([[0.0, pitch_mm, 0.0], [pitch_mm, 0.0, 0.0]])
    axes = [_calipers(plane, steps_mm) for plane in planes if plane.any()]
    if not axes:  # thinner than the axial planes' pitch
        return geometry.voxel_mm3 ** (1 / 3), geometry.voxel_mm3 ** (1 / 3)
    return max(long for long, _ in axes), max(short for _, short in axes)


def _calipers(plane: np.ndarray, steps_mm: np.ndarray) -> tuple[float, float]:
    """Return the longest diameter of the outline in one plane, and the one at right angles to it.

    Of several longest diameters, the one with the larger short axis is used, so that the storage
    order of the voxels does not affect the result.
    """
    points = _hull(plane) @ steps_mm
    reach = (
        2 * OUTSIDE_VOX * np.concatenate([steps_mm, -steps_mm])
    )  # both tangents lie outside the pixel centres
    between = ((points[:, None] - points[None, :]).reshape(-1, 1, 3) + reach).reshape(-1, 3)
    lengths = np.linalg.norm(between, axis=-1)
    long = lengths.max()
    units = between[lengths > long - TIE_MM] / long
    normal = np.cross(steps_mm[0], steps_mm[1])
    across = np.cross(normal / np.linalg.norm(normal), units).T
    shorts = np.ptp(points @ across, axis=0) + (reach @ across).max(axis=0)
    return float(long), float(min(shorts.max(), long))


def _hull(plane: np.ndarray) -> np.ndarray:
    """Return the corners (row, column) of the pixel centres' convex hull (Andrew 1979)."""
    rows = np.flatnonzero(plane.any(axis=1))
    first = plane[rows].argmax(axis=1)
    last = plane.shape[1] - 1 - plane[rows, ::-1].argmax(axis=1)
    left = _chain(np.column_stack([rows, first]).tolist(), 1)
    right = _chain(np.column_stack([rows, last]).tolist(), -1)
    return np.array(left + right, float)


def _chain(points: list[list[int]], turn: int) -> list[list[int]]:
    """Build one side of a hull: drop every point at which the line does not turn outwards."""
    chain: list[list[int]] = []
    for point in points:
        while len(chain) > 1 and turn * _cross(chain[-2], chain[-1], point) >= 0:
            chain.pop()
        chain.append(point)
    return chain


def _cross(a: list[int], b: list[int], c: list[int]) -> int:
    return (b[1] - a[1]) * (c[0] - a[0]) - (b[0] - a[0]) * (c[1] - a[1])


def _axial_planes(
    mask: np.ndarray, origin_vox: tuple[int, int, int], geometry: Geometry
) -> tuple[np.ndarray, float]:
    """Resample the mask to cubes along the patient's axes; a cube is set from 0.5 (trilinear)."""
    corners = np.array(np.meshgrid(*((-1, n) for n in mask.shape), indexing="ij")).reshape(3, -1)
    points_mm = geometry.to_mm(corners.T + origin_vox)[:, ::-1]
    low, size_mm = points_mm.min(axis=0), np.ptp(points_mm, axis=0)
    pitch_mm = max(float(geometry.steps_mm.min()), float((size_mm.prod() / MAX_SAMPLES) ** (1 / 3)))
    counts = np.ceil(size_mm / pitch_mm).astype(int) + 1
    index = np.indices(counts).reshape(3, -1).T
    vox = geometry.to_vox((low + index * pitch_mm)[:, ::-1]) - origin_vox
    return (_trilinear(mask, vox) >= 0.5).reshape(counts), pitch_mm


def _trilinear(mask: np.ndarray, vox: np.ndarray) -> np.ndarray:
    """Interpolate a mask at continuous indices, shape (point, 3); it is empty outside its box."""
    padded = np.pad(mask, 1).astype(np.float32)
    limit = np.array(padded.shape) - 1
    inside = np.clip(vox + 1, 0, limit)
    whole = np.minimum(inside.astype(int), limit - 1)
    part = (inside - whole).astype(np.float32)
    value = np.zeros(len(vox), np.float32)
    for corner in np.ndindex(2, 2, 2):
        weight = np.where(corner, part, 1 - part).prod(axis=1)
        value += weight * padded[tuple((whole + corner).T)]
    return value
