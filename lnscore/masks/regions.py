"""The common output of all mask readers: regions on the CT grid, and refusals with reasons.

The readers are `seg`, `rtstruct`, `label_maps` and `points`. This module holds only what they
share and does not depend on any file format.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from db.records import StationKey
from lnscore.dicom.geometry import CtGrid
from lnscore.errors import Refusal

MAX_REGIONS = 500
"""Largest number of segments, structures or labels in one file; more are not node masks."""

WAITING = frozenset({"M03"})
"""Codes of refusals that may end without action: the CT of the mask has not fully arrived yet."""


@dataclass(frozen=True, kw_only=True)
class Region:
    """One candidate node: a mask on the CT grid, or a point.

    Attributes:
        label: Segment label, ROI name, "label 3" or the name of a point.
        number: Segment or ROI number, label value, or position of a point in its file from 1.
        centre_mm: Centre in LPS x y z; only for a point, which has no mask.
        mask: bool z y x, cropped to its bounding box on the CT grid; None for a point.
        origin_vox: CT index z y x of `mask[0, 0, 0]`.
        tracking_uid: Tracking UID if the source states one (DICOM SEG), else None.
        station: Station that the segment's code or name states, else None.
        warnings: Warning codes (see `errors.CODES`) of this node.
    """

    label: str
    number: int
    centre_mm: tuple[float, float, float] | None = None
    mask: np.ndarray | None = None
    origin_vox: tuple[int, int, int] = (0, 0, 0)
    tracking_uid: str | None = None
    station: StationKey | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class AnnotatedFile:
    """Content of one mask file.

    Attributes:
        regions: Usable regions in the order of the source's numbers; may be empty.
        refusals: Refusals of the regions that cannot be used.
        details: Provenance that is stored: algorithm, threshold, fractional type.
    """

    regions: tuple[Region, ...]
    refusals: tuple[Refusal, ...] = ()
    details: dict[str, Any] = field(default_factory=dict)


def crop(
    mask: np.ndarray, origin_vox: tuple[int, int, int] = (0, 0, 0)
) -> tuple[np.ndarray, tuple[int, int, int]] | None:
    """Crop a mask to the bounding box of its voxels.

    Args:
        mask: bool z y x.
        origin_vox: CT index z y x of `mask[0, 0, 0]`.

    Returns:
        A copy of the box, and the CT index of its first voxel; None if no voxel is set.
    """
    box, start = mask, []
    for axis, first in enumerate(origin_vox):
        others = tuple(other for other in range(3) if other != axis)
        used = np.flatnonzero(box.any(axis=others))
        if not len(used):
            return None
        inside = slice(int(used[0]), int(used[-1]) + 1)
        box = box[(slice(None),) * axis + (inside,)]  # makes the search along the next axis smaller
        start.append(first + inside.start)
    return box.copy(), (start[0], start[1], start[2])


def from_voxels(voxels: np.ndarray) -> tuple[np.ndarray, tuple[int, int, int]]:
    """Make the mask of a set of voxels.

    Args:
        voxels: CT index z y x, shape (voxel, 3), at least one.

    Returns:
        The mask of the bounding box, and the CT index of its first voxel.
    """
    low = voxels.min(axis=0)
    mask = np.zeros(voxels.max(axis=0) - low + 1, bool)
    mask[tuple((voxels - low).T)] = True
    return mask, (int(low[0]), int(low[1]), int(low[2]))


def check_frame_of_reference(for_uid: str, grid: CtGrid, kind: str) -> None:
    """Refuse a mask whose frame of reference is not that of the CT.

    Args:
        for_uid: FrameOfReferenceUID of the mask.
        grid: Grid of the CT.
        kind: "SEG" or "RTSTRUCT", for the message.

    Raises:
        Refusal: M02, naming both UIDs.
    """
    if for_uid != grid.for_uid:
        raise Refusal(
            "M02",
            f"the {kind} has frame of reference {for_uid or '(none)'}",
            f"that of CT series {grid.series_uid}: {grid.for_uid}",
            "Draw the mask on this CT series, or export the series that it was drawn on",
        )


def check_slices_present(sop_uids: Iterable[str], grid: CtGrid, kind: str) -> None:
    """Refuse, for the time being, a mask that refers to CT images that are missing.

    Args:
        sop_uids: SOPInstanceUIDs that the mask refers to.
        grid: Grid of the CT.
        kind: "SEG" or "RTSTRUCT", for the message.

    Raises:
        Refusal: M03 (see `WAITING`).
    """
    absent = sorted(set(sop_uids) - set(grid.sop_uids) - grid.others)
    if absent:
        raise Refusal(
            "M03",
            f"the {kind} refers to {len(absent)} CT images that are not in the series,"
            f" such as {absent[0]}",
            f"all of them in CT series {grid.series_uid} ({len(grid.sop_uids)} images)",
            "Wait for the rest of the CT, or send the whole series again",
        )
