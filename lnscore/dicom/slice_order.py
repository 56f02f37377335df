"""Find the order of the slices of a stack from their positions along the normal.

A slice gets an index, counted upward along the normal from 0. If the steps are even, the order of
the positions is the order of the slices. Otherwise highdicom's `get_volume_positions` decides
which slices are missing.
"""

import numpy as np

from lnscore.errors import Refusal

SPACING_TOL = 0.01
ROUNDED_MM = 0.11
"""Tolerance for rounded positions: to one decimal, a step is wrong by up to 0.1 mm."""

EXPORT_AGAIN = "Export the series again from the scanner or the archive."


def slice_indices(
    along_mm: np.ndarray, normal: np.ndarray, orientation: tuple[float, ...], fill_gaps: int
) -> list[int]:
    """Return the index of every slice of a stack; a missing slice leaves its index out.

    Args:
        along_mm: Positions of the slices along the normal, of two slices or more.
        normal: Unit normal of the slices.
        orientation: ImageOrientationPatient of the slices.
        fill_gaps: Largest number of consecutive slices that may be missing.

    Raises:
        Refusal: G03 too many slices are missing; G04 the steps are uneven.
    """
    spacing_mm = _spacing(along_mm)
    tolerance_mm = max(SPACING_TOL * spacing_mm, ROUNDED_MM)
    if (indices := even_indices(along_mm, tolerance_mm)) is not None:
        return indices
    from highdicom.spatial import get_volume_positions

    # Without the sideways drift of a tilted gantry, which the affine holds.
    straight, axes = np.outer(along_mm, normal).tolist(), list(orientation)
    _, indices = get_volume_positions(straight, axes, atol=tolerance_mm)
    if indices is not None:
        return upward(indices, along_mm)
    _, indices = get_volume_positions(
        straight,
        axes,
        atol=tolerance_mm,
        allow_missing_positions=True,
        spacing_hint=spacing_mm,
    )
    if indices is None or len(set(indices)) < len(indices):  # two slices at one index
        raise _uneven(along_mm, spacing_mm, tolerance_mm)
    indices = upward(indices, along_mm)
    _refuse_gaps(indices, along_mm, spacing_mm, fill_gaps)
    return indices


def even_indices(along_mm: np.ndarray, tolerance_mm: float) -> list[int] | None:
    """Return the slice indices if the steps are even, else None.

    This avoids the import of highdicom, which takes 0.2 s, for regular stacks.

    Args:
        along_mm: Positions of the slices along the normal.
        tolerance_mm: Twice the largest difference of a step from the mean step.
    """
    order = np.argsort(along_mm)
    steps = np.diff(along_mm[order])
    if steps.min() <= tolerance_mm or np.abs(steps - steps.mean()).max() > tolerance_mm / 2:
        return None
    indices = np.empty(len(along_mm), int)
    indices[order] = np.arange(len(along_mm))
    return indices.tolist()


def upward(indices: list[int], along_mm: np.ndarray) -> list[int]:
    """Return slice indices that increase along the normal; highdicom may count the other way."""
    if indices[int(along_mm.argmax())] == 0:
        top = max(indices)
        return [int(top - index) for index in indices]
    return [int(index) for index in indices]


def _spacing(along_mm: np.ndarray) -> float:
    """Return the mean of the steps close to the median step, so gaps and outliers do not count."""
    steps = np.diff(np.sort(along_mm))
    middle = float(np.median(steps))
    return float(steps[np.abs(steps - middle) <= max(SPACING_TOL * middle, ROUNDED_MM)].mean())


def _uneven(along_mm: np.ndarray, spacing_mm: float, tolerance_mm: float) -> Refusal:
    ordered = np.sort(along_mm)
    steps = np.diff(ordered)
    odd = int(np.argmax(np.abs(steps - spacing_mm)))
    count = int(np.sum(np.abs(steps - spacing_mm) > tolerance_mm))
    return Refusal(
        "G04",
        f"a step of {steps[odd]:.2f} mm after {ordered[odd]:.1f} mm along the stack "
        f"({count} of {len(steps)} steps are uneven)",
        f"{spacing_mm:.2f} mm throughout",
        EXPORT_AGAIN,
    )


def _refuse_gaps(
    indices: list[int], along_mm: np.ndarray, spacing_mm: float, fill_gaps: int
) -> None:
    held = np.array(sorted(indices))
    holes = np.diff(held) - 1
    if holes.max() <= fill_gaps:
        return
    ordered = np.sort(along_mm)
    before = [float(ordered[n]) for n in np.flatnonzero(holes)]
    shown = ", ".join(f"{value:.1f}" for value in before[:5]) + (" ..." if before[5:] else "")
    raise Refusal(
        "G03",
        f"{int(holes.sum())} missing slices, after {shown} mm along the stack",
        f"a slice every {spacing_mm:.2f} mm",
        "Send the series again, or ingest with --fill-gaps "
        f"{int(holes.max())} to interpolate (flagged).",
    )
