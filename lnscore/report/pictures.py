"""Draw a node's patch as axial, coronal and sagittal pictures with the outline of its mask.

The CT is a grey PNG with square pixels in mm. The outline is a separate line in the
coordinates of the picture, so that it is sharp in print and a reader can hide it. The right of
the patient is on the left of the picture; anterior or head is up.
"""

import io
import zlib
from dataclasses import dataclass
from functools import partial

import numpy as np
from PIL import Image

from engines.shapes import Affine, PointMm
from lnscore.report.outlines import trace

VIEW_MM = 63.6  # 80 voxels of 0.795 mm: the whole width of the patch
SIZE_PX = 240  # three pixels a voxel
PIXEL_MM = VIEW_MM / SIZE_PX
WINDOW_CENTRE_HU, WINDOW_WIDTH_HU = 40.0, 400.0
# Values are clipped this far beyond the window, so that air or metal nearby causes no ringing.
MARGIN_HU = 200.0
HALF = 127.5  # half of a voxel, as occupancy 0-255


@dataclass(frozen=True)
class Plane:
    """How one plane lies in a patch and on the screen.

    Attributes:
        name: Name of the plane: axial, coronal or sagittal.
        cut_axis: Patch axis (0 z, 1 y, 2 x) that is perpendicular to the plane.
        upside_down: Whether rows are reversed: they run to the head in the patch, and the
            head must be up on the screen.
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
        plane: Plane of the picture.
        png: Picture as a PNG file: 8-bit grey, SIZE_PX × SIZE_PX pixels of PIXEL_MM.
        outline: Closed lines, each of shape (point, 2): x to the right and y down, in pixels
            from the upper left corner. Empty for a point, or if the plane misses the mask.
        centre_px: Centre of the node on the picture in pixels, x to the right, y down.
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
        patch: Patch in HU, shape (18, 80, 80), z to the head, y to the back, x to the left.
        mask: Occupancy 0-255 on the same grid, or None for a point.
        affine: Matrix from patch voxels z y x to LPS in mm.
        centre_mm: Centroid of the node, LPS x y z.

    Returns:
        The axial, coronal and sagittal picture.
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
        level = min(HALF, float(cut.max()) / 2)  # a thin part may fill no voxel by half
        outline = trace(enlarged(cut), level) if cut.any() else ()
    centre = (
        _to_px(centre_vox[right], patch.shape[right], steps_mm[right], False),
        _to_px(centre_vox[down], patch.shape[down], steps_mm[down], plane.upside_down),
    )
    return Picture(plane, png(_grey(hu)), outline, centre)


def _cut_index(mask: np.ndarray | None, axis: int, centre_vox: float) -> int:
    """Return the slice at the centre, or the nearest one with mask (a bent node may miss it)."""
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
    """Convert a voxel index to pixels from the picture's edge; both have the same centre."""
    from_middle_mm = (index_vox - (size - 1) / 2) * step_mm
    return float(SIZE_PX / 2 + (-from_middle_mm if upside_down else from_middle_mm) / PIXEL_MM)


def _enlarged(
    plane: np.ndarray, row_mm: float, column_mm: float, *, upside_down: bool
) -> np.ndarray:
    """Return the middle of a plane of voxels as pixels, shape (SIZE_PX, SIZE_PX), bicubic.

    Raises:
        ValueError: The plane is smaller than the view; this cannot happen for a patch.
    """
    values = plane[::-1] if upside_down else plane
    rows, columns = plane.shape
    # Rounded, because a view as wide as the patch must not exceed it by a rounding error.
    top = round((rows - VIEW_MM / row_mm) / 2, 3)
    left = round((columns - VIEW_MM / column_mm) / 2, 3)
    box = (left, top, columns - left, rows - top)
    image = Image.fromarray(np.ascontiguousarray(values, np.float32))
    return np.asarray(image.resize((SIZE_PX, SIZE_PX), Image.Resampling.BICUBIC, box))


def png(grey: np.ndarray) -> bytes:
    """Return a picture of 8-bit grey values as a PNG file."""
    file = io.BytesIO()
    # Run-length compression only: CT noise has no longer repeats, and a full search is slow.
    Image.fromarray(grey).save(file, "PNG", compress_type=zlib.Z_RLE)
    return file.getvalue()
