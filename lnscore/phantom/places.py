"""Define the lymph node stations of the oesophagus as boxes, and find room for a node in them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lnscore.phantom.anatomy import Chest
from lnscore.phantom.node_field import PhantomNode
from lnscore.phantom.wall import half_width_mm

SYSTEM = "AJCC8"
TRIES = 40
GAP_MM = 1.5  # fat that stays between two nodes
PRESSED_MM = -1.5  # a node may overlap an organ by this much before another station is tried


@dataclass(frozen=True)
class Place:
    """One station.

    Attributes:
        code: AJCC8 code.
        box_mm: Box in LPS with the carina at z = 0: x from, to, y from, to, z from, to.
        weight: Relative frequency of nodes in this station.
        anatomy: CID 7600 name in pydicom's dictionary, None if the list has no such name.
        side: `Right`, `Left` or empty.
    """

    code: str
    box_mm: tuple[float, float, float, float, float, float]
    weight: float
    anatomy: str | None
    side: str = ""

    @property
    def middle_mm(self) -> float:
        """Height z of the middle of the box."""
        return (self.box_mm[4] + self.box_mm[5]) / 2


HIGHEST, UPPER = "HighestMediastinalLymphNode", "UpperParatrachealLymphNode"
LOWER = "LowerParatrachealIncludingAzygousLymphNode"
GULLET, BELOW = "EsophagealLymphNode", "ParaesophagealLymphNodeBelowCarina"
LIGAMENT = "LymphNodeOfThePulmonaryLigament"

PLACES = (
    Place("1R", (-34, -12, -22, 14, 68, 98), 1.0, HIGHEST, "Right"),
    Place("1L", (12, 34, -22, 14, 68, 98), 0.8, HIGHEST, "Left"),
    Place("2R", (-34, -11, -26, 16, 28, 66), 1.6, UPPER, "Right"),
    Place("2L", (11, 36, -22, 16, 30, 66), 1.2, UPPER, "Left"),
    Place("4R", (-32, -9, -32, 8, -4, 26), 1.6, LOWER, "Right"),
    Place("4L", (9, 34, -26, 14, -10, 12), 0.9, LOWER, "Left"),
    Place("7", (-16, 18, -14, 10, -36, -9), 1.8, "SubcarinalLymphNode"),
    Place("8U", (-18, 28, 0, 36, 8, 58), 1.1, GULLET),
    Place("8M", (-22, 28, 0, 38, -68, 0), 1.5, BELOW),
    Place("8Lo", (-22, 34, -10, 38, -138, -70), 1.5, BELOW),
    Place("9R", (-36, -12, -20, 30, -108, -58), 0.5, LIGAMENT, "Right"),
    Place("9L", (14, 38, -16, 24, -108, -58), 0.5, LIGAMENT, "Left"),
    Place("15", (-20, 44, -40, 20, -180, -142), 0.6, "DiaphragmaticLymphNode"),
    Place("16", (2, 56, -42, 16, -214, -178), 1.1, "LymphNodeRingOfCardiaOfStomach"),
    Place("17", (0, 44, -40, 4, -240, -204), 1.2, None),
    Place("18", (-44, 2, -42, 12, -258, -226), 0.7, "HepaticLymphNode"),
    Place("19", (24, 84, -8, 38, -246, -212), 0.5, "SplenicLymphNode"),
    Place("20", (-16, 28, -14, 16, -260, -222), 0.7, "CeliacLymphNode"),
)
BY_CODE = {place.code: place for place in PLACES}


def find_room(
    rng: np.random.Generator,
    place: Place,
    semi_axes_mm: tuple[float, float, float],
    chest: Chest,
    others: Sequence[PhantomNode],
) -> tuple[tuple[float, float, float], float]:
    """Find a point of the station where a node of this size lies in fat.

    Args:
        rng: Random generator of the patient; the number of draws is always the same.
        place: The station.
        semi_axes_mm: Half the long axis, half the short axis and half the height of the node.
        chest: Anatomy with the organs that the node must avoid.
        others: Nodes that are already placed.

    Returns:
        Centre in LPS x y z, and its clearance in mm, which is negative if the node overlaps
        an organ or another node.
    """
    low, high = np.array(place.box_mm[::2]), np.array(place.box_mm[1::2])
    points = rng.uniform(low, high, (TRIES, 3))
    across_mm = (semi_axes_mm[0] + semi_axes_mm[1]) / 2
    free = _from_organs(points, across_mm, semi_axes_mm[2], chest)
    for node in others:
        apart = np.linalg.norm(points - node.centre_mm, axis=1)
        # Two nodes must never touch, so this overlap counts four times as much as organs.
        free = np.minimum(
            free, 4 * np.minimum(apart - max(semi_axes_mm) - node.reach_mm - GAP_MM, 0)
        )
    best = int(free.argmax())
    x, y, z = points[best].tolist()
    return (x, y, z), float(free[best])


def _from_organs(
    points: np.ndarray, across_mm: float, half_height_mm: float, chest: Chest
) -> np.ndarray:
    """Compute the clearance of every point from organs and pleura; without any overlap it is 0."""
    low, high = points[:, 2].min() - half_height_mm, points[:, 2].max() + half_height_mm
    free = np.zeros(len(points))
    levels = points[:, 2] + half_height_mm * np.array([[-0.7], [0.0], [0.7]])
    for organ in chest.organs:
        bottom, top = organ.solid.z_range
        if top < low or bottom > high:
            continue
        away = organ.solid.distance(levels, points[:, 1], points[:, 0]) - across_mm
        away = np.where((levels >= bottom) & (levels <= top), away, 0)
        free = np.minimum(free, away.min(axis=0))
    pleura = half_width_mm(points[:, 1], points[:, 2]) - np.abs(points[:, 0]) - across_mm
    return np.minimum(free, np.where(points[:, 2] > chest.dome_mm, pleura, 0))
