"""Position of voxels in the patient: one affine maps voxel axes z y x to LPS x y z."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from engines.shapes import Affine, PointsMm


@dataclass(frozen=True)
class Geometry:
    """Regular voxel grid in the patient.

    Attributes:
        affine: Maps voxel index (z, y, x, 1) to LPS mm (x, y, z, 1). Column 0 is the step
            from slice to slice (not along the normal if the gantry was tilted), column 1
            is the step from row to row, column 2 the step from column to column.
        shape: Number of voxels along z, y, x.
    """

    affine: Affine
    shape: tuple[int, int, int]

    @cached_property
    def inverse(self) -> Affine:
        """Matrix that maps LPS mm (x, y, z, 1) to voxel index (z, y, x, 1)."""
        return np.linalg.inv(self.affine)

    @property
    def steps_mm(self) -> np.ndarray:
        """Length of one step along z, y, x in mm; z along the stack, not along the normal."""
        return np.linalg.norm(self.affine[:3, :3], axis=0)

    @property
    def voxel_mm3(self) -> float:
        """Volume of one voxel in mm3, also correct for a sheared grid."""
        return float(abs(np.linalg.det(self.affine[:3, :3])))

    def to_mm(self, index_vox: np.ndarray) -> PointsMm:
        """Convert voxel indices z y x, shape (point, 3), to LPS points x y z in mm."""
        return np.asarray(index_vox, float) @ self.affine[:3, :3].T + self.affine[:3, 3]

    def to_vox(self, points_mm: np.ndarray) -> np.ndarray:
        """Convert LPS points x y z in mm, shape (point, 3), to continuous voxel indices z y x."""
        return np.asarray(points_mm, float) @ self.inverse[:3, :3].T + self.inverse[:3, 3]


@dataclass(frozen=True, kw_only=True)
class CtGrid:
    """The facts about a CT series that a mask reader needs: its grid and its slices.

    Attributes:
        study_uid: StudyInstanceUID.
        series_uid: SeriesInstanceUID.
        for_uid: FrameOfReferenceUID.
        sop_uids: SOPInstanceUIDs in slice order: `sop_uids[z]` is slice z of `geometry`.
        geometry: The voxel grid of the CT.
        others: SOPInstanceUIDs of the same series that are not slices of this grid
            (localizers, another acquisition); a mask may list them too.
    """

    study_uid: str
    series_uid: str
    for_uid: str
    sop_uids: tuple[str, ...]
    geometry: Geometry
    others: frozenset[str] = frozenset()
