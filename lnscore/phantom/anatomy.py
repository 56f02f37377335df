"""Define the organs of chest and upper abdomen: their positions and their brightness.

Coordinates are LPS millimetres with the carina at z = 0 and the trachea at x = 0: x to the left,
y to the back, z to the head. They describe an average adult in the portal-venous phase (our own
values, from anatomy, not from a patient); every patient varies randomly around them.
"""

from dataclasses import dataclass

import numpy as np

from lnscore.phantom.shapes import EllipseStack, Rod, Solid, bent, stack

FAT_HU = -102.0
MUSCLE_HU = 58.0
AIR_HU = -1000.0
LUNG_HU = -850.0
BONE_HU = 240.0
WALL_HU = 45.0
LIVER_HU = 108.0

GULLET_MM = ((-196, 24, -8), (-150, 14, 8), (-110, 9, 14), (-60, 4, 17), (0, 6, 17), (60, 5, 13),
             (160, 3, 8))  # fmt: skip
"""Centre line of the oesophagus: z, x, y."""


@dataclass(frozen=True)
class Organ:
    """One solid with one brightness.

    Attributes:
        solid: Shape of the organ.
        hu: Brightness in HU; for `spine`, the brightness of the vertebral bodies.
        kind: `soft`, `vessel`, `air`, `bone`, `spine` (with discs) or `lung vessel`.
    """

    solid: Solid
    hu: float
    kind: str


@dataclass(frozen=True, kw_only=True)
class Chest:
    """Anatomy of one patient.

    Attributes:
        organs: Organs in painting order; later ones cover earlier ones.
        girth: Size of body and rib cage relative to the average.
        fat_hu: Brightness of fat in HU.
        lung_hu: Brightness of lung in HU.
        dome_mm: Height of the domes of the diaphragm, z.
        rib_phase: Position where the ribs start, as a part (0-1) of their spacing.
        tumour_mm: Height of the oesophageal tumour, z.
    """

    organs: tuple[Organ, ...]
    girth: float
    fat_hu: float
    lung_hu: float
    dome_mm: float
    rib_phase: float
    tumour_mm: float


def draw_chest(rng: np.random.Generator, tumour_mm: float) -> Chest:
    """Draw the anatomy of one patient: the average chest with random positions, sizes and HU.

    Args:
        rng: Random generator of the patient.
        tumour_mm: Height of the thickened part of the oesophagus, z.

    Returns:
        The chest, ready to be painted.
    """
    artery_hu, vein_hu = rng.normal(170, 14), rng.normal(150, 14)
    parts = [
        *_skeleton(),
        *_heart(artery_hu),
        *_abdomen(),
        *_veins(vein_hu),
        *_arteries(artery_hu),
        *_airway_and_gullet(tumour_mm),
        *_lung_vessels(rng, vein_hu),
    ]
    organs = tuple(Organ(_jitter(part.solid, rng), part.hu, part.kind) for part in parts)
    return Chest(
        organs=organs,
        girth=float(np.clip(rng.normal(1.0, 0.05), 0.9, 1.12)),
        fat_hu=float(rng.normal(FAT_HU, 4)),
        lung_hu=float(rng.normal(LUNG_HU, 20)),
        dome_mm=float(rng.normal(-138, 6)),
        rib_phase=float(rng.uniform()),
        tumour_mm=tumour_mm,
    )


def _jitter(solid: Solid, rng: np.random.Generator) -> Solid:
    shift_x, shift_y = rng.normal(0, 1.2, 2)
    size = float(np.clip(rng.normal(1, 0.06), 0.85, 1.15))
    if isinstance(solid, EllipseStack):
        knots = solid.knots_mm * np.array([[1], [1], [size], [size]])
        return EllipseStack(solid.z_mm, knots + np.array([[shift_x], [shift_y], [0], [0]]))
    shift = np.array([shift_x, shift_y, 0])
    start, end = (tuple(np.add(p, shift).tolist()) for p in (solid.start_mm, solid.end_mm))
    return Rod(start, end, solid.radius_mm * size)


