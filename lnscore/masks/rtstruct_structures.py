"""Read the structures (ROIs) of an RTSTRUCT from its sequences, independent of any CT.

Contour data are read from their bytes. This is many times as fast as pydicom's decimal object for
every number, and a damaged number is found here instead of raising an error inside pydicom.
"""

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from pydicom.dataset import Dataset
from pydicom.errors import BytesLengthException
from pydicom.sequence import Sequence as Items

from engines.shapes import PointsMm
from lnscore.dicom.elements import text
from lnscore.errors import Refusal
from lnscore.masks.regions import MAX_REGIONS

MAX_CONTOURS = 20_000
MAX_POINTS = 1_000_000
"""Largest number of points of one structure; a body outline on 500 slices has half of that."""

MAX_CONTOUR_POINTS = 100_000
MAX_LABEL = 200
FAR_MM = 1e5
CLOSED = ("CLOSED_PLANAR", "CLOSEDPLANAR_XOR")
_LINE_MM = 1e-3


@dataclass(frozen=True)
class Structure:
    """One ROI.

    Attributes:
        number: ROINumber.
        name: ROIName.
        for_uid: ReferencedFrameOfReferenceUID, empty if absent.
        interpreted_type: RTROIInterpretedType, such as EXTERNAL or GTV; empty if absent.
        contours: Items of the ROI's ContourSequence, not yet parsed.
    """

    number: int
    name: str
    for_uid: str
    interpreted_type: str
    contours: tuple[Dataset, ...]

    @property
    def label(self) -> str:
        """Label of the node: the ROI's name, or its number if it has no name."""
        return self.name[:MAX_LABEL] or f"ROI {self.number}"

    def __str__(self) -> str:
        return f"ROI {self.number} {self.name[:64]!r}"


@dataclass(frozen=True, eq=False)
class WrittenContour:
    """One contour as it is written in the file.

    Attributes:
        kind: ContourGeometricType.
        points_mm: Vertices in LPS x y z, shape (point, 3).
        stated_points: NumberOfContourPoints, None if absent.
        sop_uids: SOPInstanceUIDs of the images to which it refers.
    """

    kind: str
    points_mm: PointsMm
    stated_points: int | None
    sop_uids: tuple[str, ...]

    @cached_property
    def flaw(self) -> str | None:
        """Reason why the contour encloses no area; None if it encloses one."""
        if self.kind not in CLOSED:
            return f"of type {ascii(self.kind[:32])[1:-1] or '(none)'}"
        if len(self.points_mm) < 3:
            return "of fewer than 3 points"
        centred = self.points_mm - self.points_mm.mean(axis=0)
        # The shoelace formula is not used: it gives no area for a figure of eight, which
        # encloses two.
        return "without area" if np.linalg.svd(centred, compute_uv=False)[1] < _LINE_MM else None


_BROKEN = (
    ArithmeticError, AttributeError, BytesLengthException, EOFError, LookupError,
    NotImplementedError, OSError, RecursionError, TypeError, ValueError, struct.error,
)  # fmt: skip
"""Errors that pydicom raises for bytes that are not a valid element."""


@contextmanager
def readable(what: str) -> Iterator[None]:
    """Turn an error that pydicom raises for a damaged element into a refusal.

    Raises:
        Refusal: M01, `what` cannot be read.
    """
    try:
        yield
    except _BROKEN as error:
        raise Refusal(
            "M01",
            f"{what} cannot be read ({type(error).__name__}: {str(error)[:120]})",
            "a whole, valid RT Structure Set",
            "Export it again",
        ) from error


def items(dataset: Dataset, keyword: str) -> list[Dataset]:
    """Return the items of a sequence; empty if it is absent, empty or not a sequence."""
    value = dataset.get(keyword)
    return list(value) if isinstance(value, Items) else []


def whole_number(dataset: Dataset, keyword: str) -> int | None:
    """Return a whole number; None if it is absent or not a number."""
    try:
        return int(text(dataset, keyword))
    except ValueError:
        return None


