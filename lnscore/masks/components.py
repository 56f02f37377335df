"""Connected components of the few voxels of a mask, without its volume."""

import numpy as np

_NEIGHBOURS = np.array([step for step in np.ndindex(3, 3, 3) if step > (1, 1, 1)]) - 1
"""Half of the 26 neighbours: the other half sees the same pairs."""


def label_components(voxels: np.ndarray) -> np.ndarray:
    """Tell the 26-connected components of a set of voxels apart.

    Each voxel hooks its root onto the lowest root among its neighbours, and paths are
    halved, until nothing changes (Shiloach and Vishkin 1982).

    Args:
        voxels: Index z y x, shape (voxel, 3), in the order of `np.argwhere`.

    Returns:
        For each voxel the place of the first voxel of its component, shape (voxel,).
    """
    low = voxels.min(axis=0)
    size = np.ptp(voxels, axis=0) + 3  # an empty border: no neighbour wraps around
    strides = np.array([size[1] * size[2], size[2], 1])
    flat = (voxels - low + 1) @ strides
    pairs = [_pairs(flat, int(step)) for step in _NEIGHBOURS @ strides]
    here, there = np.concatenate(pairs, axis=1)
    root = np.arange(len(voxels))
    while (apart := root[here] != root[there]).any():
        here, there = here[apart], there[apart]
        lowest = np.minimum(root[here], root[there])
        np.minimum.at(root, root[here], lowest)
        np.minimum.at(root, root[there], lowest)
        while not np.array_equal(root, shorter := root[root]):
            root = shorter
    return root


def _pairs(flat: np.ndarray, step: int) -> np.ndarray:
    """Places of the voxels that have a neighbour at `step`, and of those neighbours."""
    there = np.searchsorted(flat, flat + step).clip(max=len(flat) - 1)
    here = np.flatnonzero(flat[there] == flat + step)
    return np.stack([here, there[here]])
