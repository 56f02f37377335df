"""Read geometry, phase and pixel coding of CT slices from single- and multi-frame data sets."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from lnscore.dicom.elements import numbers, text, texts, whole
from lnscore.errors import Refusal

Value = TypeVar("Value")

MAX_FRAMES = 20_000
MAX_PIXELS = 1 << 24  # 4096 x 4096
SCANNER = ("Manufacturer", "ManufacturerModelName", "ConvolutionKernel", "KVP", "PatientPosition",
           "SliceThickness", "GantryDetectorTilt")  # fmt: skip
PHASE_TAGS = (
    ("AcquisitionNumber", "FrameAcquisitionNumber"),
    ("TemporalPositionIdentifier", "TemporalPositionIndex"),
    ("TriggerTime", "NominalCardiacTriggerDelayTime"),
    ("AcquisitionDateTime", "FrameAcquisitionDateTime", "AcquisitionTime"),
)


@dataclass(frozen=True, kw_only=True)
class Pixels:
    """How the stored values of one slice are coded and converted to HU.

    Attributes:
        frame: Frame index in a multi-frame file, None for a file of one slice.
        offset: Byte of the first native pixel, None if pydicom must decode the pixels.
        slope: RescaleSlope, None if the tag is absent.
        padding: Lowest and highest stored value that mean "no pixel".
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


@dataclass(frozen=True, kw_only=True)
class SliceHeader:
    """Identity, position, phase and pixel coding of one CT slice. Missing geometry is None."""

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
    """AcquisitionNumber, TemporalPositionIdentifier, TriggerTime and acquisition time, as text."""
    pixels: Pixels
    scanner: tuple[tuple[str, str], ...] = ()


def plain_slice(dataset: Any, offset: int | None, path: str, shown: str) -> SliceHeader:  # noqa: ANN401
    """Read the one slice of a CT Image file.

    Raises:
        Refusal: F05 several frames, F07 sizes that no CT has.
    """
    if (whole(dataset, "NumberOfFrames") or 1) != 1:
        raise Refusal(
            "F05",
            f"a CT Image with {dataset.NumberOfFrames} frames",
            "one (or an Enhanced CT)",
            "Export the series again.",
        )
    return _slice(dataset, [], offset, None, path, shown)


def enhanced_slices(dataset: Any, path: str, shown: str) -> tuple[SliceHeader, ...]:  # noqa: ANN401
    """Read the slices of an Enhanced or Legacy Converted Enhanced CT, one for each frame.

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
    """Return every functional group of a frame: its own groups before the shared ones."""
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
    holders = [*parts, dataset]  # a frame's own value before the shared one
    thickness = _numbers(holders, "SliceThickness", 1)
    return SliceHeader(
        path=path,
        shown=shown,
        sop_uid=text(dataset, "SOPInstanceUID"),
        series_uid=text(dataset, "SeriesInstanceUID"),
        for_uid=text(dataset, "FrameOfReferenceUID"),
        image_type=_first(holders, texts, "FrameType", "ImageType") or (),
        position_mm=_numbers(holders, "ImagePositionPatient", 3),
        orientation=_numbers(holders, "ImageOrientationPatient", 6),
        spacing_mm=_numbers(holders, "PixelSpacing", 2),
        thickness_mm=thickness[0] if thickness else None,
        phases=tuple(_first(holders, text, *keywords) or "" for keywords in PHASE_TAGS),
        pixels=_pixels(dataset, holders, offset, frame),
        scanner=tuple((name, value) for name in SCANNER if (value := _first(holders, text, name))),
    )


def _first(holders: list[Any], read: Callable[[Any, str], Value], *keywords: str) -> Value | None:
    """Return the first of these tags that has a value."""
    for keyword in keywords:
        for holder in holders:
            value = read(holder, keyword)
            if value not in (None, "", ()):
                return value
    return None


def _numbers(holders: list[Any], keyword: str, count: int) -> tuple[float, ...] | None:
    return _first(holders, lambda holder, name: numbers(holder, name, count), keyword)


def _pixels(dataset: Any, holders: list[Any], offset: int | None, frame: int | None) -> Pixels:  # noqa: ANN401
    rows, columns, samples = (
        whole(dataset, name) or missing
        for name, missing in (("Rows", 0), ("Columns", 0), ("SamplesPerPixel", 1))
    )
    if not 0 < rows * columns <= MAX_PIXELS:
        raise Refusal(
            "F07",
            f"an image of {rows} x {columns} pixels",
            f"1 to {MAX_PIXELS} pixels",
            "Check what wrote the file.",
        )
    stored = whole(dataset, "BitsStored") or 16
    high_bit = whole(dataset, "HighBit")
    signed = bool(whole(dataset, "PixelRepresentation"))
    slope = _numbers(holders, "RescaleSlope", 1)
    intercept = _numbers(holders, "RescaleIntercept", 1)
    return Pixels(
        transfer_syntax=transfer_syntax(dataset),
        rows=rows,
        columns=columns,
        bits_allocated=(whole(dataset, "BitsAllocated") or 0) * samples,
        bits_stored=stored,
        high_bit=stored - 1 if high_bit is None else high_bit,
        signed=signed,
        slope=slope[0] if slope else None,
        intercept=intercept[0] if intercept else None,
        rescale_type=_first(holders, text, "RescaleType") or "",
        padding=_padding(dataset, signed),
        offset=offset,
        frame=frame,
    )


def _padding(dataset: Any, signed: bool) -> tuple[int, int] | None:  # noqa: ANN401
    """Return the range of stored values that mean "no pixel".

    Some scanners write negative padding values as unsigned numbers.
    """
    value = whole(dataset, "PixelPaddingValue")
    if value is None:
        return None
    limit = whole(dataset, "PixelPaddingRangeLimit")
    ends = [_as_stored(v, signed) for v in (value, limit) if v is not None]
    return min(ends), max(ends)


def _as_stored(value: int, signed: bool) -> int:
    value &= 0xFFFF
    return value - 0x10000 if signed and value >= 0x8000 else value


def transfer_syntax(dataset: Any) -> str:  # noqa: ANN401
    """Return the transfer syntax UID; implicit little endian if the file has no meta header."""
    meta = getattr(dataset, "file_meta", None)
    return str(meta.get("TransferSyntaxUID", "") if meta else "") or "1.2.840.10008.1.2"
