"""RT Structure Sets on a CT, made in the test and read back from their bytes."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from io import BytesIO

import numpy as np
from pydicom import dcmread
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.tag import Tag
from pydicom.uid import (
    CTImageStorage,
    ExplicitVRLittleEndian,
    RTStructureSetStorage,
    generate_uid,
)

from lnscore.dicom.geometry import CtGrid


@dataclass
class FakeContour:
    points_mm: np.ndarray
    kind: str = "CLOSED_PLANAR"
    sop_uid: str | None = None


@dataclass
class FakeRoi:
    name: str = "LN 1"
    contours: Sequence[FakeContour] = ()
    number: int = 1
    for_uid: str | None = "the CT's"
    interpreted_type: str = ""


@dataclass
class FakeReferences:
    """What the file says of the CT; None leaves it out."""

    for_uid: str | None = "the CT's"
    series_uid: str | None = "the CT's"
    sop_uids: Sequence[str] | None = field(default_factory=lambda: ["the CT's"])


def outline(
    grid: CtGrid,
    z: float,
    corners: Sequence[Sequence[float]],
    kind: str = "CLOSED_PLANAR",
    sop_uid: str | None = None,
) -> FakeContour:
    """A contour through (row, column) corners, in pixels, of slice z."""
    index = np.array([(z, row, column) for row, column in corners], float)
    return FakeContour(grid.geometry.to_mm(index), kind, sop_uid)


def square(grid: CtGrid, z: float, first: float, last: float, **how) -> FakeContour:
    """A square from pixel `first` to pixel `last`, both inside it, in rows and columns."""
    low, high = first - 0.5, last + 0.5
    return outline(grid, z, [(low, low), (low, high), (high, high), (high, low)], **how)


def make_rtstruct(
    grid: CtGrid, rois: Sequence[FakeRoi], references: FakeReferences | None = None
) -> Dataset:
    """A structure set in memory; change an element to make a hazard, then `reread`."""
    references = references or FakeReferences()
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID = RTStructureSetStorage
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID = generate_uid()
    ds.Modality, ds.PatientID, ds.PatientName = "RTSTRUCT", "K17", "Doe^Jane"
    ds.StudyInstanceUID, ds.SeriesInstanceUID = grid.study_uid, generate_uid()
    ds.StructureSetLabel, ds.StructureSetDate, ds.StructureSetTime = "nodes", "20261101", "101500"
    ds.ReferencedFrameOfReferenceSequence = _references(grid, references)
    ds.StructureSetROISequence = [_head(grid, roi) for roi in rois]
    ds.ROIContourSequence = [_contours(roi) for roi in rois]
    ds.RTROIObservationsSequence = [_observation(roi) for roi in rois]
    return ds


def as_bytes(dataset: Dataset) -> bytes:
    file = BytesIO()
    dataset.save_as(file, enforce_file_format=True)
    return file.getvalue()


def reread(dataset: Dataset) -> Dataset:
    """The same data set as a reader meets it: parsed from its bytes."""
    return dcmread(BytesIO(as_bytes(dataset)))


def write_raw(item: Dataset, keyword: str, vr: str, value: bytes) -> None:
    """Put bytes into an element that pydicom would not write."""
    tag = Tag(keyword)
    item[tag] = RawDataElement(tag, vr, len(value), value, 0, False, True)


def _references(grid: CtGrid, references: FakeReferences) -> list[Dataset]:
    frame = Dataset()
    if references.for_uid is not None:
        frame.FrameOfReferenceUID = _or_ct(references.for_uid, grid.for_uid)
    if references.series_uid is not None:
        series = Dataset()
        series.SeriesInstanceUID = _or_ct(references.series_uid, grid.series_uid)
        if references.sop_uids is not None:
            given = list(references.sop_uids)
            listed = grid.sop_uids if given == ["the CT's"] else given
            series.ContourImageSequence = [_image(uid) for uid in listed]
        study = Dataset()
        study.ReferencedSOPInstanceUID = grid.study_uid
        study.RTReferencedSeriesSequence = [series]
        frame.RTReferencedStudySequence = [study]
    return [frame] if len(frame) else []


def _or_ct(stated: str, of_the_ct: str) -> str:
    return of_the_ct if stated == "the CT's" else stated


def _image(sop_uid: str) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = CTImageStorage, sop_uid
    return item


def _head(grid: CtGrid, roi: FakeRoi) -> Dataset:
    item = Dataset()
    item.ROINumber, item.ROIName, item.ROIGenerationAlgorithm = roi.number, roi.name, "MANUAL"
    if roi.for_uid is not None:
        item.ReferencedFrameOfReferenceUID = _or_ct(roi.for_uid, grid.for_uid)
    return item


def _contours(roi: FakeRoi) -> Dataset:
    item = Dataset()
    item.ReferencedROINumber = roi.number
    item.ContourSequence = [_contour(contour) for contour in roi.contours]
    return item


def _contour(contour: FakeContour) -> Dataset:
    item = Dataset()
    if contour.sop_uid is not None:
        item.ContourImageSequence = [_image(contour.sop_uid)]
    item.ContourGeometricType = contour.kind
    item.NumberOfContourPoints = len(contour.points_mm)
    item.ContourData = [f"{value:.6f}" for value in np.ravel(contour.points_mm)]
    return item


def _observation(roi: FakeRoi) -> Dataset:
    item = Dataset()
    item.ObservationNumber = item.ReferencedROINumber = roi.number
    item.RTROIInterpretedType, item.ROIInterpreter = roi.interpreted_type, ""
    return item
