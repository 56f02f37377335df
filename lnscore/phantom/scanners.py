"""Simulated scanners with their fixed settings: slice thickness, pixel size, storage, noise."""

from dataclasses import dataclass

import numpy as np

from lnscore.phantom.render import Exposure, SliceGrid
from lnscore.phantom.wall import Raster

MATRIX = 512
FULL_MM, CHEST_MM = (-302.0, 140.0), (-190.0, 140.0)
IMPLICIT, EXPLICIT = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"
JPEG_LS = "1.2.840.10008.1.2.4.80"


@dataclass(frozen=True, kw_only=True)
class Habit:
    """Fixed settings of one scanner.

    Attributes:
        model: ManufacturerModelName.
        kernel: ConvolutionKernel.
        cutoff_per_mm: Cut-off frequency of the kernel (see `noise.bank`).
        spacing_mm: Slice step and slice thickness.
        span_mm: Lowest and highest z that a scan covers.
        intercept: RescaleIntercept.
        signed: Whether pixels are stored as signed numbers (PixelRepresentation).
        padding: PixelPaddingValue outside the round field of view, None without padding.
        descending: Whether files are numbered from head to feet.
        turned: Whether rows and columns run in the opposite direction (patient scanned prone).
        localizer: Whether the series includes a scout view.
        syntax: Transfer syntax UID.
    """

    model: str
    kernel: str
    cutoff_per_mm: float
    spacing_mm: float = 5.0
    span_mm: tuple[float, float] = FULL_MM
    intercept: int = -1024
    signed: bool = True
    padding: int | None = None
    descending: bool = False
    turned: bool = False
    localizer: bool = False
    syntax: str = EXPLICIT


HABITS = (
    Habit(model="Alpha 16", kernel="B30f", cutoff_per_mm=0.45, signed=False, localizer=True),
    Habit(
        model="Alpha 64",
        kernel="B40f",
        cutoff_per_mm=0.52,
        spacing_mm=2.5,
        span_mm=CHEST_MM,
        signed=False,
        syntax=JPEG_LS,
    ),
    Habit(model="Bravo", kernel="STANDARD", cutoff_per_mm=0.5, padding=-2000, descending=True),
    Habit(model="Charlie", kernel="FC18", cutoff_per_mm=0.48, intercept=0, turned=True),
    Habit(
        model="Alpha 128",
        kernel="B50f",
        cutoff_per_mm=0.6,
        spacing_mm=1.25,
        span_mm=(-150.0, 140.0),
        signed=False,
        descending=True,
    ),
    Habit(model="Delta", kernel="B", cutoff_per_mm=0.45, signed=False),
    Habit(model="Bravo HD", kernel="STANDARD", cutoff_per_mm=0.5, spacing_mm=3.0, padding=-2000),
    Habit(
        model="Charlie",
        kernel="FC08",
        cutoff_per_mm=0.42,
        intercept=0,
        descending=True,
        syntax=IMPLICIT,
    ),
    Habit(
        model="Alpha 128",
        kernel="B31f",
        cutoff_per_mm=0.46,
        spacing_mm=2.0,
        span_mm=CHEST_MM,
        signed=False,
    ),
    Habit(
        model="Delta", kernel="C", cutoff_per_mm=0.55, signed=False, localizer=True, descending=True
    ),
    Habit(model="Bravo HD", kernel="SOFT", cutoff_per_mm=0.42, padding=-2000),
    Habit(model="Alpha 16", kernel="B20f", cutoff_per_mm=0.4),
)
"""Scanners in the order of patients; patient 13 has the first again. Two thirds use 5 mm slices."""


@dataclass(frozen=True, kw_only=True)
class Acquisition:
    """One acquisition of a scanner.

    Attributes:
        habit: Settings of the scanner.
        pixel_mm: Pixel spacing along rows and columns.
        centre_mm: Centre of the field of view, x y.
        exposure: Noise of the scan.
        first_mm: Height z of the lowest slice.
        count: Number of slices.
    """

    habit: Habit
    pixel_mm: float
    centre_mm: tuple[float, float]
    exposure: Exposure
    first_mm: float
    count: int

    @property
    def slices(self) -> SliceGrid:
        """All slices and pixels, with z, rows and columns in ascending order."""
        offsets = (np.arange(MATRIX) - (MATRIX - 1) / 2) * self.pixel_mm
        x, y = ((centre + offsets).astype(np.float32) for centre in self.centre_mm)
        z = self.first_mm + self.habit.spacing_mm * np.arange(self.count)
        return SliceGrid(z, Raster(y, x), self.habit.spacing_mm)

    @property
    def affine(self) -> np.ndarray:
        """Affine that maps voxel z y x of `slices` to LPS mm x y z, float64 4x4."""
        affine = np.zeros((4, 4))
        affine[2, 0], affine[1, 1], affine[0, 2] = self.habit.spacing_mm, *[self.pixel_mm] * 2
        half = (MATRIX - 1) / 2 * self.pixel_mm
        affine[:, 3] = self.centre_mm[0] - half, self.centre_mm[1] - half, self.first_mm, 1
        return affine


def draw_scan(rng: np.random.Generator, habit: Habit) -> Acquisition:
    """Draw one acquisition of a scanner: field of view, noise and slice positions."""
    low, high = habit.span_mm
    pixel_mm = round(float(rng.uniform(0.6, 0.98)), 3)
    x, y = np.round(rng.normal(0, 4, 2), 1).tolist()
    # Thin slices have more noise, but less than their thickness alone would give.
    noise_hu = rng.uniform(7.5, 11.5) * (5.0 / habit.spacing_mm) ** 0.4
    first_mm = round(low + float(rng.uniform(0, habit.spacing_mm)), 1)
    return Acquisition(
        habit=habit,
        pixel_mm=pixel_mm,
        centre_mm=(x, y + 6.0),
        exposure=Exposure(float(noise_hu), habit.cutoff_per_mm),
        first_mm=first_mm,
        count=int((high - first_mm) // habit.spacing_mm) + 1,
    )
