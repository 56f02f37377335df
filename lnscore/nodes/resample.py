"""Compute the weights that resample source voxels to one axis of the patch grid.

A row of a weight matrix belongs to one patch voxel; it sums to 1 inside the scan and to 0
outside. `values @ weights.T` therefore resamples, and `1 - weights.sum(1)` is the padding.
"""

import numpy as np

from engines.patch import PatchSpec

TIE_VOX = 1e-3  # a centre this close to a slice counts as on it, despite rounding errors


def linear_weights(position_vox: np.ndarray, size: int) -> np.ndarray:
    """Compute linear interpolation weights; the scan ends half a voxel beyond its last centre.

    Args:
        position_vox: Continuous source index of every patch voxel, shape (patch,).
        size: Number of source voxels on this axis.

    Returns:
        Weights, shape (patch, size).
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
    """Compute weights of a length-weighted mean over a slab around each position.

    A slice represents its own thickness. If the slab does not hold a whole number of slices, the
    mean would be up to a fraction of a slice off the centre of the slab; weight is therefore moved
    between the two slices at the centre, so that a linear ramp keeps its values. A slab less than
    half inside the scan is padding; otherwise only the part inside counts.

    Args:
        position_vox: Slab centres as source index, shape (patch,).
        width_vox: Slab width in source slices.
        size: Number of source slices.

    Returns:
        Weights, shape (patch, size).
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

    Patch sizes are even, so the centre lies between two patch slices. A centre in the middle of a
    slice is equally near to both borders; the border towards the head is then used, so that a scan
    stored feet first gives the same patch.

    Args:
        centre_vox: Source index of the node's centre along the axis.
        sign: +1 if the source axis runs towards the head, -1 if it runs towards the feet.
    """
    return float(np.floor(centre_vox + sign * TIE_VOX) + 0.5)


def z_rule(spacing_mm: float, spec: PatchSpec) -> str:
    """Return how a scan with this slice step is resampled along z: `snap`, `slab` or `thick`."""
    step_mm = spec.spacing_mm[0]
    if abs(spacing_mm - step_mm) <= spec.snap_tolerance * step_mm:
        return "snap"
    return "slab" if spacing_mm <= spec.thick_limit_mm else "thick"
