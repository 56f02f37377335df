"""A node's patch as three pictures: axial, coronal, sagittal, with the outline of its mask.

The CT is a grey PNG with square pixels in mm; the outline stays a line in the picture's
coordinates, so that it prints sharp and a reader can hide it. Patient right is on the
left, anterior or head is up.
"""

import io
import zlib
from dataclasses import dataclass
from functools import partial

import numpy as np
from PIL import Image

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
    enlarged = partial(
        _enlarged,
        row_mm=float(steps_mm[down]),
        column_mm=float(steps_mm[right]),
        upside_down=plane.upside_down,
    )
    hu = enlarged(_held(patch.take(index, axis)))
    outline: tuple[np.ndarray, ...] = ()
    if mask is not None:
        cut = mask.take(index, axis).astype(float)
        level = min(HALF, float(cut.max()) / 2)  # a sliver fills no voxel by half
        outline = trace(enlarged(cut), level) if cut.any() else ()
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


def _enlarged(
    plane: np.ndarray, row_mm: float, column_mm: float, *, upside_down: bool
) -> np.ndarray:
    """Return the middle of a plane of voxels as pixels, shape (SIZE_PX, SIZE_PX), bicubic.

    Raises:
        ValueError: The plane is smaller than the view; no patch is.
    """
    values = plane[::-1] if upside_down else plane
    rows, columns = plane.shape
    # Rounded: a view as wide as the patch must not lie outside it by a rounding error.
    top = round((rows - VIEW_MM / row_mm) / 2, 3)
    left = round((columns - VIEW_MM / column_mm) / 2, 3)
    box = (left, top, columns - left, rows - top)
    image = Image.fromarray(np.ascontiguousarray(values, np.float32))
    return np.asarray(image.resize((SIZE_PX, SIZE_PX), Image.Resampling.BICUBIC, box))


def png(grey: np.ndarray) -> bytes:
    """Return a picture of 8-bit grey values as a PNG file."""
    file = io.BytesIO()
    # Run lengths only: noise repeats nothing longer, and a full search takes far longer.
    Image.fromarray(grey).save(file, "PNG", compress_type=zlib.Z_RLE)
    return file.getvalue()
