"""Make an untrained engine: a small one whose outputs differ from node to node.

`python -m trainer.bundle.demo FOLDER` makes it. With the same seed, machine and version of
torch the bytes are the same. `trainer.bundle.ship` makes the engine that the repository ships.
"""

import argparse
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch
from torch import nn

from engines.bundle import Bundle
from engines.manifest import About, OperatingPoint
from engines.patch import crop
from engines.shapes import Patches
from trainer.export.drawn_patches import phantom_patches
from trainer.export.graph import export, torch_scores
from trainer.networks.config import NetworkConfig, TwoStreamConfig
from trainer.networks.registry import Network, build
from trainer.networks.two_stream import BATCHNORMS, TwoStream

CONFIG = TwoStreamConfig(variant="small", group_stride=3, fpn_channels=32)
SEED = 20240607
LOGIT_SPREAD = 2.0
CALIBRATION_NODES = 64
GOLDEN_NODES = 5
MADE = datetime(2026, 11, 24, tzinfo=UTC)


def make(folder: Path) -> Bundle:
    """Write the demonstration bundle.

    Args:
        folder: Folder of the bundle; must not exist.

    Returns:
        The bundle.

    Raises:
        TrainerError: T01 the folder exists.
    """
    patches = phantom_patches(CALIBRATION_NODES, np.random.default_rng(SEED))
    network = untrained(CONFIG, patches, SEED)
    order = np.argsort(torch_scores(network, patches).fused)
    chosen = order[np.linspace(2, len(order) - 3, GOLDEN_NODES).round().astype(int)]
    about = About(
        name="demo",
        created=MADE,
        trained=False,
        how_to_make_again="python -m trainer.bundle.demo FOLDER",
        operating_points=[OperatingPoint(name="p50", threshold=0.5)],
        cohort={"note": "untrained: random weights, normalised on drawn phantom patches"},
    )
    return export(network, patches[chosen], about, folder)


def untrained(config: NetworkConfig, patches: Patches, seed: int) -> Network:
    """Build a network with random weights whose outputs differ from node to node.

    The statistics of BatchNorm come from `patches`; without them the signal vanishes in the
    network and every node gets the same value. The heads are then scaled so that the logits have
    a known standard deviation.

    Args:
        config: Configuration of a network that needs no outlines.
        patches: HU patches (node, 18, 80, 80).
        seed: Random seed of the weights.

    Returns:
        The network in evaluation mode.
    """
    hu = torch.from_numpy(crop(patches).astype(np.float32))
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(seed)
        network = build(config)
        for module in network.modules():
            if isinstance(module, BATCHNORMS):
                module.momentum = None  # a plain mean, not a moving average
        network.train()(hu)
        network.eval()
        for unit, logits in zip(_units(network), network(hu), strict=False):
            _spread(unit, logits)
    return network


def _units(network: Network) -> list[nn.Linear]:
    heads = [network.fused_head]
    if isinstance(network, TwoStream) and network.config.two_stream:
        heads += [network.local_head, network.global_head]
    return [head[1] for head in heads]  # pyright: ignore[reportReturnType]


def _spread(unit: nn.Linear, logits: torch.Tensor) -> None:
    """Rescale one head so that these logits get mean 0 and standard deviation `LOGIT_SPREAD`."""
    scale = LOGIT_SPREAD / logits.std()
    unit.weight.mul_(scale)
    unit.bias.copy_((unit.bias - logits.mean()) * scale)


def main(argv: Sequence[str] | None = None) -> None:
    """Make the bundle from the command line."""
    parser = argparse.ArgumentParser(prog="python -m trainer.bundle.demo", description=__doc__)
    parser.add_argument("folder", type=Path, help="the bundle's folder; must not exist")
    make(parser.parse_args(argv).folder)


if __name__ == "__main__":
    main()
