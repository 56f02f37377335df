"""Write a phantom scan as CT image files, stored in the way of its simulated scanner."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lnscore.phantom.node_field import PaintedNode
from lnscore.phantom.patients import NAME_STREAM, NOISE_STREAM, PhantomPatient
from lnscore.phantom.render import render
from lnscore.phantom.scanners import EXPLICIT, IMPLICIT, JPEG_LS, MATRIX, Habit

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"


def write_ct(
    patient: PhantomPatient, painted: Sequence[PaintedNode | None], folder: Path
) -> "list[Dataset]":
    """Render a patient's scan slice by slice into DICOM files.

    Args:
        patient: The phantom patient.
        painted: Nodes on the slices of the scan.
        folder: New folder; the file names do not show the order of the slices.

    Returns:
        The headers of the slices without pixels, lowest slice first.
    """
    folder.mkdir(parents=True)
    scan, habit = patient.scan, patient.scan.habit
    series = _series(patient)
    numbers = patient.stream(NAME_STREAM).permutation(scan.count + 1)
    rng = patient.stream(NOISE_STREAM)
    headers, shadow = [], []
    outside = _outside_circle()
    slices = render(patient.chest, painted, scan.slices, scan.exposure, rng)
    for z, hu in enumerate(slices):
        header = _slice(series, patient, z)
        stored = np.rint(hu).astype(np.int16) - np.int16(habit.intercept)
        if habit.padding is not None:
            stored[outside] = habit.padding
        _save(header, _turn(stored, habit), habit, folder / f"IM{numbers[z]:05d}")
        headers.append(header)
        shadow.append(hu.mean(axis=0))
    if habit.localizer:
        header, scout_hu = _localizer(series, patient, np.stack(shadow))
        stored = np.rint(scout_hu).astype(np.int16) - np.int16(habit.intercept)
        _save(header, stored, habit, folder / f"IM{numbers[-1]:05d}")
    return headers


def _series(patient: PhantomPatient) -> "Dataset":
    """Return the elements that all slices of the series share."""
    from pydicom.dataset import Dataset

    habit, number = patient.scan.habit, patient.plan.number
    ds = Dataset()
    ds.SOPClassUID, ds.Modality = CT_IMAGE, "CT"
    ds.PatientName, ds.PatientID = f"Phantom^{number:04d}", patient.patient_id
    ds.PatientBirthDate, ds.PatientSex = patient.birth_date, patient.sex
    day = patient.study_day.strftime("%Y%m%d")
    ds.StudyDate = ds.SeriesDate = ds.AcquisitionDate = ds.ContentDate = day
    ds.StudyTime, ds.SeriesTime, ds.AcquisitionTime, ds.ContentTime = (
        "091500", "091730", "091800", "091800",
    )  # fmt: skip
    ds.StudyID, ds.AccessionNumber, ds.ReferringPhysicianName = "1", f"A{number:06d}", ""
    ds.StudyDescription, ds.SeriesDescription = "Phantom chest", "Portal venous"
    ds.StudyInstanceUID, ds.SeriesInstanceUID = patient.uid("study"), patient.uid("ct")
    ds.FrameOfReferenceUID, ds.PositionReferenceIndicator = patient.uid("frame"), ""
    ds.SeriesNumber, ds.AcquisitionNumber = 2, 1
    ds.Manufacturer, ds.ManufacturerModelName = "lnscore phantom", habit.model
    ds.ConvolutionKernel, ds.KVP, ds.SliceThickness = habit.kernel, "120", f"{habit.spacing_mm:g}"
    ds.ContrastBolusAgent = "simulated"
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    bits = 16 if habit.signed else 12
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = 16, bits, bits - 1
    ds.PixelRepresentation = int(habit.signed)
    ds.RescaleIntercept, ds.RescaleSlope, ds.RescaleType = str(habit.intercept), "1", "HU"
    ds.WindowCenter, ds.WindowWidth = "40", "400"
    return ds


def _copy(source: "Dataset") -> "Dataset":
    """Return a new data set with the same elements (after copy.copy, both would stay linked)."""
    from pydicom.dataset import Dataset

    ds = Dataset()
    ds.update(source)
    return ds


def _slice(series: "Dataset", patient: PhantomPatient, z: int) -> "Dataset":
    scan, habit = patient.scan, patient.scan.habit
    ds = _copy(series)
    ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    ds.SOPInstanceUID = patient.uid(f"ct/{z}")
    ds.InstanceNumber = scan.count - z if habit.descending else z + 1
    x, y, height = scan.affine[:3, 3] + scan.affine[:3, 0] * z
    sign, far_mm = (-1, (MATRIX - 1) * scan.pixel_mm) if habit.turned else (1, 0.0)
    ds.ImagePositionPatient = [f"{v:.4f}" for v in (x + far_mm, y + far_mm, height)]
    ds.ImageOrientationPatient = [sign, 0, 0, 0, sign, 0]
    ds.PatientPosition = "HFP" if habit.turned else "HFS"
    ds.PixelSpacing = [f"{scan.pixel_mm:g}"] * 2
    ds.Rows = ds.Columns = MATRIX
    if habit.padding is not None:
        ds.add_new(0x00280120, "SS", habit.padding)
    return ds


def _localizer(
    series: "Dataset", patient: PhantomPatient, shadow_hu: np.ndarray
) -> "tuple[Dataset, np.ndarray]":
    """Make a scout view from the projections of the slices, head at the top: header and HU."""
    scan = patient.scan
    repeat = max(round(scan.habit.spacing_mm / scan.pixel_mm), 1)
    ds = _copy(series)
    ds.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    ds.SOPInstanceUID, ds.InstanceNumber = patient.uid("scout"), 0
    x, y, _ = scan.affine[:3, 3]
    top = float(scan.slices.z_mm[-1])
    ds.ImagePositionPatient = [f"{v:.4f}" for v in (x, y + 200, top)]
    ds.ImageOrientationPatient, ds.PatientPosition = [1, 0, 0, 0, 0, -1], "HFS"
    ds.PixelSpacing = [f"{scan.habit.spacing_mm / repeat:g}", f"{scan.pixel_mm:g}"]
    scout_hu = np.repeat(shadow_hu[::-1], repeat, axis=0)
    ds.Rows, ds.Columns = scout_hu.shape
    return ds, scout_hu


def _outside_circle() -> np.ndarray:
    offset = np.arange(MATRIX) - (MATRIX - 1) / 2
    return np.hypot(offset[:, None], offset[None, :]) > MATRIX / 2


def _turn(pixels: np.ndarray, habit: Habit) -> np.ndarray:
    return pixels[::-1, ::-1] if habit.turned else pixels


def _save(header: "Dataset", stored: np.ndarray, habit: Habit, path: Path) -> None:
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import UID

    ds = _copy(header)
    ds.file_meta = FileMetaDataset()
    # Compression needs a data set in explicit little endian.
    ds.file_meta.TransferSyntaxUID = UID(IMPLICIT if habit.syntax == IMPLICIT else EXPLICIT)
    ds.PixelData = np.ascontiguousarray(stored, "<i2" if habit.signed else "<u2").tobytes()
    ds["PixelData"].VR = "OW"
    if habit.syntax == JPEG_LS:
        ds.compress(JPEG_LS, encoding_plugin="pyjpegls", generate_instance_uid=False)
    ds.save_as(path, enforce_file_format=True)
