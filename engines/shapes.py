"""Named array types with their shapes.

Array axes are z, y, x. World points are x, y, z in LPS millimetres.
"""

import numpy as np
from jaxtyping import Float, Int16, UInt8

Patches = Int16[np.ndarray, "node 18 80 80"]
"""Patches in HU (see `engines.patch`)."""

Masks = UInt8[np.ndarray, "node 18 80 80"]
"""Mask of the node on the same grid; 0-255 is the share of the voxel that the node fills."""

Crops = Int16[np.ndarray, "node 16 64 64"]
"""The region that a network gets, in HU."""

Probabilities = Float[np.ndarray, "node"]
"""Probability of metastasis, 0-1."""

Affine = Float[np.ndarray, "4 4"]
"""Matrix from homogeneous voxel index (z, y, x, 1) to LPS mm (x, y, z, 1)."""

PointMm = Float[np.ndarray, "3"]
"""One LPS point, x, y, z in mm."""

PointsMm = Float[np.ndarray, "point 3"]
"""LPS points, x, y, z in mm."""
