"""Geometry, phase and pixel coding of CT slices, from single- and multi-frame data sets."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from lnscore.errors import Refusal

MAX_FRAMES = 20_000
MAX_PIXELS = 1 << 24  # 4096 x 4096
SCANNER = ("Manufacturer", "ManufacturerModelName", "ConvolutionKernel", "KVP", "PatientPosition",
           "SliceThickness", "GantryDetectorTilt")  # fmt: skip


@dataclass(frozen=True)
class Pixels:
    """How the stored numbers of one slice become HU.

    Attributes:
        frame: Place in a multi-frame file, None for a file of one slice.
        offset: Byte of the first native pixel, None where pydicom must decode.
        slope: None where the tag is absent.
        padding: Lowest and highest stored value that stand for 'no pixel'.
    """

    transfer_syntax: str
    rows: int
    columns: int
    bits_allocated: int
    bits_stored: int
    high_bit: int
    signed: bool
    slope: float | None
    intercept: float | None
    rescale_type: str
    padding: tuple[int, int] | None
    offset: int | None
    frame: int | None = None


@dataclass(frozen=True)
class SliceHeader:
    """One CT slice: identity, place, phase, pixel coding. Missing geometry is None."""

    path: str
    shown: str
    sop_uid: str
    series_uid: str
    for_uid: str
    image_type: tuple[str, ...]
    position_mm: tuple[float, ...] | None
    orientation: tuple[float, ...] | None
    spacing_mm: tuple[float, ...] | None
    thickness_mm: float | None
    phases: tuple[str, ...]
    """AcquisitionNumber, TemporalPositionIdentifier, TriggerTime, acquisition time."""
    pixels: Pixels
    scanner: tuple[tuple[str, str], ...] = ()


def plain_slice(dataset: Any, offset: int | None, path: str, shown: str) -> SliceHeader:  # noqa: ANN401
    """The one slice of a CT Image file.

    Raises:
        Refusal: F05, F07: several frames, or sizes that no CT has.
    """
    if int(dataset.get("NumberOfFrames") or 1) != 1:
        raise Refusal(
            "F05",
            f"a CT Image with {dataset.NumberOfFrames} frames",
            "one (or an Enhanced CT)",
            "Export the series again.",
        )
    return _slice(dataset, [], offset, None, path, shown)


def enhanced_slices(dataset: Any, path: str, shown: str) -> tuple[SliceHeader, ...]:  # noqa: ANN401
    """The slices of an Enhanced or Legacy Converted Enhanced CT, one a frame.

    Raises:
        Refusal: F05 the frames are not described, F07 sizes that no CT has.
    """
    frames = dataset.get("PerFrameFunctionalGroupsSequence") or []
    count = int(dataset.get("NumberOfFrames") or 0)
    if count > MAX_FRAMES or len(frames) != count or not count:
        raise Refusal(
            "F05",
            f"{count} frames and {len(frames)} descriptions of frames",
            f"a description of every frame, at most {MAX_FRAMES}",
            "Export the series again.",
        )
    shared = (dataset.get("SharedFunctionalGroupsSequence") or [None])[0]
    return tuple(
        _slice(dataset, _parts(frame, shared), None, number, path, shown)
        for number, frame in enumerate(frames)
    )


def _parts(frame: Any, shared: Any) -> list[Any]:  # noqa: ANN401
    """Every functional group of a frame, its own before the shared ones."""
    groups = [group for group in (frame, shared) if group is not None]
    return [item for group in groups for element in group if element.VR == "SQ"
            for item in element.value[:1]]  # fmt: skip


def _slice(
    dataset: Any,  # noqa: ANN401
    parts: list[Any],
    offset: int | None,
    frame: int | None,
    path: str,
    shown: str,
) -> SliceHeader:
    def get(*keywords: str) -> Any:  # noqa: ANN401
        """First of these tags that is there, a frame's own before the shared one."""
        found = (p.get(keyword) for keyword in keywords for p in [*parts, dataset])
        return next((value for value in found if value is not None), None)

    image_type = get("FrameType", "ImageType") or ()
    phases = (
        get("AcquisitionNumber", "FrameAcquisitionNumber"),
        get("TemporalPositionIdentifier", "TemporalPositionIndex"),
        get("TriggerTime", "NominalCardiacTriggerDelayTime"),
        get("AcquisitionDateTime", "FrameAcquisitionDateTime", "AcquisitionTime"),
    )
    return SliceHeader(
        path,
        shown,
        text(dataset, "SOPInstanceUID"),
        text(dataset, "SeriesInstanceUID"),
        text(dataset, "FrameOfReferenceUID"),
        (image_type,) if isinstance(image_type, str) else tuple(str(v) for v in image_type),
        numbers(get("ImagePositionPatient"), 3),
        numbers(get("ImageOrientationPatient"), 6),
        numbers(get("PixelSpacing"), 2),
        (numbers([get("SliceThickness")], 1) or (None,))[0],
        tuple("" if value is None else str(value) for value in phases),
        _pixels(dataset, get, offset, frame),
        tuple((name, str(get(name))) for name in SCANNER if get(name) not in (None, "")),
    )


