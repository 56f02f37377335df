"""Build a scan from a stack of slices: check the geometry, and decode slices to HU on request.

Slice order and spacing come from positions and orientation (see `slice_order`), never from file
names or instance numbers. A stack that has no single affine is refused, and the message names the
slice.
"""

from collections import OrderedDict
from dataclasses import dataclass, field

import numpy as np

from lnscore.dicom.geometry import CtGrid, Geometry
from lnscore.dicom.pixels import refuse_what_is_not_hu, stored_pixels, to_hu
from lnscore.dicom.series import SliceStack
from lnscore.dicom.slice_headers import SliceHeader
from lnscore.dicom.slice_order import EXPORT_AGAIN, slice_indices
from lnscore.errors import Refusal

SAME_PIXEL_MM = 1e-3
OFF_AFFINE_MM = 0.3
TILT_SLOPE = 0.01  # 0.6 degrees
UNIT_TOL = 1e-3
FEW_SLICES = 16
CACHED_SLICES = 128  # each needs half a megabyte, or an open memory map of the file
WHOLE = slice(None)

TILTED, FILLED, SHORT, SINGLE = "G07", "G08", "G09", "G10"
ASSUMED = "S16"


@dataclass
class Scan:
    """CT scan that decodes a slice only when it is needed (see `patches.SliceSource`).

    Attributes:
        grid: Voxel grid and identity of the scan.
        slices: Slice headers in slice order; None for a missing slice that is interpolated.
        flags: Warning codes for the reader of the results.
    """

    grid: CtGrid
    slices: tuple[SliceHeader | None, ...]
    flags: tuple[str, ...]
    _cache: OrderedDict[int, np.ndarray] = field(default_factory=OrderedDict)

    def slice_hu(self, z: int, rows: slice = WHOLE, columns: slice = WHOLE) -> np.ndarray:
        """Return HU of a part of slice z, float32; a missing slice is interpolated.

        The slice is decoded once and cached as stored values; only the requested part is
        converted to HU.

        Raises:
            Refusal: F08 the pixels cannot be decoded, F09 they are truncated.
        """
        header = self.slices[z]
        if header is None:
            return self._filled(z, rows, columns)
        return to_hu(self._stored(z, header)[rows, columns], header.pixels)

    def _stored(self, z: int, header: SliceHeader) -> np.ndarray:
        if z in self._cache:
            self._cache.move_to_end(z)
            return self._cache[z]
        plane = self._cache[z] = stored_pixels(header)
        if len(self._cache) > CACHED_SLICES:
            self._cache.popitem(last=False)
        return plane

    def _filled(self, z: int, rows: slice, columns: slice) -> np.ndarray:
        below = max(n for n in range(z) if self.slices[n] is not None)
        above = min(n for n in range(z + 1, len(self.slices)) if self.slices[n] is not None)
        part = np.float32((z - below) / (above - below))
        low, high = (self.slice_hu(n, rows, columns) for n in (below, above))
        return (1 - part) * low + part * high


def place_stack(
    stack: SliceStack, study_uid: str, fill_gaps: int = 0, *, assume_hu: bool = False
) -> Scan:
    """Check a stack's geometry and pixel coding and put its slices in order.

    Args:
        stack: The slices.
        study_uid: StudyInstanceUID.
        fill_gaps: Largest number of consecutive missing slices that may be interpolated.
        assume_hu: Accept stored values as HU if there is no rescale tag and they are
            plausible.

    Raises:
        Refusal: G01 to G06, G11 for the geometry; S04 to S06 for values that are not HU; F07
            for the pixel coding.
    """
    _refuse_bad_slices(stack.slices)
    rescaled = refuse_what_is_not_hu(stack.slices, assume_hu=assume_hu)
    slots, flags = _slots(rescaled, fill_gaps)
    affine = _affine(rescaled, slots)
    if rescaled is not stack.slices:
        flags += (ASSUMED,)
    if _tilt_slope(affine) > TILT_SLOPE:
        flags += (TILTED,)
    ordered: list[SliceHeader | None] = [None] * (max(slots) + 1)
    for slot, one in zip(slots, rescaled, strict=True):
        ordered[slot] = one
    pixels = rescaled[0].pixels
    geometry = Geometry(affine, (len(ordered), pixels.rows, pixels.columns))
    grid = CtGrid(
        study_uid=study_uid,
        series_uid=stack.series_uid,
        for_uid=rescaled[0].for_uid,
        sop_uids=tuple(one.sop_uid if one else "" for one in ordered),
        geometry=geometry,
        others=stack.others,
    )
    return Scan(grid, tuple(ordered), stack.flags + flags)