def _skeleton() -> list[Organ]:
    def both(x: float, y: float, radius_x: float, radius_y: float) -> list[Organ]:
        rows = [[(-360, s * x, y, radius_x, radius_y), (160, s * x, y, radius_x, radius_y)]
                for s in (-1, 1)]  # fmt: skip
        return [Organ(stack(side), MUSCLE_HU, "soft") for side in rows]

    def column(y: float, radius_x: float, radius_y: float) -> EllipseStack:
        return stack([(-360, 0, y, radius_x, radius_y), (160, 0, y, radius_x, radius_y)])

    sternum = stack([(-115, 0, -84, 10, 4), (-60, 0, -86, 15, 5), (45, 0, -78, 20, 6)])
    return [
        *both(31, 84, 25, 19),
        Organ(column(97, 3.5, 14), BONE_HU, "bone"),
        Organ(column(77, 15, 12), BONE_HU, "bone"),
        Organ(column(76, 9, 8), 28.0, "soft"),
        Organ(column(53, 17.5, 15), 330.0, "spine"),
        Organ(column(53, 15.5, 13), 190.0, "spine"),
        Organ(sternum, BONE_HU, "bone"),
    ]


def _heart(blood_hu: float) -> list[Organ]:
    muscle = [(-152, 34, -46, 40, 24), (-110, 26, -42, 60, 38), (-70, 14, -44, 48, 36),
              (-44, 8, -46, 34, 24)]  # fmt: skip
    left = [(-140, 50, -40, 14, 12), (-105, 46, -38, 20, 18), (-68, 40, -40, 14, 12)]
    right = [(-138, -4, -52, 18, 12), (-95, -14, -48, 22, 20), (-52, -20, -46, 12, 12)]
    atrium = [(-92, 8, -16, 22, 9), (-66, 6, -15, 28, 13), (-40, 6, -16, 22, 9)]
    chambers = [(left, blood_hu), (right, blood_hu - 10), (atrium, blood_hu)]
    painted = [Organ(stack(rows), hu, "vessel") for rows, hu in chambers]
    return [Organ(stack(muscle), 102.0, "soft"), *painted]


def _abdomen() -> list[Organ]:
    solids = [
        ([(-330, 44, -56, 24, 14), (-240, 56, -44, 38, 26), (-160, 48, -30, 26, 24)], 32.0),
        ([(-300, 98, 40, 12, 20), (-220, 100, 42, 24, 36), (-165, 88, 44, 14, 20)], 118.0),
        ([(-262, 0, -64, 30, 14), (-200, 6, -62, 48, 20), (-150, 10, -60, 34, 14)], LIVER_HU),
        ([(-290, 10, -24, 44, 9), (-262, 12, -22, 42, 8)], 84.0),
        ([(-360, 58, 52, 22, 22), (-240, 54, 52, 18, 18)], 155.0),
        ([(-360, -58, 54, 22, 22), (-260, -54, 54, 18, 18)], 155.0),
        ([(-360, 20, 44, 5, 8), (-160, 15, 34, 4, 5)], MUSCLE_HU),
        ([(-360, -18, 42, 6, 8), (-160, -13, 32, 4, 5)], MUSCLE_HU),
    ]
    return [Organ(stack(rows), hu, "soft") for rows, hu in solids]


def _veins(hu: float) -> list[Organ]:
    stacks = [
        [(-62, -28, -40, 9, 9), (36, -30, -36, 8.5, 9)],
        [(30, -30, -36, 8, 8), (95, -34, -28, 6, 6)],
        [(-205, -9, 31, 3.2, 3.2), (-60, -8, 30, 3.6, 3.6), (6, -9, 27, 4.2, 4.2)],
        [(-360, -20, 22, 10, 9), (-200, -24, 8, 12, 10), (-105, -26, -26, 12, 11)],
        [(-60, 24, -44, 13, 13), (-8, 22, -38, 13, 13)],
    ]
    rods = [
        *bent([(34, -52, 52), (4, -54, 46), (-26, -42, 34)], 6.0),
        *bent([(-9, 26, 4), (-19, 12, 11), (-24, -14, 10), (-28, -30, 6)], 3.8),
        *bent([(16, -30, -20), (-10, -20, -22), (-46, -10, -26)], 8.5),
        *bent([(24, -34, -12), (36, -14, -10), (46, 6, -16)], 8.5),
    ]
    return [Organ(solid, hu, "vessel") for solid in [*map(stack, stacks), *rods]]


