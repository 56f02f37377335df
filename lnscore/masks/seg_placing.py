"""Place the frames of a SEG on whole voxels of the CT, or refuse them with the reason."""

import numpy as np

from lnscore.dicom.geometry import CtGrid
from lnscore.errors import Refusal
from lnscore.masks.alignment import TOLERANCE_VOX, Alignment, align
from lnscore.masks.regions import crop
from lnscore.masks.seg_frames import Frame

Piece = tuple[np.ndarray, tuple[int, int, int]]
"""A mask z y x cropped to its bounding box, and the CT index of its first voxel."""

RESAMPLE = "Resample the mask onto this CT (nearest neighbour) and export it again"


class FramePlacement:
    """Placement of one SEG's frames on one CT; frames of one orientation share an alignment."""

    def __init__(self, grid: CtGrid) -> None:
        """Start without any placed frame."""
        self._grid = grid
        self._alignments: dict[tuple[float, ...], Alignment] = {}
        self._placed: dict[tuple[float, ...], list[tuple[Frame, int]]] = {}

    def place(self, frame: Frame, mask: np.ndarray) -> Piece | None:
        """Put the mask of one frame on the CT.

        Args:
            frame: Position and orientation of the frame.
            mask: bool, shape (rows, columns).

        Returns:
            The part of the mask inside the CT, or None if there is none.

        Raises:
            Refusal: M04 the pixels are not those of the CT, M08 the frame lies between slices.
        """
        cut = crop(mask[None])
        if cut is None:
            return None
        manner = frame.orientation + frame.spacing_mm
        if manner not in self._alignments:
            self._alignments[manner] = self._aligned(frame, mask.shape)
        alignment = self._alignments[manner]
        corner = self._corner(frame, alignment)
        self._placed.setdefault(manner, []).append((frame, int(corner[alignment.through])))
        block, (_, row, column) = cut
        return alignment.place(block[0], (row, column), corner)

    def refuse_coarser(self) -> None:
        """Refuse frames that represent several CT slices each, although each lies on a slice.

        Raises:
            Refusal: M04; for example, frames of 10 mm on every second slice of 5 mm.
        """
        for manner, placed in self._placed.items():
            ct_step_mm = self._grid.geometry.steps_mm[self._alignments[manner].through]
            step_mm = placed[0][0].step_mm or 0.0
            slices_each = round(step_mm / ct_step_mm)
            gaps = np.diff(np.unique([place for _, place in placed]))
            if slices_each > 1 and not (gaps % slices_each).any():
                raise self._other_grid(f"the SEG has slices {step_mm:.5g} mm apart")

    def _aligned(self, frame: Frame, shape: tuple[int, ...]) -> Alignment:
        alignment = align(frame.steps_mm, shape, self._grid.geometry)
        if alignment is None or max(alignment.drift_vox) > TOLERANCE_VOX:
            down_mm, along_mm = frame.spacing_mm
            turned = ", ".join(f"{cosine:.4g}" for cosine in frame.orientation)
            raise self._other_grid(
                f"the SEG has {shape[0]} x {shape[1]} pixels of {down_mm:.5g} x {along_mm:.5g} mm"
                f" in orientation ({turned})"
            )
        return alignment

    def _corner(self, frame: Frame, alignment: Alignment) -> np.ndarray:
        """Return the whole CT index z y x of the frame's first pixel."""
        exact = self._grid.geometry.to_vox(np.array([frame.position_mm]))[0]
        off_vox = np.abs(exact - np.rint(exact)) + alignment.drift_vox
        if off_vox.max() <= TOLERANCE_VOX:
            return np.rint(exact).astype(int)
        position = ", ".join(f"{mm:.2f}" for mm in frame.position_mm)
        found = f"a frame of the SEG, at ({position}) mm, lies {off_vox.max():.2f}"
        if int(off_vox.argmax()) != alignment.through:
            raise self._other_grid(f"{found} pixels off the CT's pixels")
        raise Refusal(
            "M08",
            f"{found} slices off the nearest slice of the CT",
            f"frames on the slices of CT series {self._grid.series_uid}",
            RESAMPLE,
        )

    def _other_grid(self, found: str) -> Refusal:
        (dz, dy, dx), (z, y, x) = self._grid.geometry.steps_mm, self._grid.geometry.shape
        return Refusal(
            "M04",
            found,
            f"the grid of CT series {self._grid.series_uid}: {z} x {y} x {x} voxels of"
            f" {dz:.5g} x {dy:.5g} x {dx:.5g} mm (z y x)",
            RESAMPLE,
        )
