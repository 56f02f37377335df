"""Where the frames of a SEG lie on the CT: whole voxels, or a refusal that says why."""

import numpy as np

from lnscore.alignment import TOLERANCE_VOX, Alignment, align
from lnscore.errors import Refusal
from lnscore.geometry import CtGrid
from lnscore.masks import crop
from lnscore.seg_frames import Frame

Piece = tuple[np.ndarray, tuple[int, int, int]]
"""A mask z y x cropped to its box, and the CT index of its first voxel."""

RESAMPLE = "Resample the mask onto this CT (nearest neighbour) and export it again"


class Placing:
    """The frames of one SEG on one CT; frames of one orientation share their alignment."""

    def __init__(self, frames: list[Frame], grid: CtGrid) -> None:
        """Keep the frames.

        Raises:
            Refusal: M04 where each frame stands for several slices of the CT.
        """
        self.frames, self.grid = frames, grid
        positions = np.array([frame.position_mm for frame in frames]).reshape(-1, 3)
        self._corners_vox = grid.geometry.to_vox(positions)
        self._alignments: dict[tuple[float, ...], Alignment] = {}

    def place(self, number: int, mask: np.ndarray) -> Piece | None:
        """Put the mask of one frame on the CT.

        Args:
            number: Of the frame, from 0.
            mask: bool, shape (rows, columns).

        Returns:
            What of it lies inside the CT, or None.

        Raises:
            Refusal: M04 for other pixels, M08 for a frame between the CT's slices.
        """
        cut = crop(mask[None])
        if cut is None:
            return None
        alignment = self._alignment(self.frames[number], mask.shape)
        corner = self._corner(number, alignment)
        (block, (_, row, column)) = cut
        return alignment.place(block[0], (row, column), corner)

    def _alignment(self, frame: Frame, shape: tuple[int, ...]) -> Alignment:
        manner = frame.orientation + frame.spacing_mm
        if manner not in self._alignments:
            self._alignments[manner] = self._aligned(frame, shape)
        return self._alignments[manner]

    def _aligned(self, frame: Frame, shape: tuple[int, ...]) -> Alignment:
        alignment = align(frame.steps_mm, shape, self.grid.geometry)
        if alignment is None or max(alignment.drift_vox) > TOLERANCE_VOX:
            down_mm, along_mm = frame.spacing_mm
            turned = ", ".join(f"{cosine:.4g}" for cosine in frame.orientation)
            raise self._other_grid(
                f"the SEG has {shape[0]} x {shape[1]} pixels of {down_mm:.5g} x {along_mm:.5g} mm"
                f" in orientation ({turned})"
            )
        self._refuse_coarser(frame, alignment)
        return alignment

    def _corner(self, number: int, alignment: Alignment) -> np.ndarray:
        """Whole CT index z y x of the frame's first pixel."""
        exact = self._corners_vox[number]
        off_vox = np.abs(exact - np.rint(exact)) + alignment.drift_vox
        if off_vox.max() <= TOLERANCE_VOX:
            return np.rint(exact).astype(int)
        position = ", ".join(f"{mm:.2f}" for mm in self.frames[number].position_mm)
        found = f"frame {number + 1} of the SEG, at ({position}) mm, lies {off_vox.max():.2f}"
        if int(off_vox.argmax()) in alignment.axes:
            raise self._other_grid(f"{found} pixels off the CT's pixels")
        raise Refusal(
            "M08",
            f"{found} slices off the nearest slice of the CT",
            f"frames on the slices of CT series {self.grid.series_uid}",
            RESAMPLE,
        )

    def _refuse_coarser(self, frame: Frame, alignment: Alignment) -> None:
        """Every frame on a slice is not enough: a 10 mm frame stands for two 5 mm slices."""
        through = ({0, 1, 2} - set(alignment.axes)).pop()
        ct_step_mm = float(self.grid.geometry.steps_mm[through])
        slices_each = round((frame.step_mm or 0) / ct_step_mm)
        places = np.unique(np.rint(self._corners_vox[:, through]))
        if slices_each > 1 and not (np.diff(places) % slices_each).any():
            raise self._other_grid(f"the SEG has slices {frame.step_mm:.5g} mm apart")

    def _other_grid(self, found: str) -> Refusal:
        (dz, dy, dx), (z, y, x) = self.grid.geometry.steps_mm, self.grid.geometry.shape
        return Refusal(
            "M04",
            found,
            f"the grid of CT series {self.grid.series_uid}: {z} x {y} x {x} voxels of"
            f" {dz:.5g} x {dy:.5g} x {dx:.5g} mm (z y x)",
            RESAMPLE,
        )
