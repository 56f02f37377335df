"""Convert the contours of one structure to a mask: planes to slices, outlines to pixels.

Contours are in voxel coordinates here, so sagittal, coronal, oblique and sheared grids need no
special treatment: the z index of a contour decides its slice. The rules:

- A contour belongs to the slice of the image that it refers to, if that slice is at most half a
  slice away; if it is farther away, the contour belongs to the nearest slice (M53). An offset of
  more than a tenth of a slice is flagged (M52). A contour more than half a slice outside the
  scan, or one that crosses slices, is refused.
- Outlines in one plane are filled with the even-odd rule: an inner outline is a hole, and
  separate outlines add up. A repeated outline counts once; crossing outlines are flagged (both
  M57).
- If several planes fall on one slice (contours finer than the CT), the nearest plane is used
  (M56): combining two sections with the even-odd rule would leave a ring.
- Contours coarser than the CT: at least three planes, all the same number of slices and at most
  `MAX_STEP_MM` apart, are taken as sections of one structure; the slices between them are
  interpolated (M54). Any other gap may be intended and stays empty (M55).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np

from lnscore.dicom.geometry import Geometry
from lnscore.errors import Refusal
from lnscore.masks.rasterise import FAR_VOX, between, fill_even_odd, snap
from lnscore.masks.regions import crop

ON_SLICE_VOX = 0.1
SAME_PLANE_VOX = 0.1
FLAT_VOX = 0.25
"""Largest distance of a vertex from its contour's plane; written coordinates are rounded."""

MAX_STEP_MM = 10.0


@dataclass(frozen=True)
class Contour:
    """One closed outline.

    Attributes:
        points_vox: Vertices, z y x on the CT grid, shape (point, 3).
        named_slice: Index of the slice whose image the contour refers to, or None.
        exclusive: Whether the contour is to be combined by XOR (CLOSEDPLANAR_XOR).
    """

    points_vox: np.ndarray
    named_slice: int | None = None
    exclusive: bool = False

    @cached_property
    def z_vox(self) -> float:
        """Slice position of the contour; rounded, so that numerical noise does not decide ties."""
        return round(float(self.points_vox[:, 0].mean()), 3)

    @property
    def outline(self) -> np.ndarray:
        """Vertices as row and column, shape (point, 2)."""
        return self.points_vox[:, 1:]


@dataclass(frozen=True)
class RasterisedStructure:
    """A structure on the CT grid.

    Attributes:
        mask: bool z y x, cropped to its bounding box.
        origin_vox: CT index z y x of `mask[0, 0, 0]`.
        warnings: Warning codes among M52 to M58.
    """

    mask: np.ndarray
    origin_vox: tuple[int, int, int]
    warnings: tuple[str, ...]


def draw(contours: Sequence[Contour], geometry: Geometry, roi: str) -> RasterisedStructure:
    """Fill the contours of one structure.

    Args:
        contours: Contours of the structure, at least one.
        geometry: Geometry of the CT.
        roi: Name of the structure in the message of a refusal.

    Returns:
        The mask of the structure with its warnings.

    Raises:
        Refusal: M48 a contour is not in the plane of the slices, M49 a contour is outside the
            scan, M50 no pixel centre lies inside.
    """
    warnings: set[str] = set()
    by_slice: dict[int, list[Contour]] = {}
    for contour in contours:
        _check_place(contour, geometry.shape[0], roi)
        z, codes = _slice_of(contour, geometry.shape[0])
        by_slice.setdefault(z, []).append(contour)
        warnings |= codes
    window = _window(contours, geometry.shape, roi)
    mask = np.zeros((max(by_slice) - min(by_slice) + 1, *window.shape), bool)
    for z, group in by_slice.items():
        mask[z - min(by_slice)], codes = _section(z, group, window)
        warnings |= codes
    warnings |= {"M58"} if window.cut else set()
    warnings |= _close_gaps(mask, sorted(by_slice), float(geometry.steps_mm[0]))
    return _cropped(mask, (min(by_slice), *window.origin), tuple(sorted(warnings)), roi)


def _check_place(contour: Contour, slices: int, roi: str) -> None:
    z = contour.points_vox[:, 0]
    if np.abs(z - contour.z_vox).max() > FLAT_VOX:
        raise Refusal(
            "M48",
            f"{roi} has a contour across the slices, from slice {z.min():.1f} to {z.max():.1f}",
            "contours in the planes of the CT's slices",
            "Draw it on the CT's own slices, or send it as a DICOM SEG",
        )
    if not -0.5 <= contour.z_vox <= slices - 0.5:
        raise _outside(roi, f"a contour at slice {contour.z_vox:.1f} of 0 to {slices - 1}")