def _arteries(hu: float) -> list[Organ]:
    stacks = [
        [(-58, -6, -40, 14, 14), (-20, -15, -44, 16.5, 16.5), (16, -14, -38, 15, 15)],
        [(-360, 3, 30, 9, 9), (-180, 10, 29, 10.5, 10.5), (-100, 22, 31, 12, 12),
         (-20, 27, 32, 12.5, 12.5), (22, 26, 19, 12, 12)],
        [(24, -8, -32, 6.5, 6.5), (95, -26, -20, 5.5, 5.5)],
        [(90, -26, -20, 3.8, 3.8), (160, -30, -14, 3.5, 3.5)],
        [(24, 8, -22, 4.5, 4.5), (160, 30, -12, 3.5, 3.5)],
        [(24, 21, -4, 5, 5), (95, 38, 2, 4.5, 4.5)],
    ]  # fmt: skip
    rods = [
        *bent([(-14, -38, 12), (-2, -26, 23), (13, -6, 26), (25, 14, 18)], 12.5),
        *bent([(5, 20, -236), (5, -2, -240)], 3.6),
        *bent([(5, -2, -240), (34, 6, -232), (84, 26, -226)], 2.8),
        *bent([(5, -2, -240), (-38, -26, -246)], 2.8),
        *bent([(5, -2, -240), (26, -20, -212)], 2.0),
        *bent([(4, 20, -252), (2, 6, -300)], 4.0),
    ]
    return [Organ(solid, hu, "vessel") for solid in [*map(stack, stacks), *rods]]


def _airway_and_gullet(tumour_mm: float) -> list[Organ]:
    path = np.array(GULLET_MM, float)
    heights = np.unique(np.r_[path[:, 0], np.clip(tumour_mm + np.linspace(-24, 24, 7), -196, 160)])
    swollen = 1 + 0.8 * np.exp(-(((heights - tumour_mm) / 16) ** 2))
    gullet = [
        (z, *(np.interp(z, path[:, 0], path[:, axis]) for axis in (1, 2)), 7.0 * s, 5.2 * s)
        for z, s in zip(heights, swollen, strict=True)
    ]
    lumen = [(z, x, y, 2.2, 1.0) for z, x, y, *_ in gullet]
    tubes = [(0, 0, -3, 9.0, 8.5), (60, 0, -6, 9.0, 8.5), (160, 0, -18, 9.0, 8.5)]
    walls = [(z, x, y, a + 1.6, b + 1.6) for z, x, y, a, b in tubes]
    bronchi = [
        [(-1, -3, 5), (-16, 0, -10), (-40, 4, -32)],
        [(1, -3, 5), (20, 2, -14), (46, 8, -34)],
    ]
    outer = [rod for points in bronchi for rod in bent(points, 7.4)]
    inner = [rod for points in bronchi for rod in bent(points, 5.9)]
    return [
        Organ(stack(gullet), WALL_HU + 10, "soft"),
        Organ(stack(lumen), -150.0, "lung vessel"),
        *(Organ(solid, WALL_HU, "soft") for solid in [stack(walls), *outer]),
        *(Organ(solid, AIR_HU, "air") for solid in [stack(tubes), *inner]),
    ]


def _lung_vessels(rng: np.random.Generator, hu: float) -> list[Organ]:
    """Make vessel branches that leave the hila: bright dots and lines in the lung."""
    organs = []
    for side, hilum in ((-1, (-46, -2, -26)), (1, (48, 4, -22))):
        for _ in range(16):
            aim = rng.normal(0, 1, 3) * (0.5, 0.8, 1.0) + (side * 0.9, 0, 0)
            aim /= np.linalg.norm(aim)
            reach, bend = rng.uniform(35, 80), rng.normal(0, 6, 3)
            middle, end = np.add(hilum, aim * reach / 2 + bend), np.add(hilum, aim * reach)
            points = [hilum, tuple(middle.tolist()), tuple(end.tolist())]
            first, second = bent(points, 1.0)
            rods = (
                Rod(first.start_mm, first.end_mm, 2.6),
                Rod(second.start_mm, second.end_mm, 1.5),
            )
            organs += [Organ(rod, hu - 20, "lung vessel") for rod in rods]
    return organs
