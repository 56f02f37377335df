"""Cut the patch of a node out of a scan: HU and the mask of the node on the patch grid.

Only slices that a patch touches are read. The patch axes are the axes of the source, put into
patient order (z to the head, y to the back, x to the left). An oblique scan therefore keeps its
own planes and is not interpolated across them, and mirrored or permuted storage of the same body
gives the same patch. A tilted gantry shears the slices against each other; each slice is then
sampled at its own in-plane shift.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import permutations
from typing import Protocol, runtime_checkable

import numpy as np

from engines.patch import CENTRE_VOX, SPEC, PatchSpec
from engines.shapes import Affine
from lnscore.dicom.geometry import CtGrid, Geometry
from lnscore.nodes.resample import linear_weights, slab_weights, snapped_centre, z_rule

PlaneOf = Callable[[int, slice, slice], np.ndarray]
"""Function that returns the pixels of a slice, given its number, rows and columns."""


@runtime_checkable
class SliceSource(Protocol):
    """A scan that decodes a slice only when it is needed."""

    @property
    def grid(self) -> CtGrid:
        """Voxel grid of the scan."""
        ...

    def slice_hu(self, z: int, rows: slice, columns: slice) -> np.ndarray:
        """Return HU of a part of slice z."""
        ...


@dataclass(frozen=True)
class Patch:
    """The patch of one node.

    Attributes:
        hu: HU, int16, shape (18, 80, 80).
        occupancy: Mask of the node on the same grid, uint8, 255 if a voxel is fully inside;
            None for a point.
        affine: Maps patch voxel z y x to LPS mm x y z; with the rule `snap`, its z step is the
            slice step of the source.
        padded_fraction: Part of the patch that lies outside the scan.
        rule: `snap`, `slab` or `thick` (see `resample.z_rule`).
    """

    hu: np.ndarray
    occupancy: np.ndarray | None
    affine: Affine
    padded_fraction: float
    rule: str


@dataclass(frozen=True, kw_only=True)
class _Placement:
    """Position of the patch grid on the source axes.

    Attributes:
        source_axis: Source axis of patch axes z y x: 0 stack, 1 rows, 2 columns.
        positions_vox: Source index of every patch voxel along each source axis, on slice 0.
        shear_vox: Shift of rows and columns from one slice to the next (tilted gantry).
        affine: Maps patch voxel z y x to LPS mm x y z.
        rule: `snap`, `slab` or `thick`.
        spacing_mm: Step of the source along patch axes z y x.
        z_step_mm: z step of the patch specification.
    """

    source_axis: tuple[int, int, int]
    positions_vox: tuple[np.ndarray, np.ndarray, np.ndarray]
    shear_vox: tuple[float, float]
    affine: Affine
    rule: str
    spacing_mm: np.ndarray
    z_step_mm: float


def cut_patch(
    scan: SliceSource,
    centre_mm: np.ndarray,
    mask: np.ndarray | None = None,
    origin_vox: tuple[int, int, int] = (0, 0, 0),
    spec: PatchSpec = SPEC,
) -> Patch:
    """Cut one patch centred on `centre_mm`.

    Region and size follow the paper (Sec. 3.1); the resampling is our own.

    Args:
        scan: The scan; only slices that the patch touches are decoded.
        centre_mm: Centroid of the node in LPS x y z.
        mask: Mask of the node cropped to a box, bool z y x on the scan's grid, or None.
        origin_vox: Scan index z y x of the first voxel of the box.
        spec: Specification of the patch grid.

    Returns:
        The patch; outside the scan it has the value `spec.outside_hu`.
    """
    geometry = scan.grid.geometry
    place = _place(geometry, np.asarray(centre_mm, float), spec)
    bundles = _bundles(place, geometry.shape)
    inside = _inside(bundles)
    value = _gather(bundles, (0, 0, 0), geometry.shape, scan.slice_hu)
    padded_fraction = float(1 - inside.mean())
    if padded_fraction:
        value += (1 - inside) * spec.outside_hu
    hu = _ordered(np.rint(value).clip(-32768, 32767).astype(np.int16), place)
    occupancy = None
    if mask is not None:
        share = _gather(
            bundles, origin_vox, mask.shape, lambda z, rows, columns: mask[z, rows, columns]
        )
        occupancy = _ordered(np.rint(share.clip(0, 1) * 255).astype(np.uint8), place)
    return Patch(hu, occupancy, place.affine, padded_fraction, place.rule)


def _ordered(values: np.ndarray, place: _Placement) -> np.ndarray:
    """Transpose an array from source axes to patch axes."""
    return np.ascontiguousarray(values.transpose(place.source_axis))


def _place(geometry: Geometry, centre_mm: np.ndarray, spec: PatchSpec) -> _Placement:
    frame, steps = _source_frame(geometry)
    axes, signs = _patient_order(frame)
    centre = (centre_mm - geometry.affine[:3, 3]) @ frame.T / np.diag(steps)
    spacing = np.abs(np.diag(steps))[list(axes)]
    rule = z_rule(spacing[0], spec)
    z_axis, z_sign = axes[0], signs[0]
    step_mm = np.array(spec.spacing_mm)
    moved_mm = np.zeros(3)
    if rule == "snap":
        snapped = snapped_centre(centre[z_axis], z_sign)
        moved_mm = (snapped - centre[z_axis]) * spacing[0] * frame[z_axis]
        centre[z_axis], step_mm[0] = snapped, spacing[0]
    positions: list[np.ndarray] = [np.empty(0)] * 3
    affine = np.eye(4)
    for patch_axis, (axis, sign) in enumerate(zip(axes, signs, strict=True)):
        offsets = np.arange(spec.size_vox[patch_axis]) - CENTRE_VOX[patch_axis]
        along = sign * offsets * step_mm[patch_axis] / spacing[patch_axis]
        positions[axis] = centre[axis] + along
        affine[:3, patch_axis] = sign * frame[axis] * step_mm[patch_axis]
    affine[:3, 3] = centre_mm + moved_mm - affine[:3, :3] @ np.array(CENTRE_VOX)
    shear = (steps[0, 1] / steps[1, 1], steps[0, 2] / steps[2, 2])
    slab_mm = spec.spacing_mm[0]
    return _Placement(
        source_axis=axes,
        positions_vox=(positions[0], positions[1], positions[2]),
        shear_vox=shear,
        affine=affine,
        rule=rule,
        spacing_mm=spacing,
        z_step_mm=slab_mm,
    )


def _source_frame(geometry: Geometry) -> tuple[np.ndarray, np.ndarray]:
    """Return orthonormal source axes (normal, down the rows, along the columns) and their steps.

    Row i of the second array is the step of source axis i, expressed on the three axes; values
    off the diagonal occur only with a tilted gantry.
    """
    step, down, along = geometry.affine[:3, :3].T
    down_unit, along_unit = down / np.linalg.norm(down), along / np.linalg.norm(along)
    normal = np.cross(along_unit, down_unit)
    normal *= np.sign(step @ normal) / np.linalg.norm(normal)
    frame = np.stack([normal, down_unit, along_unit])
    return frame, np.stack([step, down, along]) @ frame.T


def _patient_order(frame: np.ndarray) -> tuple[tuple[int, int, int], tuple[float, ...]]:
    """Return the source axis nearest to each of patient z, y and x, and its direction."""
    toward = frame[:, ::-1]  # columns: patient z, y, x

    def fit(order: tuple[int, ...]) -> float:
        return sum(abs(toward[axis, patient]) for patient, axis in enumerate(order))

    best = max(permutations(range(3)), key=fit)
    signs = tuple(float(np.sign(toward[axis, patient])) for patient, axis in enumerate(best))
    return (best[0], best[1], best[2]), signs


def _weights(place: _Placement, axis: int, positions: np.ndarray, size: int) -> np.ndarray:
    if place.source_axis[0] != axis or place.rule == "thick":
        return linear_weights(positions, size)
    if place.rule == "snap":
        return linear_weights(np.rint(positions), size)
    return slab_weights(positions, place.z_step_mm / place.spacing_mm[0], size)


@dataclass(frozen=True)
class _Bundle:
    """Source slices that share in-plane weights: all slices, or one slice if they are sheared.

    Attributes:
        slices: Numbers of the slices.
        stack: Weight of each slice in every patch plane, shape (patch, slice).
        rows: Row weights, shape (patch, row).
        columns: Column weights, shape (patch, column).
    """

    slices: np.ndarray
    stack: np.ndarray
    rows: np.ndarray
    columns: np.ndarray


def _bundles(place: _Placement, shape: tuple[int, ...]) -> list[_Bundle]:
    stack = _weights(place, 0, place.positions_vox[0], shape[0])
    touched = np.flatnonzero(stack.any(axis=0))
    if not len(touched):
        touched = np.array([0])  # fully outside the scan: one group whose weights are all 0
    sheared = any(abs(shift) > 1e-9 for shift in place.shear_vox)
    groups = list(touched[:, None]) if sheared else [touched]
    return [
        _Bundle(slices, stack[:, slices], *_plane_weights(place, shape, int(slices[0])))
        for slices in groups
    ]


def _inside(bundles: list[_Bundle]) -> np.ndarray:
    """Return the part of every patch voxel that lies inside the scan, on source axes."""
    first = bundles[0]
    inside = np.zeros((len(first.stack), len(first.rows), len(first.columns)), np.float32)
    for bundle in bundles:
        cover = np.outer(bundle.rows.sum(axis=1), bundle.columns.sum(axis=1))
        inside += bundle.stack.sum(axis=1)[:, None, None] * cover
    return inside


def _gather(
    bundles: list[_Bundle], origin: tuple[int, int, int], box: tuple[int, ...], plane_of: PlaneOf
) -> np.ndarray:
    """Return the weighted sum of a box's voxels for every patch voxel, on source axes."""
    first = bundles[0]
    value = np.zeros((len(first.stack), len(first.rows), len(first.columns)), np.float32)
    for bundle in bundles:
        held = (bundle.slices >= origin[0]) & (bundle.slices < origin[0] + box[0])
        slices = bundle.slices[held] - origin[0]
        stack = _band(bundle.stack[:, held], 0, len(slices))
        rows = _band(bundle.rows, origin[1], box[1])
        columns = _band(bundle.columns, origin[2], box[2])
        if stack and rows and columns:
            value[stack.patch, rows.patch, columns.patch] += _sample(
                plane_of, slices[stack.source], stack.weights, rows, columns
            )
    return value