def structures(dataset: Dataset) -> tuple[list[Structure], list[Refusal]]:
    """List the structures in the order of their numbers.

    Args:
        dataset: An RT Structure Set.

    Returns:
        The structures, and a refusal (M43) for each ROI number that is missing or not unique.

    Raises:
        Refusal: M06, more than `MAX_REGIONS`.
    """
    heads = items(dataset, "StructureSetROISequence")
    if len(heads) > MAX_REGIONS:
        raise Refusal(
            "M06",
            f"the RTSTRUCT holds {len(heads)} ROIs",
            f"at most {MAX_REGIONS}",
            "Export the lymph nodes only",
        )
    contours, types = _contours(dataset), _interpreted_types(dataset)
    numbers = [whole_number(head, "ROINumber") for head in heads]
    unsure = {
        n for n in numbers if n is None or numbers.count(n) > 1 or len(contours.get(n, "")) > 1
    }
    found = [
        Structure(
            number,
            text(head, "ROIName"),
            text(head, "ReferencedFrameOfReferenceUID"),
            types.get(number, ""),
            tuple(items(contours[number][0], "ContourSequence")) if number in contours else (),
        )
        for number, head in zip(numbers, heads, strict=True)
        if number is not None and number not in unsure
    ]
    refused = [_unsure(number) for number in (unsure | set(contours)) - {s.number for s in found}]
    return sorted(found, key=lambda s: s.number), refused


def _contours(dataset: Dataset) -> dict[int | None, list[Dataset]]:
    """Return the items of ROIContourSequence by the ROI number to which they refer."""
    found: dict[int | None, list[Dataset]] = {}
    for item in items(dataset, "ROIContourSequence"):
        found.setdefault(whole_number(item, "ReferencedROINumber"), []).append(item)
    return found


def _interpreted_types(dataset: Dataset) -> dict[int | None, str]:
    return {
        whole_number(item, "ReferencedROINumber"): text(item, "RTROIInterpretedType").upper()
        for item in items(dataset, "RTROIObservationsSequence")
    }


def _unsure(number: int | None) -> Refusal:
    return Refusal(
        "M43",
        f"ROI number {'(none)' if number is None else number} is that of no ROI, or of several",
        "one ROI and one set of contours for each number",
        "Export the structure set again",
    )


def read_contours(structure: Structure) -> list[WrittenContour]:
    """Read every contour of a structure.

    Raises:
        Refusal: M01 damaged elements, M45 invalid coordinates, M46 too many contours or points.
    """
    if len(structure.contours) > MAX_CONTOURS:
        raise _too_many(structure, f"{len(structure.contours)} contours", f"{MAX_CONTOURS}")
    found: list[WrittenContour] = []
    left = MAX_POINTS
    for number, item in enumerate(structure.contours, 1):
        with readable(f"contour {number} of {structure}"):
            kind = text(item, "ContourGeometricType").upper()
            stated = whole_number(item, "NumberOfContourPoints")
            images = items(item, "ContourImageSequence")
            sop_uids = tuple(text(image, "ReferencedSOPInstanceUID") for image in images)
            written = _written_numbers(item)
        if len(written) > 3 * min(left, MAX_CONTOUR_POINTS):
            most = f"{MAX_CONTOUR_POINTS} in one, {MAX_POINTS} in all"
            raise _too_many(structure, f"too many points by contour {number}", most)
        points_mm = _points_mm(written, f"contour {number} of {structure}")
        left -= len(points_mm)
        found.append(WrittenContour(kind, points_mm, stated, sop_uids))
    return found


def _too_many(structure: Structure, found: str, most: str) -> Refusal:
    return Refusal(
        "M46",
        f"{structure} has {found}",
        f"at most {most}",
        "Draw it with fewer contours or points",
    )


def _written_numbers(item: Dataset) -> list:
    """Return the numbers of ContourData as a list, not yet converted."""
    element = item.get_item("ContourData")
    value = None if element is None else element.value
    if isinstance(value, bytes):
        stripped = value.strip(b" \0")
        return stripped.split(b"\\") if stripped else []
    return [] if value is None else list(value) if hasattr(value, "__iter__") else [value]


def _points_mm(written: list, what: str) -> PointsMm:
    try:
        numbers = np.array([float(number) for number in written])
    except (TypeError, ValueError):
        numbers = np.array([np.nan])
    if len(numbers) % 3 or not (np.abs(numbers) <= FAR_MM).all():
        raise Refusal(
            "M45",
            f"{what} has {len(written)} numbers, not all of them coordinates",
            f"x y z triplets of finite numbers within {FAR_MM:g} mm",
            "Export the structure set again",
        )
    return numbers.reshape(-1, 3)
