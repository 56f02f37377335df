"""Render body wall, ribs and lungs, on which the organs are then painted."""

from dataclasses import dataclass

import numpy as np

from lnscore.phantom.anatomy import AIR_HU, BONE_HU, LIVER_HU, MUSCLE_HU, Chest

EDGE_MM = 1.4  # in-plane blur of the scanner, as the 10-90 % width of an edge
BODY_MM = (176.0, 118.0, 6.0)  # radius x, radius y, centre y of the skin
CAVITY_MM = (140.0, 90.0, 2.0)  # the same for the inside of the rib cage
APEX_MM, SHOULDER_MM = 104.0, 30.0  # heights where the lungs end, and where they begin to narrow
RIB_MM = 31.0  # distance between ribs along z
HALF_WIDTH_MM = np.array(
    [(-95, 13), (-75, 27), (-45, 43), (0, 39), (20, 42), (42, 41), (52, 22), (95, 17)], float
)
"""Width of the mediastinum: pairs of y and the distance from the midline to the pleura."""
WIDER = np.array([(-190, 1.0), (-120, 0.9), (-60, 1.0), (-20, 1.08), (30, 1.02), (80, 0.85)], float)
"""Factor on that width by height: pairs of z and factor."""


@dataclass(frozen=True)
class Raster:
    """Pixel centres of a slice or of a part of a slice.

    Attributes:
        y_mm: Positions of the rows, ascending, float32.
        x_mm: Positions of the columns, ascending, float32.
    """

    y_mm: np.ndarray
    x_mm: np.ndarray

    def part(self, box: tuple[float, float, float, float], margin_mm: float) -> tuple[slice, slice]:
        """Return the rows and columns that `box` (x from, to, y from, to) with a margin touches."""
        x0, x1, y0, y1 = box
        rows = np.searchsorted(self.y_mm, (y0 - margin_mm, y1 + margin_mm))
        columns = np.searchsorted(self.x_mm, (x0 - margin_mm, x1 + margin_mm))
        return slice(int(rows[0]), int(rows[1])), slice(int(columns[0]), int(columns[1]))


def share(distance_mm: np.ndarray, edge_mm: float = EDGE_MM) -> np.ndarray:
    """Return the part (0-1) of a pixel that lies inside a surface at this signed distance."""
    return np.clip(0.5 - distance_mm * (1 / edge_mm), 0, 1)


def half_width_mm(y_mm: np.ndarray, z_mm: np.ndarray | float) -> np.ndarray:
    """Return the distance from the midline to the pleura in mm."""
    return np.interp(y_mm, *HALF_WIDTH_MM.T) * np.interp(z_mm, *WIDER.T)


class Wall:
    """The parts of a raster's background that do not change from slice to slice."""

    def __init__(self, chest: Chest, raster: Raster) -> None:
        """Compute the fields once for all slices on `raster`."""
        self.chest, self.raster = chest, raster
        y, x = raster.y_mm[:, None], raster.x_mm[None, :]
        body = _radius(x, y, BODY_MM, chest.girth, power=2.5)
        self._cavity = _radius(x, y, CAVITY_MM, chest.girth, power=2.3)
        self._background = self._tissue(body)
        self._ribs = np.nonzero((self._cavity > 1.01) & (self._cavity < 1.095))
        self._rib_turn = self._rib_pattern(x, y)
        self._lung_part = raster.part(_bounds(CAVITY_MM, chest.girth), margin_mm=EDGE_MM)

    def _tissue(self, body: np.ndarray) -> np.ndarray:
        hu = np.full(body.shape, AIR_HU, np.float32)
        table = (self.raster.y_mm > 133) & (self.raster.y_mm < 137)
        hu[table] = -250.0
        hu += share((body - 1) * 130) * (self.chest.fat_hu - hu)
        muscle = share((body - 0.86) * 130)
        hu += muscle * (MUSCLE_HU - hu)
        inside = share((self._cavity - 1.0) * 100)
        hu += inside * (self.chest.fat_hu - hu)
        return hu

    def _rib_pattern(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        rows, columns = self._ribs
        angle = np.arctan2(np.abs(x[0, columns]), -y[rows, 0])  # 0 at the sternum, pi at the spine
        return (angle * 1.25 + self.chest.rib_phase).astype(np.float32)

    def slice_hu(self, z_mm: float, thickness_mm: float) -> np.ndarray:
        """Return HU, float32, of wall, ribs, lungs and of the cavity under the diaphragm."""
        hu = self._background.copy()
        wave = np.cos(2 * np.pi * (self._rib_turn + z_mm / RIB_MM))
        rib = np.clip((wave - 0.45) * 4, 0, 1)
        hu[self._ribs] += rib * (BONE_HU - hu[self._ribs])
        self._fill_cavity(hu, z_mm, thickness_mm)
        return hu

    def _fill_cavity(self, hu: np.ndarray, z_mm: float, thickness_mm: float) -> None:
        rows, columns = self._lung_part
        part = hu[rows, columns]
        if not part.size:
            return
        y, x = self.raster.y_mm[rows], self.raster.x_mm[None, columns]
        above = np.clip((z_mm - SHOULDER_MM) / (APEX_MM - SHOULDER_MM), 0, 1)
        rim = np.sqrt(max(1 - above**2.5, 1e-6)) * 0.985
        radius = self._cavity[rows, columns]
        pleura = half_width_mm(y, z_mm).astype(np.float32)[:, None]
        cavity = share((radius - rim) * 100) * share(pleura - np.abs(x))
        dome = self.chest.dome_mm - 55 * radius**2
        lung = cavity * share(dome - z_mm, EDGE_MM + thickness_mm)
        liver = (cavity - lung) * share(x + 8, 20.0)
        part += liver * (LIVER_HU - part)
        part += lung * (self.chest.lung_hu - part)


def _radius(
    x: np.ndarray, y: np.ndarray, form_mm: tuple[float, float, float], girth: float, power: float
) -> np.ndarray:
    """Return a relative radius: 1 on the outline, less inside.

    With a power above 2 the outline is a rounded rectangle.
    """
    radius_x, radius_y, centre_y = form_mm
    across = np.abs(x / (radius_x * girth)) ** power
    down = np.abs((y - centre_y) / (radius_y * girth)) ** power
    return ((across + down) ** (1 / power)).astype(np.float32)


def _bounds(form_mm: tuple[float, float, float], girth: float) -> tuple[float, float, float, float]:
    radius_x, radius_y, centre_y = form_mm
    return (
        -radius_x * girth,
        radius_x * girth,
        centre_y - radius_y * girth,
        centre_y + radius_y * girth,
    )