def _refuse_bad_slices(slices: tuple[SliceHeader, ...]) -> None:
    first = slices[0]
    for one in slices:
        _refuse_missing(one)
        size, wanted = (_size(one), _size(first))
        if size != wanted:
            raise _bad("G02", f"an image of {size} at {_where(one)}", f"{wanted} as the others")
        steps = np.subtract(one.spacing_mm or (), first.spacing_mm or ())
        if np.abs(steps).max() > SAME_PIXEL_MM:
            raise _bad(
                "G05",
                f"pixel spacing {_numbers(one.spacing_mm)} mm at {_where(one)}",
                f"{_numbers(first.spacing_mm)} mm as the others",
            )


def _refuse_missing(one: SliceHeader) -> None:
    if one.position_mm is None or one.orientation is None:
        tag = "ImagePositionPatient" if one.position_mm is None else "ImageOrientationPatient"
        raise _bad("G01", f"no usable {tag} in {one.sop_uid}", "one in every slice")
    if one.spacing_mm is None or min(one.spacing_mm) <= 0:
        raise _bad(
            "G01",
            f"PixelSpacing {_numbers(one.spacing_mm)} at {_where(one)}",
            "two numbers above 0",
        )
    axes = np.reshape(one.orientation, (2, 3))
    if np.abs(axes @ axes.T - np.eye(2)).max() > UNIT_TOL:
        raise _bad(
            "G06",
            f"ImageOrientationPatient {_numbers(one.orientation)}",
            "two unit vectors at right angles",
        )


def _slots(slices: tuple[SliceHeader, ...], fill_gaps: int) -> tuple[list[int], tuple[str, ...]]:
    """Return the index of every slice in the stack, from positions along the normal alone."""
    if len(slices) == 1:
        return [0], (SINGLE,)
    normal = _normal(slices)
    along_mm = _positions(slices) @ normal
    slots = slice_indices(along_mm, normal, slices[0].orientation or (), fill_gaps)
    flags = (SHORT,) if len(slices) < FEW_SLICES else ()
    return slots, (*flags, FILLED) if max(slots) >= len(slots) else flags


def _affine(slices: tuple[SliceHeader, ...], slots: list[int]) -> np.ndarray:
    """Fit the affine to all positions by least squares; refuse a slice that lies off the line."""
    positions, number = _positions(slices), np.array(slots, float)
    row_axis, column_axis = np.reshape(slices[0].orientation or (), (2, 3))
    row_mm, column_mm = slices[0].spacing_mm or (1.0, 1.0)
    affine = np.eye(4)
    if len(slices) == 1:
        step, origin = _normal(slices) * (slices[0].thickness_mm or 1.0), positions[0]
    else:
        design = np.stack([number, np.ones(len(number))], axis=1)
        (step, origin), *_ = np.linalg.lstsq(design, positions, rcond=None)
        off = np.linalg.norm(positions - (number[:, None] * step + origin), axis=1)
        if off.max() > OFF_AFFINE_MM:
            worst = slices[int(off.argmax())]
            raise _bad(
                "G11",
                f"a slice {off.max():.2f} mm off the line of the others at {_where(worst)}",
                f"all positions on one line, within {OFF_AFFINE_MM} mm",
            )
    affine[:3, 0], affine[:3, 3] = step, origin
    affine[:3, 1], affine[:3, 2] = column_axis * row_mm, row_axis * column_mm
    return affine


def _tilt_slope(affine: np.ndarray) -> float:
    """Return the sideways drift of the stack in mm per mm along its normal."""
    step, down, along = affine[:3, :3].T
    normal = np.cross(along, down)
    normal /= np.linalg.norm(normal)
    rise = float(step @ normal)
    return float(np.linalg.norm(step - rise * normal) / abs(rise))


def _normal(slices: tuple[SliceHeader, ...]) -> np.ndarray:
    row_axis, column_axis = np.reshape(slices[0].orientation or (), (2, 3))
    normal = np.cross(row_axis, column_axis)
    return normal / np.linalg.norm(normal)


def _positions(slices: tuple[SliceHeader, ...]) -> np.ndarray:
    return np.array([one.position_mm for one in slices], float)


def _bad(code: str, found: str, wanted: str) -> Refusal:
    return Refusal(code, found, wanted, EXPORT_AGAIN)


def _size(one: SliceHeader) -> str:
    return f"{one.pixels.rows} x {one.pixels.columns} pixels"


def _where(one: SliceHeader) -> str:
    return f"({_numbers(one.position_mm)}) mm"


def _numbers(values: tuple[float, ...] | None) -> str:
    return "missing" if values is None else ", ".join(f"{value:.4g}" for value in values)
