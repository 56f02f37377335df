"""Find connected components from the list of a mask's voxels, without an array of the volume."""

from dataclasses import replace

import numpy as np

from lnscore.dicom.geometry import CtGrid
from lnscore.errors import Refusal
from lnscore.masks.regions import MAX_REGIONS, Region, from_voxels

_NEIGHBOURS = np.array([step for step in np.ndindex(3, 3, 3) if step > (1, 1, 1)]) - 1
"""Offsets of half of the 26 neighbours; the other half would give the same pairs."""


def label_components(voxels: np.ndarray) -> np.ndarray:
    """Label the 26-connected components of a set of voxels.

    Each voxel attaches its root to the lowest root among its neighbours, and paths are
    shortened, until nothing changes (Shiloach and Vishkin 1982).

    Args:
        voxels: Index z y x, shape (voxel, 3), in the order of `np.argwhere`.

    Returns:
        For each voxel the position in `voxels` of the first voxel of its component, shape
        (voxel,).
    """
    low = voxels.min(axis=0)
    size = np.ptp(voxels, axis=0) + 3  # empty border, so that no neighbour wraps around
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
    """Return the positions of voxels that have a neighbour at `step`, and of those neighbours."""
    there = np.searchsorted(flat, flat + step).clip(max=len(flat) - 1)
    here = np.flatnonzero(flat[there] == flat + step)
    return np.stack([here, there[here]])


MIN_VOLUME_MM3 = 10.0
"""Volume of a ball of 2.7 mm diameter; smaller components of a one-label mask are no nodes."""


def split_components(region: Region, grid: CtGrid) -> tuple[Region, ...]:
    """Split a one-label mask into nodes: its 26-connected components.

    Args:
        region: One mask with all nodes.
        grid: Grid of the CT.

    Returns:
        One region for each component, in the order of their first voxels, named `LABEL.1`,
        `LABEL.2`. Components below `MIN_VOLUME_MM3` and components beyond the `MAX_REGIONS`
        largest are left out; every region then carries the warning N09.

    Raises:
        Refusal: N09, all components are below `MIN_VOLUME_MM3`.
    """
    if region.mask is None:
        return (region,)
    voxels = np.argwhere(region.mask) + region.origin_vox
    component = label_components(voxels)
    roots, sizes = np.unique(component, return_counts=True)
    large = np.flatnonzero(sizes * grid.geometry.voxel_mm3 >= MIN_VOLUME_MM3)
    if not len(large):
        raise Refusal(
            "N09",
            f"{region.label} has {len(roots)} components, all below {MIN_VOLUME_MM3:g} mm3",
            "at least one node",
            "Check that the mask was drawn on this CT and is not noise",
        )
    kept = np.sort(large[np.argsort(-sizes[large], kind="stable")[:MAX_REGIONS]])
    if len(kept) < len(roots):
        region = replace(region, warnings=(*region.warnings, "N09"))
    by_component = np.split(voxels[np.argsort(component, kind="stable")], np.cumsum(sizes)[:-1])
    return tuple(
        _component(region, number, by_component[place]) for number, place in enumerate(kept, 1)
    )


def _component(region: Region, number: int, voxels: np.ndarray) -> Region:
    mask, origin = from_voxels(voxels)
    return replace(region, label=f"{region.label}.{number}", mask=mask, origin_vox=origin)
