"""Match the voxels of another grid with those of the CT, without resampling."""

from dataclasses import dataclass

import numpy as np

from lnscore.dicom.geometry import Geometry
from lnscore.masks.regions import crop

TOLERANCE_VOX = 0.2
"""Largest accepted offset in voxels; DS values and ITK affines are rounded."""


@dataclass(frozen=True)
class Alignment:
    """The CT axes and directions along which the axes of another grid run.

    Attributes:
        axes: CT axis (0 z, 1 y, 2 x) of each axis of the other grid.
        signs: 1 for each axis that runs in the same direction as the CT axis, else -1.
        drift_vox: Distance of the other grid's last voxel from whole CT voxels, along CT z y x.
        shape: Number of CT voxels, z y x.
    """

    axes: tuple[int, ...]
    signs: tuple[int, ...]
    drift_vox: tuple[float, float, float]
    shape: tuple[int, int, int]

    @property
    def through(self) -> int:
        """The CT axis that is perpendicular to a frame (a grid of two axes)."""
        return (set(range(3)) - set(self.axes)).pop()

    def turn(self, block: np.ndarray) -> np.ndarray:
        """Bring the other grid's axes into the CT's order and direction (a view)."""
        flips = tuple(slice(None, None, sign) for sign in self.signs)
        return block[flips].transpose(np.argsort(self.axes))

    def covers(self, sizes: tuple[int, ...], origin_vox: np.ndarray) -> bool:
        """Return whether a volume of these sizes covers the CT's grid voxel for voxel.

        Args:
            sizes: Number of voxels along the other grid's three axes.
            origin_vox: CT index z y x (not rounded) of the other grid's first voxel.
        """
        first = np.zeros(3)
        for axis, sign, size in zip(self.axes, self.signs, sizes, strict=True):
            first[axis] = 0 if sign > 0 else size - 1
        same_shape = tuple(np.array(sizes)[np.argsort(self.axes)]) == self.shape
        off_vox = np.abs(origin_vox - first) + self.drift_vox
        return same_shape and bool(off_vox.max() <= TOLERANCE_VOX)

    def place(
        self, block: np.ndarray, at: tuple[int, ...], corner_vox: np.ndarray
    ) -> tuple[np.ndarray, tuple[int, int, int]] | None:
        """Place a box of the other grid at its position on the CT.

        Args:
            block: bool, a box on the other grid's axes (2 for a frame, 3 for a volume).
            at: Index of the first voxel of the box on the other grid.
            corner_vox: Whole CT index z y x of the other grid's first voxel.

        Returns:
            The mask z y x, cropped to its bounding box inside the CT, and the CT index of its
            first voxel; None if no part of it lies inside the CT.
        """
        start = np.array(corner_vox, int)
        for axis, sign, first, size in zip(self.axes, self.signs, at, block.shape, strict=True):
            start[axis] += sign * first if sign > 0 else -(first + size - 1)
        turned = self.turn(block)
        for axis in sorted(set(range(3)) - set(self.axes)):
            turned = np.expand_dims(turned, axis)
        return crop(*_inside(turned, start, self.shape))


def align(steps_mm: np.ndarray, sizes: tuple[int, ...], geometry: Geometry) -> Alignment | None:
    """Match the axes of another grid with those of the CT.

    Args:
        steps_mm: Shape (3, axis): the other grid's step along each of its axes, LPS x y z.
        sizes: Number of voxels of the other grid along each axis.
        geometry: Geometry of the CT.

    Returns:
        The alignment, with any drift; None if two axes run along the same CT axis.
    """
    steps_vox = geometry.inverse[:3, :3] @ steps_mm
    axes = tuple(int(axis) for axis in np.abs(steps_vox).argmax(axis=0))
    if len(set(axes)) < len(axes):
        return None
    signs = tuple(1 if step[axis] > 0 else -1 for step, axis in zip(steps_vox.T, axes, strict=True))
    whole = np.zeros_like(steps_vox)
    whole[list(axes), range(len(axes))] = signs
    stray = np.abs(steps_vox - whole) @ (np.array(sizes) - 1)
    drift = (float(stray[0]), float(stray[1]), float(stray[2]))
    return Alignment(axes, signs, drift, geometry.shape)


def _inside(
    block: np.ndarray, start: np.ndarray, shape: tuple[int, int, int]
) -> tuple[np.ndarray, tuple[int, int, int]]:
    """Return the part of a box that lies inside the CT, and the CT index where it begins."""
    low = np.clip(-start, 0, block.shape)
    high = np.clip(np.array(shape) - start, low, block.shape)
    part = tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    first = [int(n) for n in start + low]
    return block[part], (first[0], first[1], first[2])
