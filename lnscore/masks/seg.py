"""Read a DICOM SEG (BINARY, FRACTIONAL or LABELMAP) as regions on the CT grid.

Only position and orientation decide where a frame lies, never its order in the file: frames may
be missing, flipped or turned, or extend beyond the CT.
"""

from typing import Any

import numpy as np
from pydicom.dataset import Dataset

from lnscore.dicom.elements import text
from lnscore.dicom.geometry import CtGrid
from lnscore.errors import Refusal
from lnscore.masks.regions import (
    MAX_REGIONS,
    AnnotatedFile,
    Region,
    check_frame_of_reference,
    check_slices_present,
)
from lnscore.masks.seg_frames import FRACTION, background, frame_pixels, read_frame, segment_masks
from lnscore.masks.seg_placing import FramePlacement, Piece
from lnscore.stations.stated import station_in, station_of_codes

_KINDS = ("BINARY", "FRACTIONAL", "LABELMAP")


def read_seg(dataset: Dataset, grid: CtGrid) -> AnnotatedFile:
    """Read every segment that has voxels, in the order of segment numbers.

    Args:
        dataset: The SEG, with pixels and file meta information.
        grid: Grid of the CT on which it was drawn.

    Returns:
        One region for each segment. `details` holds the `kind`, the `segments` (number, label,
        algorithm type and name), the numbers of `empty_segments`, and for FRACTIONAL the
        `fractional_type` and `threshold`. `refusals` has M10 for a segment outside the CT, and
        M01 for pixels of a segment that is not described.

    Raises:
        Refusal: M01 damaged; M02 another frame of reference; M03 CT images are missing
            (waiting); M04 another grid; M06 too many segments; M07 unknown kind of SEG; M08
            frames between the CT's slices.
    """
    check_frame_of_reference(str(dataset.get("FrameOfReferenceUID", "")), grid, "SEG")
    segments = _segments(dataset, _kind(dataset))
    check_slices_present(_references(dataset, grid), grid, "SEG")
    regions, refusals = [], []
    pieces, voxels = _pieces(dataset, grid)
    for number in sorted(voxels):
        result = _region(number, segments.get(number), pieces.get(number, []), voxels[number])
        (refusals if isinstance(result, Refusal) else regions).append(result)
    empty = sorted(set(segments) - set(voxels))
    return AnnotatedFile(tuple(regions), tuple(refusals), _details(dataset, segments, empty))


def _kind(dataset: Dataset) -> str:
    kind = str(dataset.get("SegmentationType", ""))
    if kind not in _KINDS:
        raise Refusal(
            "M07",
            f"a SEG of type {kind or '(none)'}",
            ", ".join(_KINDS),
            "Export the segmentation as BINARY, one segment for each node",
        )
    return kind


def _segments(dataset: Dataset, kind: str) -> dict[int, Dataset]:
    """Return segment descriptions by segment number, without the background of a LABELMAP."""
    items = dataset.get("SegmentSequence") or []
    if len(items) > MAX_REGIONS:
        raise Refusal(
            "M06",
            f"a SEG of {len(items)} segments",
            f"at most {MAX_REGIONS}, one for each node",
            "Check that it is a segmentation of lymph nodes",
        )
    nothing = background(dataset) if kind == "LABELMAP" else set()
    numbered = {int(item.get("SegmentNumber", 0)): item for item in items}
    return {number: item for number, item in numbered.items() if number not in nothing}


def _references(dataset: Dataset, grid: CtGrid) -> list[str]:
    """Return the images of this CT series that the SEG names.

    If the SEG does not name this series, the images of all named series are returned.
    """
    series = dataset.get("ReferencedSeriesSequence") or []
    own = [item for item in series if text(item, "SeriesInstanceUID") == grid.series_uid]
    return [
        text(image, "ReferencedSOPInstanceUID")
        for item in own or series
        for image in item.get("ReferencedInstanceSequence") or []
    ]


def _pieces(dataset: Dataset, grid: CtGrid) -> tuple[dict[int, list[Piece]], dict[int, int]]:
    """Return each segment's pieces on the CT, and its number of voxels in the whole SEG."""
    placing, nothing = FramePlacement(grid), background(dataset)
    pieces: dict[int, list[Piece]] = {}
    voxels: dict[int, int] = {}
    for number, stored in frame_pixels(dataset):
        frame = read_frame(dataset, number)
        for segment, mask in segment_masks(dataset, frame, stored, nothing):
            if set_voxels := int(np.count_nonzero(mask)):
                voxels[segment] = voxels.get(segment, 0) + set_voxels
                if piece := placing.place(frame, mask):
                    pieces.setdefault(segment, []).append(piece)
    placing.refuse_coarser()
    return pieces, voxels


def _region(
    number: int, item: Dataset | None, pieces: list[Piece], voxels: int
) -> Region | Refusal:
    if item is None:
        return Refusal(
            "M01",
            f"pixels of segment {number}, which the SEG does not describe",
            "every segment in SegmentSequence",
            "Export the segmentation again",
        )
    label = str(item.get("SegmentLabel") or f"segment {number}")
    if not pieces:
        return Refusal(
            "M10",
            f"segment {number} ({label}) lies wholly outside the CT",
            "a node inside the scan",
            "Check that the mask belongs to this CT",
        )
    mask, origin = _union(pieces)
    inside = sum(int(np.count_nonzero(part)) for part, _ in pieces)
    station, warnings = station_in(f"{label} {item.get('SegmentDescription') or ''}")
    return Region(
        label=label,
        number=number,
        mask=mask,
        origin_vox=origin,
        tracking_uid=str(item.get("TrackingUID") or "") or None,
        station=station or station_of_codes(_anatomy(item)),
        warnings=(*warnings, "N05") if inside < voxels else warnings,
    )


def _union(pieces: list[Piece]) -> Piece:
    low = np.min([origin for _, origin in pieces], axis=0)
    high = np.max([np.add(origin, part.shape) for part, origin in pieces], axis=0)
    mask = np.zeros(high - low, bool)
    for part, origin in pieces:
        start = np.subtract(origin, low)
        mask[tuple(slice(a, a + n) for a, n in zip(start, part.shape, strict=True))] |= part
    return mask, (int(low[0]), int(low[1]), int(low[2]))


def _anatomy(item: Dataset) -> list[Dataset]:
    return [
        *(item.get("AnatomicRegionSequence") or []),
        *(item.get("PrimaryAnatomicStructureSequence") or []),
        *(item.get("SegmentedPropertyTypeCodeSequence") or []),
    ]


def _details(dataset: Dataset, segments: dict[int, Dataset], empty: list[int]) -> dict[str, Any]:
    details: dict[str, Any] = {
        "kind": str(dataset.SegmentationType),
        "segments": [
            {
                "number": number,
                "label": str(item.get("SegmentLabel") or ""),
                "algorithm_type": str(item.get("SegmentAlgorithmType") or ""),
                "algorithm_name": str(item.get("SegmentAlgorithmName") or ""),
            }
            for number, item in sorted(segments.items())
        ],
        "empty_segments": empty,
    }
    if details["kind"] == "FRACTIONAL":
        details["fractional_type"] = str(dataset.get("SegmentationFractionalType", ""))
        details["threshold"] = FRACTION
    return details
