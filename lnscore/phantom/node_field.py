"""Paint one node as a field in the patient: the part of each voxel that it fills, and its HU.

A node is a rotated ellipsoid whose radius varies by a few smooth waves. It has a texture of waves
4.5 to 9 mm long, and may have a necrotic core or a fatty hilum.
"""

import math
from dataclasses import dataclass

import numpy as np

from lnscore.phantom.lymph_nodes import Traits
from lnscore.phantom.wall import Raster

SUB_MM = 1.3  # a slice is the mean of planes at most this far apart
INNER_EDGE_MM = 1.2
HILUM_HU = -75.0
WAVES = 14
STRANDS = 0.25  # the texture is stretched along z, so that thick slices do not average it away
WAVE_MM = (4.5, 9.0)


@dataclass(frozen=True, kw_only=True)
class PhantomNode:
    """One node in a patient.

    Attributes:
        number: Number of the node within the patient, from 1.
        station: AJCC8 code of the station.
        malignant: True label.
        traits: Generating parameters.
        centre_mm: Centre in LPS x y z.
        form: Random shape and texture of the node.
    """

    number: int
    station: str
    malignant: bool
    traits: Traits
    centre_mm: tuple[float, float, float]
    form: "NodeForm"

    @property
    def reach_mm(self) -> float:
        """Largest distance from the centre at which the node changes a voxel, in mm."""
        bulge = 1 + 3 * self.traits.irregularity
        return max(self.traits.semi_axes_mm) * bulge + self.traits.border_mm + 1


@dataclass(frozen=True)
class NodeForm:
    """Random form of one node.

    Attributes:
        turn: Rotation from patient x y z to node axes (long, short, height), 3x3.
        bumps: Wave vectors on the unit sphere and phases, shape (6, 4).
        waves: Texture wave vectors (radians per mm) and phases, shape (14, 4).
        lean: Unit vector of the direction in which core and hilum are shifted from the centre.
    """

    turn: np.ndarray
    bumps: np.ndarray
    waves: np.ndarray
    lean: np.ndarray


def draw_form(rng: np.random.Generator) -> NodeForm:
    """Draw rotation, bumps, texture and shift direction of a node."""
    spin, tilt = rng.uniform(0, 2 * np.pi), rng.normal(0, 0.25)
    about_z = np.array(
        [[np.cos(spin), np.sin(spin), 0], [-np.sin(spin), np.cos(spin), 0], [0, 0, 1]]
    )
    about_x = np.array(
        [[1, 0, 0], [0, np.cos(tilt), np.sin(tilt)], [0, -np.sin(tilt), np.cos(tilt)]]
    )
    bumps = np.c_[rng.normal(0, 2.2, (6, 3)), rng.uniform(0, 2 * np.pi, 6)]
    aim = rng.normal(0, 1, (WAVES, 3)) * (1, 1, STRANDS)
    aim *= (2 * np.pi / rng.uniform(*WAVE_MM, WAVES) / np.linalg.norm(aim, axis=1))[:, None]
    lean = rng.normal(0, 1, 3)
    return NodeForm(
        (about_x @ about_z).astype(np.float32),
        bumps.astype(np.float32),
        np.c_[aim, rng.uniform(0, 2 * np.pi, WAVES)].astype(np.float32),
        (lean / np.linalg.norm(lean)).astype(np.float32),
    )


@dataclass(frozen=True, kw_only=True)
class PaintedNode:
    """A node on the slices that it touches.

    Attributes:
        slices: Slices of the node, as a slice object (end exclusive).
        rows: Rows of the node's rectangle.
        columns: Columns of the node's rectangle.
        share: Part of each voxel that the node fills, float32 z y x.
        weighted_hu: HU of the node times `share`.
        mask: Voxels that a reader would outline, bool z y x.
    """

    slices: slice
    rows: slice
    columns: slice
    share: np.ndarray
    weighted_hu: np.ndarray
    mask: np.ndarray


