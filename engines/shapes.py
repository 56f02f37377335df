"""Array types by name: the one file where shapes are spelled out.

Arrays are z y x; world points are x y z in LPS millimetres.
"""

import numpy as np
from jaxtyping import Bool, Float, Int16, UInt8

Patches = Int16[np.ndarray, "node 18 80 80"]
"""HU on the patch grid (see `engines.patch`)."""

Masks = UInt8[np.ndarray, "node 18 80 80"]
"""The node's own mask on the same grid, occupancy 0-255."""

Crops = Int16[np.ndarray, "node 16 64 64"]
"""The region that a network sees, HU."""

Probabilities = Float[np.ndarray, "node"]
"""Probability of metastasis, 0-1."""

Affine = Float[np.ndarray, "4 4"]
"""Homogeneous voxel index (z, y, x, 1) to LPS mm (x, y, z, 1)."""

PointMm = Float[np.ndarray, "3"]
"""One LPS point, x y z, mm."""

PointsMm = Float[np.ndarray, "point 3"]
"""LPS points, x y z, mm."""

BoolVolume = Bool[np.ndarray, "z y x"]
Int16Volume = Int16[np.ndarray, "z y x"]
