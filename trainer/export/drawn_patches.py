"""Synthetic chest patches for golden inputs and tests; none is a patient's."""

import numpy as np

from engines.patch import CENTRE_VOX, SPEC
from engines.shapes import Patches


def phantom_patches(nodes: int, rng: np.random.Generator, wild: float = 1.0) -> Patches:
    """Draw simple chests with fat, a node, vessels, lung and noise; no two are alike.

    Args:
        nodes: Number of patches.
        rng: Random generator of the draws.
        wild: Largest radius and brightness of the nodes, as a multiple of the usual one.

    Returns:
        HU patches (node, 18, 80, 80).
    """
    return np.stack([_phantom_patch(rng, wild) for _ in range(nodes)])


def _phantom_patch(rng: np.random.Generator, wild: float) -> np.ndarray:
    axes = [np.arange(n) - c for n, c in zip(SPEC.size_vox, CENTRE_VOX, strict=True)]
    steps = zip(np.meshgrid(*axes, indexing="ij"), SPEC.spacing_mm, strict=True)
    z, y, x = (index * step for index, step in steps)
    hu = np.full(SPEC.size_vox, rng.uniform(-115, -85))
    angle = rng.uniform(0, 2 * np.pi)
    lung_mm = rng.uniform(8, 30)
    hu[np.cos(angle) * x + np.sin(angle) * y > lung_mm] = rng.uniform(-880, -780)
    for _ in range(rng.integers(1, 5)):
        at_y, at_x, tilt_y, tilt_x = rng.uniform([-28, -28, -0.3, -0.3], [28, 28, 0.3, 0.3])
        away = np.hypot(y - at_y - tilt_y * z, x - at_x - tilt_x * z)
        hu[away < rng.uniform(2, 10)] = rng.uniform(90, 220)
    radii_mm = rng.uniform(2.5, 12 * wild) * rng.uniform(0.7, 1.3, 3)
    reach = (z / radii_mm[0]) ** 2 + (y / radii_mm[1]) ** 2 + (x / radii_mm[2]) ** 2
    hu[reach < 1] = rng.uniform(30, 110 * wild)
    hu[reach < rng.uniform(0, 0.6)] -= rng.uniform(0, 120)
    hu += rng.normal(0, rng.uniform(6, 20), hu.shape)
    return np.rint(hu).clip(-1024, 3071).astype(np.int16)