def _pixels(dataset: Any, get: Any, offset: int | None, frame: int | None) -> Pixels:  # noqa: ANN401
    rows, columns = int(dataset.get("Rows") or 0), int(dataset.get("Columns") or 0)
    if not 0 < rows * columns <= MAX_PIXELS or int(dataset.get("SamplesPerPixel") or 1) > 4:
        raise Refusal(
            "F07",
            f"an image of {rows} x {columns} pixels",
            f"1 to {MAX_PIXELS} pixels",
            "Check what wrote the file.",
        )
    stored = int(dataset.get("BitsStored") or 16)
    signed = bool(dataset.get("PixelRepresentation") or 0)
    slope, intercept = (numbers([get(name)], 1) for name in ("RescaleSlope", "RescaleIntercept"))
    return Pixels(
        transfer_syntax(dataset),
        rows,
        columns,
        int(dataset.get("BitsAllocated") or 0) * int(dataset.get("SamplesPerPixel") or 1),
        stored,
        int(dataset.get("HighBit") or stored - 1),
        signed,
        slope[0] if slope else None,
        intercept[0] if intercept else None,
        str(get("RescaleType") or ""),
        _padding(dataset, signed),
        offset,
        frame,
    )


def _padding(dataset: Any, signed: bool) -> tuple[int, int] | None:  # noqa: ANN401
    """Stored values that stand for 'no pixel'; scanners write negative ones as unsigned too."""
    value, limit = dataset.get("PixelPaddingValue"), dataset.get("PixelPaddingRangeLimit")
    if not isinstance(value, int):
        return None
    ends = [_as_stored(v, signed) for v in (value, limit) if isinstance(v, int)]
    return min(ends), max(ends)


def _as_stored(value: int, signed: bool) -> int:
    value &= 0xFFFF
    return value - 0x10000 if signed and value >= 0x8000 else value


def numbers(values: Any, count: int) -> tuple[float, ...] | None:  # noqa: ANN401
    """`count` finite numbers, or None: a missing, short or non-numeric value is missing."""
    if values is None or isinstance(values, (str, bytes)) or not isinstance(values, Iterable):
        return None
    try:
        found = tuple(float(value) for value in values)
    except (TypeError, ValueError):
        return None
    return found if len(found) == count and all(map(math.isfinite, found)) else None


def text(dataset: Any, keyword: str) -> str:  # noqa: ANN401
    """A tag as text; empty where it is absent or has several values."""
    value = dataset.get(keyword)
    return str(value).strip() if isinstance(value, (str, int, float)) else ""


def transfer_syntax(dataset: Any) -> str:  # noqa: ANN401
    """Transfer syntax UID; implicit little endian where the file has no meta header."""
    meta = getattr(dataset, "file_meta", None)
    return str(meta.get("TransferSyntaxUID", "") if meta else "") or "1.2.840.10008.1.2"
