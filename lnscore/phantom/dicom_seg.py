"""Write the nodes of a phantom scan as one DICOM SEG, with one segment for each node."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lnscore.phantom.node_field import PaintedNode, PhantomNode
from lnscore.phantom.patients import PhantomPatient
from lnscore.phantom.places import BY_CODE, SYSTEM
from lnscore.phantom.scanners import MATRIX

if TYPE_CHECKING:
    from pydicom.dataset import Dataset


def write_seg(
    patient: PhantomPatient,
    painted: Sequence[PaintedNode | None],
    headers: "Sequence[Dataset]",
    path: Path,
) -> None:
    """Write the masks of the nodes to a DICOM SEG file.

    Args:
        patient: The phantom patient.
        painted: Painted nodes on the slices of the scan, one entry for every node.
        headers: Headers of the CT slices, lowest slice first.
        path: New file.
    """
    import highdicom as hd

    pixels, used = _label_map(patient, painted)
    seg = hd.seg.Segmentation(
        source_images=[headers[z] for z in used],
        pixel_array=pixels,
        segmentation_type=hd.seg.SegmentationTypeValues.BINARY,
        segment_descriptions=[_describe(patient, node) for node in patient.nodes],
        series_instance_uid=patient.uid("seg"),
        series_number=300,
        sop_instance_uid=patient.uid("seg/1"),
        instance_number=1,
        manufacturer="lnscore phantom",
        manufacturer_model_name="phantom",
        software_versions="1",
        device_serial_number="1",
        content_label="LYMPH_NODES",
        series_description="Lymph nodes",
    )
    _forget_clock(seg, patient)
    seg.save_as(path, enforce_file_format=True)


def _label_map(
    patient: PhantomPatient, painted: Sequence[PaintedNode | None]
) -> tuple[np.ndarray, list[int]]:
    """Return segment numbers per pixel on the slices that nodes touch, and the slice numbers."""
    parts = [part for part in painted if part is not None]
    used = sorted({z for part in parts for z in range(part.slices.start, part.slices.stop)})
    place = {z: index for index, z in enumerate(used)}
    labels = np.zeros((len(used), MATRIX, MATRIX), np.uint8)
    for node, part in zip(patient.nodes, painted, strict=True):
        if part is not None:
            first = place[part.slices.start]
            block = labels[first : first + len(part.mask), part.rows, part.columns]
            block[part.mask] = node.number
    turned = patient.scan.habit.turned
    return (np.ascontiguousarray(labels[:, ::-1, ::-1]) if turned else labels), used


def segment_label(node: PhantomNode) -> str:
    """Return the segment label: number and station of the node, as `LN 3 AJCC8:4R`."""
    return f"LN {node.number} {SYSTEM}:{node.station}"


def _describe(patient: PhantomPatient, node: PhantomNode) -> Any:  # noqa: ANN401
    import highdicom as hd
    from pydicom.sr.codedict import codes

    place = BY_CODE[node.station]
    description = hd.seg.SegmentDescription(
        segment_number=node.number,
        segment_label=segment_label(node),
        segmented_property_category=codes.SCT.AnatomicalStructure,
        segmented_property_type=codes.SCT.LymphNode,
        algorithm_type=hd.seg.SegmentAlgorithmTypeValues.MANUAL,
        tracking_uid=patient.uid(f"node/{node.number}"),
        tracking_id=f"{patient.patient_id} LN {node.number}",
    )
    if place.anatomy:
        region = hd.sr.CodedConcept.from_code(getattr(codes.cid7600, place.anatomy))
        if place.side:
            side = hd.sr.CodedConcept.from_code(getattr(codes.SCT, place.side))
            region.AnatomicRegionModifierSequence = [side]
        description.AnatomicRegionSequence = [region]
    return description


def _forget_clock(seg: "Dataset", patient: PhantomPatient) -> None:
    """Replace times and random UIDs, so that the same seed gives the same bytes."""
    day = patient.study_day.strftime("%Y%m%d")
    seg.ContentDate = seg.InstanceCreationDate = seg.SeriesDate = day
    seg.ContentTime = seg.InstanceCreationTime = seg.SeriesTime = "100000"
    organization = patient.uid("seg/dimensions")
    seg.DimensionOrganizationSequence[0].DimensionOrganizationUID = organization
    for index in seg.DimensionIndexSequence:
        index.DimensionOrganizationUID = organization
    for item in seg.ContributingEquipmentSequence:
        if "ContributionDateTime" in item:
            item.ContributionDateTime = f"{day}100000"
