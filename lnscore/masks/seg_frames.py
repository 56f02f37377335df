"""Read the frames of a DICOM SEG: the position of each, and the pixels of each segment.

highdicom's `get_volume` builds the whole volume of every segment. Nodes have only a few hundred
voxels, so frames are unpacked one by one here and cropped to their voxels.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from pydicom.dataset import Dataset

from lnscore.dicom.elements import items, numbers, text
from lnscore.errors import Refusal

MAX_PIXELS = 1 << 26
"""Largest number of pixels of a frame; no CT slice is larger than 8192 x 8192."""

FRACTION = 0.5
"""Part of MaximumFractionalValue from which a FRACTIONAL voxel belongs to its segment."""

_BACKGROUND = ("DCM", "125040")

_MALFORMED = (
    ArithmeticError, AttributeError, IndexError, KeyError, NotImplementedError, RuntimeError,
    TypeError, ValueError,
)  # fmt: skip
"""Errors that pydicom and its decoders raise for a damaged object."""


@dataclass(frozen=True)
class Frame:
    """Position and segment of one frame.

    Attributes:
        position_mm: Centre of the first pixel in LPS x y z.
        orientation: Direction cosines of the row, then of the column.
        spacing_mm: Distance between rows, then between columns.
        step_mm: SpacingBetweenSlices, None if absent.
        segment: ReferencedSegmentNumber; None in a LABELMAP, whose pixel values are the segments.
    """

    position_mm: tuple[float, ...]
    orientation: tuple[float, ...]
    spacing_mm: tuple[float, ...]
    step_mm: float | None
    segment: int | None

    @property
    def steps_mm(self) -> np.ndarray:
        """Step from row to row and from column to column, shape (3, 2), LPS x y z."""
        row, column = np.array(self.orientation[:3]), np.array(self.orientation[3:])
        return np.stack([column * self.spacing_mm[0], row * self.spacing_mm[1]], axis=1)


def read_frame(dataset: Dataset, number: int) -> Frame:
    """Read the functional groups of one frame.

    Args:
        dataset: The SEG.
        number: Frame number in stored order, from 0.

    Raises:
        Refusal: M01, the functional groups cannot be read.
    """
    try:
        shared = items(dataset, "SharedFunctionalGroupsSequence") or [Dataset()]
        return _frame(items(dataset, "PerFrameFunctionalGroupsSequence")[number], shared[0])
    except _MALFORMED as error:
        raise _damaged(
            f"a frame {number + 1} whose description cannot be read ({error})"
        ) from error


def frame_pixels(dataset: Dataset) -> Iterator[tuple[int, np.ndarray]]:
    """Decode the frames one by one.

    Yields:
        Frame number from 0 and the stored values, shape (rows, columns); values are 0 or 1 if
        the pixels are stored as single bits. Frames without any set pixel may be left out.

    Raises:
        Refusal: M01, the pixels are truncated or cannot be decoded.
    """
    if "PixelData" not in dataset:
        return
    try:
        yield from _decode(dataset)
    except _MALFORMED as error:
        raise _damaged(f"pixels that cannot be decoded ({error})") from error


def segment_masks(
    dataset: Dataset, frame: Frame, stored: np.ndarray, nothing: set[int]
) -> Iterator[tuple[int, np.ndarray]]:
    """Split one frame into its segments.

    Args:
        dataset: The SEG.
        frame: Description of the frame.
        stored: Stored values of the frame, shape (rows, columns).
        nothing: Values that mean background in a LABELMAP.

    Yields:
        Segment number and its mask, bool, same shape.
    """
    kind = text(dataset, "SegmentationType")
    if kind == "LABELMAP":
        for value in set(np.unique(stored[stored != 0]).tolist()) - nothing:
            yield value, stored == value
    elif kind == "FRACTIONAL":
        limit = FRACTION * int(dataset.get("MaximumFractionalValue", 255))
        yield frame.segment or 0, stored >= limit
    else:
        yield frame.segment or 0, stored.astype(bool)


def background(dataset: Dataset) -> set[int]:
    """Return the values that mean background in a LABELMAP.

    They are 0, PixelPaddingValue, and the segment that is described as background.
    """
    values = {0, int(dataset.get("PixelPaddingValue") or 0)}
    for item in dataset.get("SegmentSequence") or []:
        types = item.get("SegmentedPropertyTypeCodeSequence") or [Dataset()]
        if (types[0].get("CodingSchemeDesignator"), types[0].get("CodeValue")) == _BACKGROUND:
            values.add(int(item.get("SegmentNumber", 0)))
    return values


def _frame(group: Dataset, shared: Dataset) -> Frame:
    def macro(keyword: str) -> Dataset:
        return (items(group, keyword) or items(shared, keyword))[0]

    keyword = "SegmentIdentificationSequence"
    identified = items(group, keyword) or items(shared, keyword)
    measures = macro("PixelMeasuresSequence")
    step_mm = measures.get("SpacingBetweenSlices")
    return Frame(
        _numbers(macro("PlanePositionSequence"), "ImagePositionPatient", 3),
        _numbers(macro("PlaneOrientationSequence"), "ImageOrientationPatient", 6),
        _numbers(measures, "PixelSpacing", 2),
        float(step_mm) if step_mm is not None else None,
        int(identified[0].ReferencedSegmentNumber) if identified else None,
    )


def _numbers(dataset: Dataset, keyword: str, count: int) -> tuple[float, ...]:
    found = numbers(dataset, keyword, count)
    if found is None:
        raise ValueError(f"{count} numbers wanted as {keyword}, not {dataset.get(keyword)}")
    return found


def _decode(dataset: Dataset) -> Iterator[tuple[int, np.ndarray]]:
    size = int(dataset.Rows) * int(dataset.Columns)
    if not 0 < size <= MAX_PIXELS:
        raise ValueError(f"{dataset.Rows} x {dataset.Columns} pixels")
    described = len(dataset.get("PerFrameFunctionalGroupsSequence") or [])
    if described != int(dataset.NumberOfFrames):
        raise ValueError(f"{dataset.NumberOfFrames} frames but {described} descriptions of frames")
    if not dataset.file_meta.TransferSyntaxUID.is_encapsulated and dataset.BitsAllocated in (1, 8):
        return _native(dataset, size)
    from pydicom.pixels.utils import iter_pixels

    return enumerate(iter_pixels(dataset))


def _native(dataset: Dataset, size: int) -> Iterator[tuple[int, np.ndarray]]:
    """Yield frames of 8-bit or 1-bit pixels; 1-bit frames may begin inside a byte (PS3.5 8.1.1)."""
    stored, bits = np.frombuffer(dataset.PixelData, np.uint8), int(dataset.BitsAllocated)
    count, shape = int(dataset.NumberOfFrames), (int(dataset.Rows), int(dataset.Columns))
    if len(stored) * 8 < count * size * bits:
        raise ValueError(f"{len(stored)} bytes for {count} frames of {size} pixels of {bits} bits")
    for number in range(count):
        first, last = number * size * bits, (number + 1) * size * bits
        part = stored[first // 8 : (last + 7) // 8]
        if part.any():
            if bits == 1:
                part = np.unpackbits(part, bitorder="little")[first % 8 :][:size]
            yield number, part.reshape(shape)


def _damaged(found: str) -> Refusal:
    return Refusal(
        "M01", f"the SEG has {found}", "a whole DICOM SEG", "Export the segmentation again"
    )
