"""Golden inputs of an engine: synthetic patches with different outputs, never a patient's."""

import numpy as np

from engines.parity import LIMITS, SPREAD_MIN
from engines.patch import SPEC
from engines.shapes import Patches
from trainer.errors import TrainerError
from trainer.export.drawn_patches import phantom_patches
from trainer.export.graph import torch_scores
from trainer.networks.registry import Network

SEED = 20240607
AT_ONCE = 64
WILD = (1.0, 1.0, 2.0, 4.0)
"""Scale of the nodes in each round of draws.

A network that calls every usual node benign gets larger, brighter ones.
"""

APART = 10 * LIMITS["fp32"].largest
"""Smallest difference between two outputs; smaller ones could change order by rounding alone."""

FEWEST = 3


def golden_patches(network: Network, nodes: int) -> Patches:
    """Draw patches until the network's outputs are spread, and take some at their quantiles.

    Args:
        network: The network in evaluation mode, on the CPU, in float32.
        nodes: Number of patches; there are fewer if outputs are too close to each other.

    Returns:
        HU patches (node, 18, 80, 80), in ascending order of the network's fused output.

    Raises:
        TrainerError: T34 the network gives all drawn patches nearly the same score.
    """
    rng = np.random.default_rng(SEED)
    patches, fused = np.empty((0, *SPEC.size_vox), np.int16), np.empty(0)
    for wild in WILD:
        more = phantom_patches(AT_ONCE, rng, wild)
        patches = np.concatenate([patches, more])
        fused = np.concatenate([fused, torch_scores(network, more).fused])
        chosen = at_quantiles(fused, nodes)
        if len(chosen) >= FEWEST and np.ptp(fused[chosen]) >= SPREAD_MIN:
            return patches[chosen]
    raise TrainerError(
        "T34",
        f"probabilities from {fused.min():.3f} to {fused.max():.3f} for {len(fused)} drawn nodes",
        f"a range of {SPREAD_MIN:g}, without which no golden input shows an error",
        "Train longer, or with a higher learning rate: this network hardly distinguishes nodes.",
    )


def at_quantiles(fused: np.ndarray, nodes: int) -> np.ndarray:
    """Return the indices of outputs at evenly spaced quantiles, at least `APART` from each other.

    Args:
        fused: Probabilities, shape (draw,).
        nodes: Largest number of indices.
    """
    order = np.argsort(fused, kind="stable")
    places = np.linspace(0, len(order) - 1, min(nodes, len(order))).round().astype(int)
    kept: list[int] = []
    for index in order[places]:
        if not kept or fused[index] - fused[kept[-1]] >= APART:
            kept.append(int(index))
    return np.array(kept, int)