def _outside(roi: str, what: str) -> Refusal:
    return Refusal(
        "M49",
        f"{roi} has {what}",
        "contours inside the scan",
        "Check that the contours were drawn on this series and that all its slices are here",
    )


def _slice_of(contour: Contour, slices: int) -> tuple[int, set[str]]:
    z, named = contour.z_vox, contour.named_slice
    nearest = min(int(np.floor(z + 0.5)), slices - 1)
    agrees = named is not None and abs(z - named) <= 0.5
    chosen = named if named is not None and agrees else nearest
    off = {"M52"} if abs(z - chosen) > ON_SLICE_VOX else set()
    return chosen, off | ({"M53"} if named is not None and not agrees else set())


@dataclass(frozen=True)
class _Window:
    """Rows and columns that the structure may touch; `cut` if it extends beyond the scan."""

    origin: tuple[int, int]
    shape: tuple[int, int]
    cut: bool


def _window(contours: Sequence[Contour], shape: tuple[int, int, int], roi: str) -> _Window:
    low = np.min([c.outline.min(axis=0) for c in contours], axis=0)
    high = np.max([c.outline.max(axis=0) for c in contours], axis=0)
    size = np.array(shape[1:])
    if (high < -0.5).any() or (low > size - 0.5).any() or max(-low.min(), high.max()) > FAR_VOX:
        raise _outside(roi, f"rows and columns from {np.round(low, 1)} to {np.round(high, 1)}")
    first = np.clip(np.floor(low), 0, size - 1).astype(int)
    last = np.clip(np.ceil(high), 0, size - 1).astype(int)
    rows, columns = last - first + 1
    cut = bool((low < -0.5).any() or (high > size - 0.5).any())
    return _Window((int(first[0]), int(first[1])), (int(rows), int(columns)), cut)


def _section(z: int, group: list[Contour], window: _Window) -> tuple[np.ndarray, set[str]]:
    """Fill the outlines of one slice and return its mask with warning codes."""
    nearest = min(group, key=lambda c: (abs(c.z_vox - z), c.z_vox)).z_vox
    plane = [c for c in group if abs(c.z_vox - nearest) <= SAME_PLANE_VOX]
    codes = {"M56"} if len(plane) < len(group) else set()
    once = _without_copies(plane)
    if len(once) < len(plane) or _cross(once, window):
        codes.add("M57")
    return fill_even_odd([c.outline for c in once], window.shape, window.origin), codes


def _without_copies(plane: list[Contour]) -> list[Contour]:
    """Remove repeated outlines, whichever vertex they start with; XOR contours are all kept."""
    seen: dict[bytes, Contour] = {}
    for number, contour in enumerate(plane):
        key = np.unique(snap(contour.outline), axis=0).tobytes()
        seen.setdefault(str(number).encode() if contour.exclusive else key, contour)
    return list(seen.values())


def _cross(plane: list[Contour], window: _Window) -> bool:
    """Return whether any outline lies partly inside another one, so that the two cross."""
    plain = sorted((c.outline for c in plane if not c.exclusive), key=_area_vox, reverse=True)
    if len(plain) < 2:
        return False
    depth = np.zeros(window.shape, np.int32)
    for outline in plain:
        inside = fill_even_odd([outline], window.shape, window.origin)
        if len(np.unique(depth[inside])) > 1:
            return True
        depth += inside
    return False


def _area_vox(outline: np.ndarray) -> float:
    row, column = (outline - outline[0]).T
    return abs(float(row @ np.roll(column, -1) - column @ np.roll(row, -1))) / 2


def _close_gaps(mask: np.ndarray, used: list[int], step_mm: float) -> set[str]:
    """Interpolate regular gaps in place; return M54 if that was done, M55 if gaps stay empty."""
    gaps = {after - before for before, after in pairwise(used)}
    if gaps <= {1}:
        return set()
    apart = max(gaps)
    if len(gaps) > 1 or len(used) < 3 or apart * step_mm > MAX_STEP_MM:
        return {"M55"}
    for start in range(0, len(mask) - 1, apart):
        for step in range(1, apart):
            mask[start + step] = between(mask[start], mask[start + apart], step / apart)
    return {"M54"}


def _cropped(
    mask: np.ndarray, origin: tuple[int, int, int], warnings: tuple[str, ...], roi: str
) -> RasterisedStructure:
    cut = crop(mask, origin)
    if cut is None:
        raise Refusal(
            "M50",
            f"{roi} encloses no pixel centre of the CT",
            "a structure of at least one voxel",
            "Send it as a point, or draw it on the CT",
        )
    return RasterisedStructure(*cut, warnings)
