"""Read the header of one DICOM file without its pixels: enough to group, refuse and place it.

The length fields of a file are not trusted for the amount to read; deflated files are refused
without decompressing them.
"""

import mmap
import os
from dataclasses import dataclass
from typing import Any, Literal

from lnscore.dicom.elements import is_ascii, tag_of, text, value_of, whole
from lnscore.dicom.plain_headers import NotPlain, plain_header
from lnscore.dicom.slice_headers import SliceHeader, enhanced_slices, plain_slice, transfer_syntax
from lnscore.errors import Refusal

MAX_FILE_BYTES = 4 << 30
META_BYTES = 1 << 16
HEAD_BYTES = 1 << 15
"""Bytes that are read at once; if the header is longer, the file is memory-mapped."""
MAX_ID = 256
DEFLATED = b"1.2.840.10008.1.2.1.99"

CT = "1.2.840.10008.5.1.4.1.1.2"
ENHANCED_CT = ("1.2.840.10008.5.1.4.1.1.2.1", "1.2.840.10008.5.1.4.1.1.2.2")
KINDS: dict[str, "Kind"] = {
    CT: "ct",
    ENHANCED_CT[0]: "enhanced",
    ENHANCED_CT[1]: "enhanced",
    "1.2.840.10008.5.1.4.1.1.66.4": "seg",
    "1.2.840.10008.5.1.4.1.1.66.7": "seg",
    "1.2.840.10008.5.1.4.1.1.481.3": "rtstruct",
    "1.2.840.10008.1.3.10": "dicomdir",
}
Kind = Literal["ct", "enhanced", "seg", "rtstruct", "dicomdir", "other"]

