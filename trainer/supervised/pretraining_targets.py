"""The targets of pretraining: size and HU statistics of a node, measured on its patch and mask.

They need no label and no pathology. They are ours, for sites without access to ImageNet weights.
"""

import numpy as np
import torch
from torch import Tensor

from engines.patch import CROP
from trainer.data.cohort import Cohort

NAMES = (
    "log short axis",
    "log long axis",
    "log volume",
    "mean HU",
    "log spread of HU",
    "fraction below 20 HU",
)
LOW_HU = 20.0  # fat, and necrosis in a scan with contrast agent, are below it
AT_ONCE = 256


def measurable(cohort: Cohort) -> np.ndarray:
    """Return the indices of the nodes that can be measured: with mask, short axis and volume."""
    return np.flatnonzero(
        [
            node.has_mask and bool(node.short_axis_mm) and bool(node.volume_mm3)
            for node in cohort.nodes
        ]
    )


def measure(cohort: Cohort, index: np.ndarray) -> Tensor:
    """Measure nodes; each property is scaled to mean 0 and standard deviation 1 over the nodes.

    Args:
        cohort: Cohort with masks.
        index: Indices of the nodes, from `measurable`.

    Returns:
        Targets, float32, shape (node, 6), in the order of `NAMES`.
    """
    parts = np.array_split(index, max(1, -(-len(index) // AT_ONCE)))
    values = torch.cat([_sizes(cohort, index), torch.cat([_texture(cohort, p) for p in parts])], 1)
    return (values - values.mean(0)) / values.std(0).clamp_min(1e-6)


def _sizes(cohort: Cohort, index: np.ndarray) -> Tensor:
    nodes = [cohort.nodes[i] for i in index]
    sizes = [(node.short_axis_mm, node.long_axis_mm, node.volume_mm3) for node in nodes]
    return torch.tensor(sizes, dtype=torch.float32).log()


def _texture(cohort: Cohort, index: np.ndarray) -> Tensor:
    assert cohort.masks is not None
    places = torch.from_numpy(index)
    hu = cohort.patches[places][CROP].float().flatten(1)
    inside = cohort.masks[places][CROP].float().flatten(1) / 255
    whole = inside.sum(1).clamp_min(1e-3)
    mean = (hu * inside).sum(1) / whole
    variance = ((hu - mean[:, None]).square() * inside).sum(1) / whole
    low = ((hu < LOW_HU) * inside).sum(1) / whole
    return torch.stack([mean, variance.sqrt().log1p(), low], dim=1).cpu()
