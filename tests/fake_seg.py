"""DICOM SEG written by highdicom onto the CT slices of `fake_ct`."""

from collections.abc import Sequence
from typing import Literal

import highdicom as hd
import numpy as np
from highdicom.seg import Segmentation, SegmentDescription
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code
from pydicom.uid import UID, ExplicitVRLittleEndian

from lnscore.dicom.geometry import CtGrid, Geometry
from lnscore.masks.regions import Region

LYMPH_NODE = Code("59441001", "SCT", "Lymph node")

Kind = Literal["BINARY", "FRACTIONAL", "LABELMAP"]


def grid_of(ct_slices: Sequence[Dataset]) -> CtGrid:
    """The grid of sound CT slices, sorted along their normal."""
    first = ct_slices[0]
    row, column = np.array(first.ImageOrientationPatient, float).reshape(2, 3)
    normal = np.cross(row, column)
    ordered = sorted(ct_slices, key=lambda ds: np.array(ds.ImagePositionPatient, float) @ normal)
    positions = np.array([ds.ImagePositionPatient for ds in ordered], float)
    affine = np.eye(4)
    affine[:3, 0] = (positions[-1] - positions[0]) / (len(positions) - 1)
    affine[:3, 1] = column * float(first.PixelSpacing[0])
    affine[:3, 2] = row * float(first.PixelSpacing[1])
    affine[:3, 3] = positions[0]
    return CtGrid(
        study_uid=str(first.StudyInstanceUID),
        series_uid=str(first.SeriesInstanceUID),
        for_uid=str(first.FrameOfReferenceUID),
        sop_uids=tuple(str(ds.SOPInstanceUID) for ds in ordered),
        geometry=Geometry(affine, (len(ordered), int(first.Rows), int(first.Columns))),
    )


def on_grid(region: Region, grid: CtGrid) -> np.ndarray:
    """The region's mask on the whole CT, bool z y x."""
    whole = np.zeros(grid.geometry.shape, bool)
    box = zip(region.origin_vox, region.mask.shape, strict=True)
    whole[tuple(slice(start, start + size) for start, size in box)] = region.mask
    return whole


def describe(
    number: int,
    name: str,
    tracking_uid: str | None = None,
    anatomic_regions: Sequence[Code] | None = None,
    algorithm: str | None = None,
) -> SegmentDescription:
    """One segment: drawn by hand, or by the named algorithm."""
    identification = algorithm and hd.AlgorithmIdentificationSequence(
        name=algorithm, family=codes.DCM.ArtificialIntelligence, version="1"
    )
    return SegmentDescription(
        segment_number=number,
        segment_label=name,
        segmented_property_category=codes.SCT.AnatomicalStructure,
        segmented_property_type=LYMPH_NODE,
        algorithm_type="AUTOMATIC" if algorithm else "MANUAL",
        algorithm_identification=identification or None,
        tracking_uid=tracking_uid,
        tracking_id=tracking_uid and name,
        anatomic_regions=anatomic_regions,
    )


def make_seg(
    ct_slices: Sequence[Dataset],
    masks: np.ndarray,
    names: Sequence[str] | None = None,
    tracking_uids: Sequence[str | None] | None = None,
    kind: Kind = "BINARY",
    *,
    anatomic_regions: Sequence[Sequence[Code] | None] | None = None,
    algorithm: str | None = None,
    fractional_type: str = "PROBABILITY",
    max_fractional_value: int = 255,
    transfer_syntax_uid: str = ExplicitVRLittleEndian,
    omit_empty_frames: bool = True,
) -> Dataset:
    """One SEG object with a segment per mask.

    Args:
        ct_slices: The CT, `masks[z]` lies on `ct_slices[z]`.
        masks: Shape (z, y, x, segment); bool, or for FRACTIONAL float from 0 to 1.
        names: Segment labels; "LN 1", "LN 2", ... by default.
        tracking_uids: Of each segment.
        kind: SegmentationType. A LABELMAP cannot hold overlapping masks.
        anatomic_regions: Codes of each segment's place.
        algorithm: Name of the algorithm that drew; None for a human.
        fractional_type: PROBABILITY or OCCUPANCY.
        max_fractional_value: Stored value of 1.0.
        transfer_syntax_uid: Of the written object.
        omit_empty_frames: Leave out frames with nothing in them.
    """
    count = masks.shape[-1]
    names = names or [f"LN {number}" for number in range(1, count + 1)]
    tracking_uids = tracking_uids or [None] * count
    regions = anatomic_regions or [None] * count
    seg = Segmentation(
        source_images=list(ct_slices),
        pixel_array=_pixels(masks, kind),
        segmentation_type=kind,
        segment_descriptions=[
            describe(number, *parts, algorithm)
            for number, parts in enumerate(zip(names, tracking_uids, regions, strict=True), 1)
        ],
        series_instance_uid=hd.UID(),
        series_number=100,
        sop_instance_uid=hd.UID(),
        instance_number=1,
        manufacturer="lnscore tests",
        manufacturer_model_name="fake_seg",
        software_versions="1",
        device_serial_number="1",
        fractional_type=fractional_type,
        max_fractional_value=max_fractional_value,
        transfer_syntax_uid=UID(transfer_syntax_uid),
        omit_empty_frames=omit_empty_frames,
    )
    return seg


def _pixels(masks: np.ndarray, kind: Kind) -> np.ndarray:
    if kind == "FRACTIONAL":
        return masks.astype(np.float64)
    if kind == "BINARY":
        return masks.astype(np.uint8)
    assert masks.sum(axis=-1).max() <= 1, "a label map cannot hold overlapping masks"
    return (masks * np.arange(1, masks.shape[-1] + 1)).sum(axis=-1).astype(np.uint8)
