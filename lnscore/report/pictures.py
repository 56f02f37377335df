"""A node's patch as three pictures: axial, coronal, sagittal, with the outline of its mask.

The CT is a grey PNG with square pixels in mm; the outline stays a line in the picture's
coordinates, so that it prints sharp and a reader can hide it. Patient right is on the
left, anterior or head is up.
"""

import struct
import zlib
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from engines.shapes import Affine, PointMm
from lnscore.report.outlines import trace

VIEW_MM = 63.6  # 80 voxels of 0.795 mm: the patch's whole width
SIZE_PX = 240  # three pixels a voxel
PIXEL_MM = VIEW_MM / SIZE_PX
WINDOW_CENTRE_HU, WINDOW_WIDTH_HU = 40.0, 400.0
MARGIN_HU = 200.0  # beyond the window, so that air or metal next door does not ring
HALF = 127.5  # occupancy 0-255: half of a voxel


@dataclass(frozen=True)
class Plane:
    """How one plane lies in a patch and on the screen.

    Attributes:
        name: axial, coronal or sagittal.
        cut_axis: The patch axis (0 z, 1 y, 2 x) that it is perpendicular to.
        upside_down: Rows run to the head in the patch; the screen wants the head up.
        letters: Patient directions at the left, right, top and bottom edge.
    """

    name: str
    cut_axis: int
    upside_down: bool
    letters: tuple[str, str, str, str]


PLANES = (
    Plane("axial", 0, False, ("R", "L", "A", "P")),
    Plane("coronal", 1, True, ("R", "L", "H", "F")),
    Plane("sagittal", 2, True, ("A", "P", "H", "F")),
)


@dataclass(frozen=True)
class Picture:
    """One plane through a node.

    Attributes:
        plane: Which one.
        png: 8-bit grey, SIZE_PX square, PIXEL_MM a pixel both ways.
        outline: Closed lines, each (point, 2) as x right, y down, in pixels from the
            picture's corner; empty for a point or where the plane misses the mask.
        centre_px: The node's centre on the picture, x right, y down.
    """

    plane: Plane
    png: bytes
    outline: tuple[np.ndarray, ...]
    centre_px: tuple[float, float]


def draw(
    patch: np.ndarray, mask: np.ndarray | None, affine: Affine, centre_mm: PointMm
) -> tuple[Picture, ...]:
    """Draw the three planes through a node's centre.

    Args:
        patch: HU, shape (18, 80, 80), z to the head, y to the back, x to the left.
        mask: Occupancy 0-255 on the same grid, or None for a point.
        affine: Patch voxel z y x to LPS mm.
        centre_mm: The node's centroid, LPS x y z.

    Returns:
        Axial, coronal, sagittal.
    """
    centre_vox = np.linalg.solve(affine[:3, :3], centre_mm - affine[:3, 3])
    steps_mm = np.linalg.norm(affine[:3, :3], axis=0)
    return tuple(_picture(plane, patch, mask, steps_mm, centre_vox) for plane in PLANES)


def _picture(
    plane: Plane,
    patch: np.ndarray,
    mask: np.ndarray | None,
    steps_mm: np.ndarray,
    centre_vox: np.ndarray,
) -> Picture:
    axis = plane.cut_axis
    index = _cut_index(mask, axis, float(centre_vox[axis]))
    down, right = (a for a in range(3) if a != axis)
    rows = _enlarge(patch.shape[down], round(float(steps_mm[down]), 4), plane.upside_down)
    columns = _enlarge(patch.shape[right], round(float(steps_mm[right]), 4), False)
    hu = _resample(_held(patch.take(index, axis)), rows, columns)
    outline: tuple[np.ndarray, ...] = ()
    if mask is not None:
        cut = mask.take(index, axis).astype(float)
        level = min(HALF, float(cut.max()) / 2)  # a sliver fills no voxel by half
        outline = trace(_resample(cut, rows, columns), level) if cut.any() else ()
    centre = (
        _to_px(centre_vox[right], patch.shape[right], steps_mm[right], False),
        _to_px(centre_vox[down], patch.shape[down], steps_mm[down], plane.upside_down),
    )
    return Picture(plane, png(_grey(hu)), outline, centre)


def _cut_index(mask: np.ndarray | None, axis: int, centre_vox: float) -> int:
    """The slice at the centre; of a bent node that is not there, the nearest that has some."""
    size = 18 if axis == 0 else 80
    index = int(np.clip(np.floor(centre_vox + 0.5), 0, size - 1))
    if mask is None:
        return index
    filled = np.flatnonzero(mask.max(axis=tuple(a for a in range(3) if a != axis)) > HALF)
    if not len(filled):
        return index
    return int(filled[np.argmin(np.abs(filled - centre_vox))])


