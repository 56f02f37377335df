"""Read an RT Structure Set as regions on a CT, one region for each structure.

The frame of reference decides to which CT a structure set belongs. It stands in a sequence of the
file and in each structure; some writers fill only one of the two, which then decides. If both are
empty, the referenced series and images decide; without those, the file is refused. The module
`contours` converts contours to masks.
"""

from collections import Counter
from dataclasses import dataclass

import numpy as np
from pydicom.dataset import Dataset

from lnscore.dicom.elements import text
from lnscore.dicom.geometry import CtGrid
from lnscore.errors import Refusal
from lnscore.masks.contours import Contour, draw
from lnscore.masks.regions import (
    AnnotatedFile,
    Region,
    check_frame_of_reference,
    check_slices_present,
)
from lnscore.masks.rtstruct_structures import (
    Structure,
    WrittenContour,
    items,
    read_contours,
    readable,
    structures,
)
from lnscore.stations.stated import station_in

RT_STRUCTURE_SET = "1.2.840.10008.5.1.4.1.1.481.3"

NO_NODE = {
    "EXTERNAL", "BOLUS", "SUPPORT", "FIXATION", "ISOCENTER", "CONTROL", "DOSE_REGION",
}  # fmt: skip
"""Interpreted types of the patient's outline, of devices and of fields, which are never nodes."""


@dataclass(frozen=True)
class _Listed:
    """One series to which the structure set refers, with its images."""

    for_uid: str
    series_uid: str
    sop_uids: frozenset[str]


def read_rtstruct(dataset: Dataset, grid: CtGrid) -> AnnotatedFile:
    """Read every structure of an RT Structure Set on a CT.

    CLOSED_PLANAR and CLOSEDPLANAR_XOR contours give one mask. A structure with POINT contours
    only gives one point region for each point. Contours that enclose nothing (open, fewer than 3
    points, no area) are left out; `refusals` and the warnings of the region then have M47.

    Args:
        dataset: The structure set; contour data may still be unparsed.
        grid: Grid of the CT to which it belongs.

    Returns:
        Regions in the order of ROI numbers. `refusals` has the structures that cannot be used
        (M01, M02, M42 to M51). `details` has the interpreted types by ROI number.

    Raises:
        Refusal: M01 not a structure set, M02 another frame of reference, M03 missing images,
            M06 too many structures, M42 nothing states to which CT it belongs.
    """
    with readable("the RTSTRUCT"):
        _check_class(dataset)
        found, refusals = structures(dataset)
        _check_belongs(dataset, found, grid)
    regions: list[Region] = []
    for structure in found:
        try:
            _check_structure(structure, dataset, grid)
            made, unused = _regions(structure, read_contours(structure), grid)
        except Refusal as refusal:
            refusals.append(refusal)
            continue
        regions += made
        refusals += unused
    types = {str(s.number): s.interpreted_type for s in found if s.interpreted_type}
    return AnnotatedFile(tuple(regions), tuple(refusals), {"interpreted_types": types})


def referenced_series(dataset: Dataset) -> set[str]:
    """Return the SeriesInstanceUIDs to which a structure set refers.

    Raises:
        Refusal: M01, the structure set cannot be read.
    """
    with readable("the RTSTRUCT"):
        return {listed.series_uid for listed in _listed(dataset)} - {""}


def referenced_sops(dataset: Dataset) -> set[str]:
    """Return the SOPInstanceUIDs of the images to which a structure set and its contours refer.

    Raises:
        Refusal: M01, the structure set cannot be read.
    """
    with readable("the RTSTRUCT"):
        return {uid for listed in _listed(dataset) for uid in listed.sop_uids} | _drawn_on(dataset)


def _listed(dataset: Dataset) -> list[_Listed]:
    return [
        _Listed(text(frame, "FrameOfReferenceUID"), text(series, "SeriesInstanceUID"),
                _images(series))
        for frame in items(dataset, "ReferencedFrameOfReferenceSequence")
        for study in items(frame, "RTReferencedStudySequence")
        for series in items(study, "RTReferencedSeriesSequence")
    ]  # fmt: skip


def _drawn_on(dataset: Dataset) -> set[str]:
    """Return the UIDs of the images to which single contours refer."""
    return {
        uid
        for roi in items(dataset, "ROIContourSequence")
        for contour in items(roi, "ContourSequence")
        for uid in _images(contour)
    }


def _images(item: Dataset) -> frozenset[str]:
    images = items(item, "ContourImageSequence")
    return frozenset(text(image, "ReferencedSOPInstanceUID") for image in images) - {""}


def _frames(dataset: Dataset) -> set[str]:
    frames = items(dataset, "ReferencedFrameOfReferenceSequence")
    return {text(frame, "FrameOfReferenceUID") for frame in frames} - {""}


def _check_class(dataset: Dataset) -> None:
    found = text(dataset, "SOPClassUID")
    if found != RT_STRUCTURE_SET:
        raise Refusal(
            "M01",
            f"an object of SOP class {found or '(none)'}",
            f"an RT Structure Set ({RT_STRUCTURE_SET})",
            "Check what the file is",
        )


