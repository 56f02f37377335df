"""Render chest and nodes to slices of HU, used for both DICOM files and direct patches."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from lnscore.phantom import noise
from lnscore.phantom.anatomy import Chest, Organ
from lnscore.phantom.node_field import PaintedNode, PhantomNode, paint
from lnscore.phantom.wall import EDGE_MM, Raster, Wall, share

DISC_MM = 26.0  # distance between spinal discs


@dataclass(frozen=True)
class Exposure:
    """Noise of a scan.

    Attributes:
        noise_hu: Standard deviation in HU.
        cutoff_per_mm: Cut-off frequency of the kernel (see `noise.bank`).
    """

    noise_hu: float = 11.0
    cutoff_per_mm: float = 0.5


@dataclass(frozen=True)
class SliceGrid:
    """Slices and pixels to render.

    Attributes:
        z_mm: Slice centres, ascending.
        raster: Pixel centres.
        thickness_mm: Slice thickness.
    """

    z_mm: np.ndarray
    raster: Raster
    thickness_mm: float


def paint_nodes(nodes: Sequence[PhantomNode], slices: SliceGrid) -> list[PaintedNode | None]:
    """Paint every node on these slices; a node that does not touch them gives None."""
    return [paint(node, slices.z_mm, slices.raster, slices.thickness_mm) for node in nodes]


def render(
    chest: Chest,
    painted: Sequence[PaintedNode | None],
    slices: SliceGrid,
    exposure: Exposure,
    rng: np.random.Generator,
) -> Iterator[np.ndarray]:
    """Render slices one after another, lowest z first.

    Args:
        chest: Anatomy of the patient.
        painted: Nodes on these slices (`paint_nodes`).
        slices: Slices and pixels to render.
        exposure: Noise of the scan.
        rng: Random generator that is used only for the noise.

    Yields:
        HU, float32, shape (rows, columns).
    """
    wall = Wall(chest, slices.raster)
    organs = _near(chest.organs, slices)
    for number, z_mm in enumerate(slices.z_mm):
        hu = wall.slice_hu(float(z_mm), slices.thickness_mm)
        for organ in organs:
            _paint_organ(hu, organ, float(z_mm), slices)
        for node in painted:
            if node is not None and node.slices.start <= number < node.slices.stop:
                level = number - node.slices.start
                part = hu[node.rows, node.columns]
                part += node.weighted_hu[level] - node.share[level] * part
        grain = noise.slice_noise(rng, hu.shape, exposure.cutoff_per_mm)
        hu += grain * np.float32(exposure.noise_hu)
        yield np.clip(hu, -1024, 3071)


def _near(organs: Sequence[Organ], slices: SliceGrid) -> list[Organ]:
    low = float(slices.z_mm[0]) - slices.thickness_mm
    high = float(slices.z_mm[-1]) + slices.thickness_mm
    near = [o for o in organs if o.solid.z_range[0] <= high and o.solid.z_range[1] >= low]
    parts = [(o, slices.raster.part(o.solid.extent(), EDGE_MM)) for o in near]
    return [o for o, (r, c) in parts if r.stop > r.start and c.stop > c.start]


def _paint_organ(hu: np.ndarray, organ: Organ, z_mm: float, slices: SliceGrid) -> None:
    low, high = organ.solid.z_range
    if not low <= z_mm <= high:
        return
    rows, columns = slices.raster.part(organ.solid.box(z_mm), EDGE_MM)
    part = hu[rows, columns]
    if not part.size:
        return
    y, x = slices.raster.y_mm[rows, None], slices.raster.x_mm[None, columns]
    filled = share(organ.solid.distance(z_mm, y, x), EDGE_MM)
    part += filled * (np.float32(_value(organ, z_mm)) - part)


def _value(organ: Organ, z_mm: float) -> float:
    if organ.kind == "spine" and abs((z_mm % DISC_MM) - DISC_MM / 2) < 3:
        return 90.0
    return organ.hu
