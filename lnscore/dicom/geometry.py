"""Where a voxel is in the patient: one affine, axes z y x to LPS x y z."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from engines.shapes import Affine, PointsMm


@dataclass(frozen=True)
class Geometry:
    """A regular grid in the patient.

    Attributes:
        affine: Maps voxel index (z, y, x, 1) to LPS mm (x, y, z, 1). Column 0 is the step
            from slice to slice (not along the normal where a gantry was tilted), column 1
            the step from row to row, column 2 from column to column.
        shape: Voxels, z y x.
    """

    affine: Affine
    shape: tuple[int, int, int]

    @cached_property
    def inverse(self) -> Affine:
        """LPS mm (x, y, z, 1) to voxel index (z, y, x, 1)."""
        return np.linalg.inv(self.affine)

    @property
    def steps_mm(self) -> np.ndarray:
        """Length of one step along z, y, x, mm (along the stack, not along the normal)."""
        return np.linalg.norm(self.affine[:3, :3], axis=0)

    @property
    def voxel_mm3(self) -> float:
        """Volume of one voxel (right for a sheared grid too)."""
        return float(abs(np.linalg.det(self.affine[:3, :3])))

    def to_mm(self, index_vox: np.ndarray) -> PointsMm:
        """World points of voxel indices (point, 3) in z y x."""
        return np.asarray(index_vox, float) @ self.affine[:3, :3].T + self.affine[:3, 3]

    def to_vox(self, points_mm: np.ndarray) -> np.ndarray:
        """Continuous voxel indices z y x of world points (point, 3)."""
        return np.asarray(points_mm, float) @ self.inverse[:3, :3].T + self.inverse[:3, 3]


@dataclass(frozen=True, kw_only=True)
class CtGrid:
    """What a mask reader must know of a CT series: where it is and what its slices are.

    Attributes:
        study_uid: StudyInstanceUID.
        series_uid: SeriesInstanceUID.
        for_uid: FrameOfReferenceUID.
        sop_uids: SOPInstanceUIDs in slice order: `sop_uids[z]` is slice z of `geometry`.
        geometry: The grid.
        others: SOPInstanceUIDs of the same series that are no slices of this grid
            (localizers, another acquisition): a mask may list them too.
    """

    study_uid: str
    series_uid: str
    for_uid: str
    sop_uids: tuple[str, ...]
    geometry: Geometry
    others: frozenset[str] = frozenset()