def _plane_weights(
    place: _Placement, shape: tuple[int, ...], z: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the row and column weights of source slice z."""
    rows, columns = (
        _weights(place, axis, place.positions_vox[axis] - z * shift, shape[axis])
        for axis, shift in zip((1, 2), place.shear_vox, strict=True)
    )
    return rows, columns


@dataclass(frozen=True)
class _Band:
    """The part of an axis where the voxels of a box have weight.

    Attributes:
        patch: Patch voxels to which the box contributes.
        source: Voxels of the box that contribute.
        weights: Weights, float32, shape (patch, source).
    """

    patch: slice
    source: slice
    weights: np.ndarray


def _band(weights: np.ndarray, start: int, size: int) -> _Band | None:
    """Crop the weights (patch, axis) to the axis part of a box without zeros; None if all are 0."""
    within = weights[:, start : start + size]
    used = within != 0
    patch, source = (np.flatnonzero(used.any(axis=axis)) for axis in (1, 0))
    if not len(source):
        return None
    ends = [slice(int(one[0]), int(one[-1]) + 1) for one in (patch, source)]
    return _Band(ends[0], ends[1], within[ends[0], ends[1]].astype(np.float32))


def _sample(
    plane_of: PlaneOf, slices: np.ndarray, stack: np.ndarray, rows: _Band, columns: _Band
) -> np.ndarray:
    """Apply the weights of the three axes as matrix products.

    The stack axis comes first if that leaves fewer planes.
    """
    planes = [plane_of(int(z), rows.source, columns.source) for z in slices]
    block = np.stack(planes).astype(np.float32, copy=False)
    if len(slices) > len(stack):
        return rows.weights @ np.tensordot(stack, block, axes=1) @ columns.weights.T
    return np.tensordot(stack, rows.weights @ block @ columns.weights.T, axes=1)