def _check_belongs(dataset: Dataset, found: list[Structure], grid: CtGrid) -> None:
    """Refuse the whole file if it belongs to another CT or to none, or if CT images are missing."""
    frames = _frames(dataset)
    if frames and grid.for_uid not in frames:
        check_frame_of_reference(min(frames), grid, "RTSTRUCT")
    listed = _listed(dataset)
    mine = [series for series in listed if series.series_uid == grid.series_uid]
    elsewhere = {u for series in listed if mine and series not in mine for u in series.sop_uids}
    images = {uid for series in mine or listed for uid in series.sop_uids}
    images |= _drawn_on(dataset) - elsewhere
    by_frame = frames or all(structure.for_uid for structure in found)
    if not (by_frame or mine or images & set(grid.sop_uids)):
        raise Refusal(
            "M42",
            "the RTSTRUCT names no frame of reference and no series or image of this CT",
            f"a reference to frame {grid.for_uid}, series {grid.series_uid} or its images",
            "Export it with its references, or as a DICOM SEG or label map on this series",
        )
    check_slices_present(images, grid, "RTSTRUCT")


def _check_structure(structure: Structure, dataset: Dataset, grid: CtGrid) -> None:
    if structure.interpreted_type in NO_NODE:
        raise Refusal(
            "M51",
            f"{structure} is of type {structure.interpreted_type}",
            "a structure that can be a lymph node",
            "Do nothing, or correct its RT ROI Interpreted Type",
        )
    if structure.for_uid:
        check_frame_of_reference(structure.for_uid, grid, f"RTSTRUCT's {structure}")
    elif len(_frames(dataset)) > 1:
        raise Refusal(
            "M42",
            f"{structure} does not state to which of {len(_frames(dataset))} frames of reference"
            " it belongs",
            f"frame of reference {grid.for_uid} stated for the ROI",
            "Export it with ReferencedFrameOfReferenceUID",
        )
    if not structure.contours:
        raise Refusal(
            "M44", f"{structure} has no contours", "at least one", "Do nothing, or draw it"
        )


def _regions(
    structure: Structure, written: list[WrittenContour], grid: CtGrid
) -> tuple[list[Region], list[Refusal]]:
    """Return the mask or the points of a structure, and a refusal for contours left out."""
    closed = [contour for contour in written if contour.flaw is None]
    points = [c for c in written if c.kind == "POINT" and len(c.points_mm) == 1 and not closed]
    unused = [contour for contour in written if contour.flaw and contour not in points]
    if not closed and not points:
        raise _unusable(structure, unused, len(written))
    refusals = [_unusable(structure, unused, len(written))] if unused else []
    flagged = {"M47"} if unused else set()
    if any(c.stated_points not in (None, len(c.points_mm)) for c in written):
        flagged.add("M59")
    if points:
        return _point_regions(structure, points, flagged, grid), refusals
    return [_mask_region(structure, closed, flagged, grid)], refusals


def _unusable(structure: Structure, unused: list[WrittenContour], count: int) -> Refusal:
    flaws = Counter(contour.flaw for contour in unused)
    return Refusal(
        "M47",
        f"{structure}: of {count} contours {', '.join(f'{n} {flaw}' for flaw, n in flaws.items())}",
        "closed planar contours of at least 3 points that enclose an area",
        "Close or remove them" + ("; the others are used" if len(unused) < count else ""),
    )


def _mask_region(
    structure: Structure, closed: list[WrittenContour], flagged: set[str], grid: CtGrid
) -> Region:
    times = Counter(grid.sop_uids)
    slices = {uid: z for z, uid in enumerate(grid.sop_uids) if times[uid] == 1}
    contours = []
    for contour in closed:
        named = {slices[uid] for uid in contour.sop_uids if uid in slices}
        one = named.pop() if len(named) == 1 else None
        points_vox = grid.geometry.to_vox(contour.points_mm)
        contours.append(Contour(points_vox, one, contour.kind == "CLOSEDPLANAR_XOR"))
    drawn = draw(contours, grid.geometry, str(structure))
    station, doubts = station_in(structure.name)
    return Region(
        label=structure.label,
        number=structure.number,
        mask=drawn.mask,
        origin_vox=drawn.origin_vox,
        station=station,
        warnings=tuple(sorted({*drawn.warnings, *doubts, *flagged})),
    )


def _point_regions(
    structure: Structure, points: list[WrittenContour], flagged: set[str], grid: CtGrid
) -> list[Region]:
    """Make one region for each point; several points of one structure are numbered candidates."""
    station, doubts = station_in(structure.name)
    return [
        Region(
            label=structure.label + (f" #{place}" if len(points) > 1 else ""),
            number=structure.number,
            centre_mm=_inside(structure, point.points_mm, grid),
            station=station,
            warnings=tuple(sorted({*doubts, *flagged})),
        )
        for place, point in enumerate(points, 1)
    ]


def _inside(structure: Structure, point_mm: np.ndarray, grid: CtGrid) -> tuple[float, float, float]:
    voxel = grid.geometry.to_vox(point_mm)[0]
    if (voxel < -0.5).any() or (voxel > np.array(grid.geometry.shape) - 0.5).any():
        raise Refusal(
            "M49",
            f"{structure} has a point at voxel {np.round(voxel, 1)} (z y x)",
            f"a point inside the scan of {grid.geometry.shape} voxels",
            "Check that it was placed on this series and that all its slices are here",
        )
    x, y, z = (float(value) for value in point_mm[0])
    return x, y, z
