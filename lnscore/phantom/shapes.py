"""Define the two solids of which a chest consists: stacks of ellipses, and rods.

Each computes the distance of points from its surface (mm, negative inside). This distance is used
to paint the solid on slices and to find room for lymph nodes.
"""

import itertools
import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

Box = tuple[float, float, float, float]
"""x from, x to, y from, y to, mm."""


@dataclass(frozen=True)
class EllipseStack:
    """Ellipses stacked along z; centre and radii change linearly between knots.

    Attributes:
        z_mm: Heights of the knots, ascending; the solid ends, rounded, at the outer knots.
        knots_mm: Centre x, centre y, radius x, radius y at each knot, shape (4, knot).
    """

    z_mm: np.ndarray
    knots_mm: np.ndarray

    @property
    def z_range(self) -> tuple[float, float]:
        """Lowest and highest z, mm."""
        return float(self.z_mm[0]), float(self.z_mm[-1])

    @cached_property
    def _knots(self) -> tuple[list[float], list[list[float]]]:
        return self.z_mm.tolist(), self.knots_mm.T.tolist()

    def _at(self, z_mm: float) -> tuple[float, float, float, float]:
        """Return centre and radii at one height.

        It computes with plain numbers, because it runs once for every organ and slice.
        """
        heights, knots = self._knots
        upper = min(max(bisect_left(heights, z_mm), 1), len(heights) - 1)
        low, high = heights[upper - 1], heights[upper]
        part = min(max((z_mm - low) / (high - low), 0.0), 1.0)
        x, y, radius_x, radius_y = (
            a + part * (b - a) for a, b in zip(knots[upper - 1], knots[upper], strict=True)
        )
        reach = min(radius_x, radius_y)
        near = min(max(min(z_mm - heights[0], heights[-1] - z_mm), 0.0), reach)
        shrink = math.sqrt(1 - (1 - near / reach) ** 2)
        return x, y, radius_x * shrink, radius_y * shrink

    def _at_all(self, z_mm: np.ndarray) -> np.ndarray:
        """Return centre and radii at many heights, float32, shape (4, ...)."""
        values = np.stack([np.interp(z_mm, self.z_mm, knots) for knots in self.knots_mm])
        low, high = self.z_range
        reach = np.minimum(values[2], values[3])
        near = np.clip(np.minimum(z_mm - low, high - z_mm), 0, reach)
        values[2:] *= np.sqrt(1 - (1 - near / reach) ** 2)
        return values.astype(np.float32)

    def box(self, z_mm: float) -> Box:
        """Return the rectangle around the solid at height z."""
        x, y, radius_x, radius_y = self._at(z_mm)
        return x - radius_x, x + radius_x, y - radius_y, y + radius_y

    def extent(self) -> Box:
        """Return the rectangle around the whole solid."""
        x, y, radius_x, radius_y = self.knots_mm
        return (
            float((x - radius_x).min()), float((x + radius_x).max()),
            float((y - radius_y).min()), float((y + radius_y).max()),
        )  # fmt: skip

    def distance(self, z_mm: np.ndarray | float, y_mm: np.ndarray, x_mm: np.ndarray) -> np.ndarray:
        """Return the signed distance in mm, accurate near the surface and coarser far away."""
        if isinstance(z_mm, np.ndarray):
            x, y, radius_x, radius_y = self._at_all(z_mm)
        else:
            x, y, radius_x, radius_y = np.array(self._at(z_mm), np.float32)
        radius_x, radius_y = np.maximum(radius_x, 0.05), np.maximum(radius_y, 0.05)
        across, down = (x_mm - x) / radius_x, (y_mm - y) / radius_y
        return (np.sqrt(across * across + down * down) - 1) * np.minimum(radius_x, radius_y)


@dataclass(frozen=True)
class Rod:
    """A straight round rod with round ends.

    Attributes:
        start_mm: One end, x y z.
        end_mm: Other end, x y z.
        radius_mm: Radius of the rod.
    """

    start_mm: tuple[float, float, float]
    end_mm: tuple[float, float, float]
    radius_mm: float

    @property
    def z_range(self) -> tuple[float, float]:
        """Lowest and highest z, mm."""
        heights = self.start_mm[2], self.end_mm[2]
        return min(heights) - self.radius_mm, max(heights) + self.radius_mm

    def box(self, z_mm: float) -> Box:
        """Return the rectangle around the part of the rod near height z."""
        start, end = np.array(self.start_mm), np.array(self.end_mm)
        rise = end[2] - start[2]
        near = np.array([0.0, 1.0])
        if abs(rise) > 1e-6:
            reach = self.radius_mm * np.linalg.norm(end - start) / abs(rise)
            middle = (z_mm - start[2]) / rise
            spread = (self.radius_mm + reach) / np.linalg.norm(end - start)
            near = np.clip([middle - spread, middle + spread], 0, 1)
        points = start + near[:, None] * (end - start)
        low, high = points.min(axis=0) - self.radius_mm, points.max(axis=0) + self.radius_mm
        return float(low[0]), float(high[0]), float(low[1]), float(high[1])

    def extent(self) -> Box:
        """Return the rectangle around the whole solid."""
        x0, x1 = sorted((self.start_mm[0], self.end_mm[0]))
        y0, y1 = sorted((self.start_mm[1], self.end_mm[1]))
        r = self.radius_mm
        return x0 - r, x1 + r, y0 - r, y1 + r

    def distance(self, z_mm: np.ndarray | float, y_mm: np.ndarray, x_mm: np.ndarray) -> np.ndarray:
        """Return the signed distance in mm."""
        start, along = np.array(self.start_mm), np.subtract(self.end_mm, self.start_mm)
        x, y, z = x_mm - start[0], y_mm - start[1], z_mm - start[2]
        length2 = float(along @ along)
        part = np.clip((x * along[0] + y * along[1] + z * along[2]) / length2, 0, 1)
        x, y, z = x - part * along[0], y - part * along[1], z - part * along[2]
        return np.sqrt(x * x + y * y + z * z) - self.radius_mm


Solid = EllipseStack | Rod


def stack(rows: Sequence[tuple[float, ...]]) -> EllipseStack:
    """Make a stack from rows of (z, x, y, radius x, radius y) in mm, in any order of z."""
    table = np.array(sorted(rows), float)
    return EllipseStack(table[:, 0], table[:, 1:].T)


def bent(points_mm: Sequence[tuple[float, float, float]], radius_mm: float) -> list[Rod]:
    """Make rods from point to point (x, y, z), which form a bent vessel."""
    return [Rod(a, b, radius_mm) for a, b in itertools.pairwise(points_mm)]