def paint(
    node: PhantomNode, slices_mm: np.ndarray, raster: Raster, thickness_mm: float
) -> PaintedNode | None:
    """Average the node's field over the slices' thickness.

    Args:
        node: The node.
        slices_mm: Slice centres, ascending z.
        raster: Pixel centres.
        thickness_mm: Slice thickness.

    Returns:
        The painted node, or None if it does not touch these slices.
    """
    x, y, z = node.centre_mm
    reach = node.reach_mm
    first, last = np.searchsorted(
        slices_mm, (z - reach - thickness_mm / 2, z + reach + thickness_mm / 2)
    )
    rows, columns = raster.part((x - reach, x + reach, y - reach, y + reach), 0.0)
    planes = math.ceil(thickness_mm / SUB_MM)
    offsets = ((np.arange(planes) + 0.5) / planes - 0.5) * thickness_mm
    heights = (slices_mm[first:last, None] + offsets).ravel() - z
    across, down = raster.x_mm[columns] - x, raster.y_mm[rows] - y
    if not (len(heights) and len(across) and len(down)):
        return None
    shape = (last - first, planes, len(down), len(across))
    inside, hu, within = (part.reshape(shape) for part in _field(node, heights, down, across))
    filled = within.mean(axis=1)
    mask = filled >= min(0.5, 0.5 * float(filled.max()))
    return PaintedNode(
        slices=slice(int(first), int(last)), rows=rows, columns=columns,
        share=inside.mean(axis=1), weighted_hu=(inside * hu).mean(axis=1), mask=mask & (filled > 0),
    )  # fmt: skip


def _field(
    node: PhantomNode, z: np.ndarray, y: np.ndarray, x: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return soft share, HU and sharp mask (0 or 1) of every point of a block around the centre."""
    traits, form = node.traits, node.form
    grid = np.meshgrid(z, y, x, indexing="ij")
    points = np.stack(grid[::-1], axis=-1).reshape(-1, 3).astype(np.float32)
    turned = points @ form.turn.T
    length = np.sqrt((turned * turned).sum(axis=1)) + 1e-6
    scaled = turned / np.array(traits.semi_axes_mm, np.float32)
    waves = np.cos(turned / length[:, None] @ form.bumps[:, :3].T + form.bumps[:, 3])
    bulge = 1 + traits.irregularity * waves.sum(axis=1) / math.sqrt(len(form.bumps) / 2)
    across = scaled[:, 0] ** 2 + scaled[:, 1] ** 2
    # 0 at the centre, 1 on the surface; the exponents give blunt ends like those of a bean.
    part = (across**2 + scaled[:, 2] ** 4) ** 0.25 / bulge
    # The lower limit is far below any true value; it only avoids 0 / 0 at the exact centre.
    distance = length - length / np.maximum(part, 0.3 * length / max(traits.semi_axes_mm))
    hu = np.full(len(points), traits.enhancement_hu, np.float32)
    near = distance < traits.border_mm
    texture = np.cos(points[near] @ form.waves[:, :3].T + form.waves[:, 3]).sum(axis=1)
    hu[near] += traits.heterogeneity_hu * texture / math.sqrt(WAVES / 2)
    _hollow(hu, scaled, traits, form)
    return np.clip(0.5 - distance / traits.border_mm, 0, 1), hu, (distance < 0).astype(np.float32)


def _hollow(hu: np.ndarray, scaled: np.ndarray, traits: Traits, form: NodeForm) -> None:
    """Add the necrotic core and the fatty hilum to `hu` in place."""
    half_mm = traits.short_axis_mm / 2
    for radius, value, off in (
        (traits.core_part, traits.core_hu, 0.12),
        (traits.hilum_part, HILUM_HU, 0.42),
    ):
        if radius > 0:
            offset = scaled - off * form.lean
            distance = (np.sqrt((offset * offset).sum(axis=1)) - radius) * half_mm
            hu += np.clip(0.5 - distance / INNER_EDGE_MM, 0, 1) * (value - hu)