TAGS = (
    "SpecificCharacterSet", "SOPClassUID", "SOPInstanceUID", "StudyInstanceUID",
    "SeriesInstanceUID", "FrameOfReferenceUID", "Modality", "ImageType", "StudyDate",
    "AccessionNumber", "PatientID", "IssuerOfPatientID", "PatientBirthDate", "PatientSex",
    "ContentDate", "ContentTime", "AcquisitionNumber", "AcquisitionDateTime", "AcquisitionTime",
    "TriggerTime", "TemporalPositionIdentifier", "ImagePositionPatient",
    "ImageOrientationPatient", "PixelSpacing", "SliceThickness", "Rows", "Columns",
    "NumberOfFrames", "SamplesPerPixel", "BitsAllocated", "BitsStored", "HighBit",
    "PixelRepresentation", "PixelPaddingValue", "PixelPaddingRangeLimit", "RescaleIntercept",
    "RescaleSlope", "RescaleType", "Manufacturer", "ManufacturerModelName", "ConvolutionKernel",
    "KVP", "PatientPosition", "GantryDetectorTilt",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class PatientFacts:
    """Data that identify a patient and a study; kept only in the driver's memory, never stored."""

    patient_id: str
    issuer: str
    birth_date: str
    sex: str
    study_date: str
    accession: str


@dataclass(frozen=True, kw_only=True)
class FileHeader:
    """Header of one DICOM file.

    Attributes:
        path: Path from which the file is read.
        shown: Path as the user knows it (inside an archive: `archive.zip!member`).
        kind: How lnscore can use the file.
        what: Modality or SOP class, for lists of skipped files.
        slices: Slices of a CT file: one, or one for each frame.
        made: Content date and time; of two masks, the newer one is used.
    """

    path: str
    shown: str
    kind: Kind
    what: str
    sop_uid: str
    study_uid: str
    series_uid: str
    who: PatientFacts
    slices: tuple[SliceHeader, ...] = ()
    made: str = ""
    for_uid: str = ""


def read_header(path: str, shown: str) -> FileHeader | None:
    """Read one file's header.

    Returns:
        The header, or None if the file is not DICOM (it is then counted, not refused).

    Raises:
        Refusal: F01 to F07.
    """
    size = os.stat(path).st_size
    if size < 132:
        return None
    if size > MAX_FILE_BYTES:
        raise Refusal("F02", f"a file of {size >> 20} MiB", "at most 4096 MiB", "Check what it is.")
    with open(path, "rb", buffering=0) as file:
        head = file.read(HEAD_BYTES)
        has_preamble = head[128:132] == b"DICM"
        if has_preamble and (header := _plain(head, path, shown)):
            return header
        if not has_preamble and not _looks_like_dicom(head):
            return None
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as raw:
            _refuse_deflated(raw)
            return _parse(raw, path, shown, has_preamble)


def _plain(raw: bytes, path: str, shown: str) -> FileHeader | None:
    """Read an ordinary header fast; None if pydicom must read it or must report the error."""
    try:
        dataset, at = plain_header(raw, TAGS)
        kind = _kind(dataset)
        if kind == "enhanced" or not text(dataset, "SOPClassUID"):
            return None
        return _facts(dataset, raw, at, kind, path, shown)
    except (NotPlain, Refusal):
        return None


def _looks_like_dicom(raw: bytes) -> bool:
    """Return whether the bytes look like a data set without preamble.

    Such a data set starts with group 2 or 8, followed by a VR or a short length.
    """
    group, element = int.from_bytes(raw[:2], "little"), int.from_bytes(raw[2:4], "little")
    length = int.from_bytes(raw[4:8], "little")
    explicit = raw[4:6].isalpha() and raw[4:6].isupper()
    return group in (2, 8) and element < 0x100 and (explicit or length <= 1024)


def _refuse_deflated(raw: mmap.mmap) -> None:
    if DEFLATED in raw[:META_BYTES]:
        raise Refusal(
            "F03",
            "Deflated Explicit VR Little Endian",
            "a transfer syntax that does not grow a thousandfold when it is read",
            "Export it again uncompressed or with an image codec.",
        )


def _parse(raw: mmap.mmap, path: str, shown: str, has_preamble: bool) -> FileHeader | None:
    from pydicom import dcmread

    try:
        dataset = dcmread(
            raw,  # pyright: ignore[reportArgumentType] - any file-like object
            stop_before_pixels=True,
            specific_tags=[tag_of(keyword) for keyword in TAGS],
            force=not has_preamble,
        )
        if "SOPClassUID" not in dataset:
            if not has_preamble:
                return None
            raise _unreadable("no SOPClassUID")
        at = raw.tell()
        kind = _kind(dataset)
        if kind == "enhanced":
            raw.seek(0)
            dataset = dcmread(raw, stop_before_pixels=True)  # pyright: ignore[reportArgumentType]
        return _facts(dataset, raw, at, kind, path, shown)
    except (Refusal, MemoryError):
        raise
    except RecursionError as error:
        raise _unreadable("sequences nested too deep") from error
    except Exception as error:
        raise _unreadable(f"{type(error).__name__}: {str(error)[:120]}") from error


def _kind(dataset: Any) -> Kind:  # noqa: ANN401
    """Return how lnscore uses the file; colour or 8-bit images stored as CT count as `other`."""
    kind = KINDS.get(text(dataset, "SOPClassUID"), "other")
    picture = (
        whole(dataset, "SamplesPerPixel") not in (None, 1) or whole(dataset, "BitsAllocated") == 8
    )
    return "other" if kind == "ct" and picture else kind


def _unreadable(found: str) -> Refusal:
    return Refusal("F01", found, "a whole DICOM file", "Export the file again.")


def _facts(
    dataset: Any,  # noqa: ANN401
    raw: mmap.mmap | bytes,
    at: int,
    kind: Kind,
    path: str,
    shown: str,
) -> FileHeader:
    for keyword in ("SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"):
        if not text(dataset, keyword):
            raise Refusal("F13", f"no {keyword}", "all three UIDs", "Export the file again.")
    slices: tuple[SliceHeader, ...] = ()
    if kind == "ct":
        slices = (plain_slice(dataset, _native_offset(dataset, raw, at), path, shown),)
    elif kind == "enhanced":
        slices = enhanced_slices(dataset, path, shown)
    return FileHeader(
        path=path,
        shown=shown,
        kind=kind,
        what=text(dataset, "Modality") or str(dataset.SOPClassUID.name),
        sop_uid=text(dataset, "SOPInstanceUID"),
        study_uid=text(dataset, "StudyInstanceUID"),
        series_uid=text(dataset, "SeriesInstanceUID"),
        who=PatientFacts(
            patient_id=_patient_id(dataset),
            issuer=text(dataset, "IssuerOfPatientID"),
            birth_date=text(dataset, "PatientBirthDate"),
            sex=text(dataset, "PatientSex"),
            study_date=text(dataset, "StudyDate"),
            accession=text(dataset, "AccessionNumber"),
        ),
        slices=slices,
        made=text(dataset, "ContentDate") + text(dataset, "ContentTime"),
        for_uid=text(dataset, "FrameOfReferenceUID"),
    )


def _patient_id(dataset: Any) -> str:  # noqa: ANN401
    value = value_of(dataset, "PatientID")
    if isinstance(value, bytes) and is_ascii(value) and b"\\" not in value:
        value = value.decode("ascii")
    elif value is not None:
        value = dataset.get("PatientID")  # in the file's character set
    if value is not None and not isinstance(value, str):
        raise _bad_id("a PatientID of several values (a backslash in it)", "one value")
    if value is not None and len(value) > MAX_ID:
        raise _bad_id(f"a PatientID of {len(value)} characters", f"at most {MAX_ID}")
    return (value or "").strip("\0 ")


def _bad_id(found: str, wanted: str) -> Refusal:
    return Refusal("F06", found, wanted, "Correct the PatientID where the scan was registered.")


def _native_offset(dataset: Any, raw: mmap.mmap | bytes, at: int) -> int | None:  # noqa: ANN401
    """Return the byte where native little-endian pixels begin; None if compressed or big-endian."""
    syntax = transfer_syntax(dataset)
    explicit = syntax == "1.2.840.10008.1.2.1"
    if not explicit and syntax != "1.2.840.10008.1.2":
        return None
    head = raw[at : at + 12]
    if head[:4] != b"\xe0\x7f\x10\x00":
        raise Refusal("F04", "no pixels", "a CT image with pixel data", "Export the file again.")
    return at + (12 if explicit else 8)
