"""Real DICOM CT files with known Hounsfield units, made in the test."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

HuField = Callable[[np.ndarray], np.ndarray]
"""World points (..., 3) in LPS mm to HU (...)."""


def air(points_mm: np.ndarray) -> np.ndarray:
    """-1000 HU everywhere."""
    return np.full(points_mm.shape[:-1], -1000.0)


def ramp(slope_hu_per_mm: Sequence[float], offset_hu: float = 0.0) -> HuField:
    """HU that grow linearly with x, y, z."""
    return lambda points_mm: points_mm @ np.asarray(slope_hu_per_mm) + offset_hu


def sphere(centre_mm: Sequence[float], radius_mm: float, inside_hu: float = 60.0) -> HuField:
    """One ball in fat (-100 HU)."""

    def field(points_mm: np.ndarray) -> np.ndarray:
        distance = np.linalg.norm(points_mm - np.asarray(centre_mm), axis=-1)
        return np.where(distance <= radius_mm, inside_hu, -100.0)

    return field


def affine_of(
    spacing_mm: Sequence[float],
    orientation: Sequence[float],
    origin_mm: Sequence[float],
    slice_step_mm: Sequence[float] | None = None,
) -> np.ndarray:
    """Voxel z y x to LPS x y z, from ImageOrientationPatient (row cosines first).

    `slice_step_mm` replaces the step along the normal: a tilted gantry's table step.
    """
    row, column = np.array(orientation[:3], float), np.array(orientation[3:], float)
    step = np.cross(row, column) * spacing_mm[0] if slice_step_mm is None else slice_step_mm
    affine = np.eye(4)
    affine[:3, 0] = step
    affine[:3, 1] = column * spacing_mm[1]
    affine[:3, 2] = row * spacing_mm[2]
    affine[:3, 3] = origin_mm
    return affine


def make_ct(
    shape: tuple[int, int, int] = (12, 64, 64),
    spacing_mm: Sequence[float] = (5.0, 0.8, 0.8),
    orientation: Sequence[float] = (1, 0, 0, 0, 1, 0),
    origin_mm: Sequence[float] = (0.0, 0.0, 0.0),
    hu: HuField = air,
    *,
    slice_step_mm: Sequence[float] | None = None,
    patient_id: str = "K17",
    study_uid: str | None = None,
    series_uid: str | None = None,
    for_uid: str | None = None,
    intercept: float = -1024.0,
    slope: float = 1.0,
) -> list[Dataset]:
    """CT slices in memory, file meta included; change a tag to make a hazard, then `save`."""
    affine = affine_of(spacing_mm, orientation, origin_mm, slice_step_mm)
    study_uid, series_uid = study_uid or generate_uid(), series_uid or generate_uid()
    for_uid = for_uid or generate_uid()
    rows, columns = np.meshgrid(np.arange(shape[1]), np.arange(shape[2]), indexing="ij")
    slices = []
    for z in range(shape[0]):
        index = np.stack([np.full(rows.shape, z), rows, columns], axis=-1)
        points = index @ affine[:3, :3].T + affine[:3, 3]
        stored = np.round((hu(points) - intercept) / slope).clip(-32768, 32767).astype("<i2")
        ds = Dataset()
        ds.file_meta = FileMetaDataset()
        ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        ds.SOPClassUID = CTImageStorage
        ds.SOPInstanceUID = generate_uid()
        ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID
        ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
        ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
        ds.Modality = "CT"
        ds.PatientName = "Doe^Jane"
        ds.PatientID = patient_id
        ds.PatientBirthDate = "19600102"
        ds.PatientSex = "F"
        ds.StudyDate = ds.SeriesDate = ds.AcquisitionDate = ds.ContentDate = "20261101"
        ds.StudyTime = ds.SeriesTime = ds.AcquisitionTime = ds.ContentTime = "101500"
        ds.StudyID, ds.AccessionNumber, ds.ReferringPhysicianName = "1", "A1", ""
        ds.StudyInstanceUID, ds.SeriesInstanceUID = study_uid, series_uid
        ds.FrameOfReferenceUID, ds.PositionReferenceIndicator = for_uid, ""
        ds.SeriesNumber, ds.InstanceNumber, ds.AcquisitionNumber = 2, z + 1, 1
        ds.Manufacturer = "lnscore tests"
        ds.KVP, ds.ConvolutionKernel = "120", "B30f"
        ds.PatientPosition = "HFS"
        ds.SliceThickness = f"{spacing_mm[0]:.6g}"
        ds.ImagePositionPatient = [f"{v:.6f}" for v in affine[:3, 3] + z * affine[:3, 0]]
        ds.ImageOrientationPatient = [f"{v:.9f}" for v in orientation]
        ds.PixelSpacing = [f"{spacing_mm[1]:.8g}", f"{spacing_mm[2]:.8g}"]
        ds.Rows, ds.Columns = shape[1:]
        ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
        ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, 1
        ds.RescaleIntercept, ds.RescaleSlope, ds.RescaleType = f"{intercept:g}", f"{slope:g}", "HU"
        ds.PixelData = stored.tobytes()
        slices.append(ds)
    return slices


def save(slices: Sequence[Dataset], folder: Path) -> list[Path]:
    """Write `slices` as files named by their place in the list (never by position)."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{number:05d}.dcm" for number in range(len(slices))]
    for ds, path in zip(slices, paths, strict=True):
        ds.save_as(path, enforce_file_format=True)
    return paths