def _held(plane_hu: np.ndarray) -> np.ndarray:
    reach = WINDOW_WIDTH_HU / 2 + MARGIN_HU
    return plane_hu.astype(float).clip(WINDOW_CENTRE_HU - reach, WINDOW_CENTRE_HU + reach)


def _grey(hu: np.ndarray) -> np.ndarray:
    part = ((hu - WINDOW_CENTRE_HU) / WINDOW_WIDTH_HU + 0.5).clip(0, 1)
    return np.rint(part * 255).astype(np.uint8)


def _to_px(index_vox: float, size: int, step_mm: float, upside_down: bool) -> float:
    """Voxel index to pixels from the picture's edge; the patch's middle is the picture's."""
    from_middle_mm = (index_vox - (size - 1) / 2) * step_mm
    return float(SIZE_PX / 2 + (-from_middle_mm if upside_down else from_middle_mm) / PIXEL_MM)


Taps = tuple[tuple[np.ndarray, np.ndarray], ...]
"""Four neighbours of every pixel on one axis: (voxel index, weight), each (pixel,)."""


@lru_cache(maxsize=64)
def _enlarge(size: int, step_mm: float, upside_down: bool) -> Taps:
    """Catmull-Rom weights from `size` voxels to SIZE_PX pixels; edges repeat."""
    from_middle_mm = (np.arange(SIZE_PX) + 0.5 - SIZE_PX / 2) * PIXEL_MM
    at = (-from_middle_mm if upside_down else from_middle_mm) / step_mm + (size - 1) / 2
    lower = np.floor(at).astype(int)
    taps = []
    for tap in (-1, 0, 1, 2):
        distance = np.abs(at - (lower + tap))
        near = ((1.5 * distance - 2.5) * distance) * distance + 1
        far = ((-0.5 * distance + 2.5) * distance - 4) * distance + 2
        taps.append((np.clip(lower + tap, 0, size - 1), np.where(distance <= 1, near, far)))
    return tuple(taps)


def _resample(plane: np.ndarray, rows: Taps, columns: Taps) -> np.ndarray:
    """Shape (SIZE_PX, SIZE_PX). Plain sums, no BLAS: the same bits on every machine."""
    tall = sum((plane[index] * weight[:, None] for index, weight in rows), np.zeros(()))
    return sum((tall[:, index] * weight for index, weight in columns), np.zeros(()))


def png(grey: np.ndarray) -> bytes:
    """An 8-bit grey PNG, every row by the filter that leaves it smallest (PNG 3rd ed., 12.7)."""
    left = np.pad(grey, ((0, 0), (1, 0)))[:, :-1]
    above = np.pad(grey, ((1, 0), (0, 0)))[:-1]
    corner = np.pad(grey, ((1, 0), (1, 0)))[:-1, :-1]
    mean, paeth = _mean(left, above), _paeth(left, above, corner)
    guess = np.stack([np.zeros_like(grey), left, above, mean, paeth])
    rest = grey - guess  # uint8 wraps, as PNG wants
    cost = np.abs(rest.astype(np.int8).astype(np.int16)).sum(axis=2)
    best = cost.argmin(axis=0)
    rows = np.arange(len(grey))
    body = np.column_stack([best.astype(np.uint8), rest[best, rows]]).tobytes()
    # Run lengths only: noise repeats nothing longer, and a full search takes 80 times as long.
    packer = zlib.compressobj(6, zlib.DEFLATED, 15, 9, zlib.Z_RLE)
    packed = packer.compress(body) + packer.flush()
    header = struct.pack(">IIBBBBB", grey.shape[1], grey.shape[0], 8, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", packed), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in chunks)


def _mean(left: np.ndarray, above: np.ndarray) -> np.ndarray:
    return ((left.astype(np.uint16) + above) // 2).astype(np.uint8)


def _paeth(left: np.ndarray, above: np.ndarray, corner: np.ndarray) -> np.ndarray:
    a, b, c = (part.astype(np.int16) for part in (left, above, corner))
    to_left, to_above, to_corner = np.abs(b - c), np.abs(a - c), np.abs(a + b - 2 * c)
    second = np.where(to_above <= to_corner, above, corner)
    return np.where((to_left <= to_above) & (to_left <= to_corner), left, second)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
