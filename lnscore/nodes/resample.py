"""Weights that carry source voxels onto one axis of the patch grid.

A row of a weight matrix belongs to one patch voxel and sums to 1 inside the scan and to 0
outside it, so that `values @ weights.T` resamples and `1 - weights.sum(1)` is the padding.
"""

import numpy as np

from engines.patch import PatchSpec

TIE_VOX = 1e-3  # a centre this close to a slice counts as on it, whatever the rounding said


def linear_weights(position_vox: np.ndarray, size: int) -> np.ndarray:
    """Linear interpolation at `position_vox`; the scan ends half a voxel past its last centre.

    Args:
        position_vox: Source index of every patch voxel, shape (patch,), continuous.
        size: Source voxels on this axis.

    Returns:
        Shape (patch, size).
    """
    inside = (position_vox >= -0.5) & (position_vox <= size - 0.5)
    held = np.clip(position_vox, 0, size - 1)
    lower = np.minimum(held.astype(int), max(size - 2, 0))
    fraction = held - lower
    weights = np.zeros((len(position_vox), size))
    rows = np.arange(len(position_vox))
    weights[rows, lower] = 1 - fraction
    weights[rows, np.minimum(lower + 1, size - 1)] += fraction
    return weights * inside[:, None]


def slab_weights(position_vox: np.ndarray, width_vox: float, size: int) -> np.ndarray:
    """Length-weighted mean over a slab around each position.

    A slice stands for its own thickness. Where the slab does not hold a whole number of
    slices, the mean would sit up to a fraction of a slice off its centre; the two slices
    at the centre are shifted against each other so that a linear ramp keeps its values.
    A slab less than half inside the scan is padding; otherwise the part inside counts.

    Args:
        position_vox: Slab centres as source index, shape (patch,).
        width_vox: Slab width in source slices.
        size: Source slices.

    Returns:
        Shape (patch, size).
    """
    edges = np.arange(size + 1) - 0.5
    low, high = position_vox - width_vox / 2, position_vox + width_vox / 2
    within = np.clip(edges[None, :], low[:, None], high[:, None])
    overlap = np.diff(within, axis=1)
    covered = overlap.sum(axis=1)
    inside = covered >= width_vox / 2
    weights = np.where(inside[:, None], overlap / np.maximum(covered, 1e-12)[:, None], 0.0)
    whole = covered > width_vox * (1 - 1e-9)
    _keep_ramps(weights, position_vox, whole)
    return weights


def _keep_ramps(weights: np.ndarray, position_vox: np.ndarray, rows: np.ndarray) -> None:
    size = weights.shape[1]
    if size < 2:
        return
    off = (weights @ np.arange(size) - position_vox) * rows
    lower = np.clip(np.floor(position_vox).astype(int), 0, size - 2)
    index = np.arange(len(position_vox))
    weights[index, lower] += off
    weights[index, lower + 1] -= off


def snapped_centre(centre_vox: float, sign: float) -> float:
    """Move a centre to the nearest border between two slices.

    Patch sizes are even, so the centre lies between two patch slices. On a slice's middle
    both borders are equally near: the one towards the head is taken, so that a scan stored
    feet first gives the same patch.

    Args:
        centre_vox: Source index of the node's centre along the axis.
        sign: +1 where the source axis runs towards the head, -1 where it runs to the feet.
    """
    return float(np.floor(centre_vox + sign * TIE_VOX) + 0.5)


def z_rule(spacing_mm: float, spec: PatchSpec) -> str:
    """How a source of this slice step reaches the patch's z grid: snap, slab or thick."""
    step_mm = spec.spacing_mm[0]
    if abs(spacing_mm - step_mm) <= spec.snap_tolerance * step_mm:
        return "snap"
    return "slab" if spacing_mm <= spec.thick_limit_mm else "thick"
