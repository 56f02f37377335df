"""The list of all networks, by the names that the command line and the tables use."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import torch
from pydantic import TypeAdapter
from torch import nn

from trainer.errors import TrainerError
from trainer.networks.config import (
    DualNetConfig,
    GroupedConfig,
    MobileNet3dConfig,
    MobileViT3dConfig,
    NetworkConfig,
    ResNet3dConfig,
    SlicesConfig,
    TwoStreamConfig,
)
from trainer.networks.dualnet import DualNet
from trainer.networks.slices_2d import SliceNetwork
from trainer.networks.two_stream import TwoStream
from trainer.networks.volumes_3d import (
    VolumeNetwork,
    mobilenetv3_3d_network,
    mobilevitv2_3d_network,
    resnet18_3d,
)

Network = TwoStream | SliceNetwork | VolumeNetwork | DualNet
"""Any network that `build` returns; each has `config`, `views`, `fused_head` and `needs_mask`."""

_2_5D = TwoStreamConfig(two_stream=False, multi_scale=False)
_MOBILEVIT = SlicesConfig(
    backbone="mobilevitv2", channel_mean=(0.0, 0.0, 0.0), channel_std=(1.0, 1.0, 1.0)
)
NETWORKS: Mapping[str, NetworkConfig] = MappingProxyType(
    {
        "two-stream": TwoStreamConfig(variant="large"),
        "two-stream-large": TwoStreamConfig(variant="large"),
        "two-stream-small": TwoStreamConfig(variant="small"),
        "2.5d": _2_5D,
        "2.5d+ts": TwoStreamConfig(multi_scale=False),
        "2.5d+ms": TwoStreamConfig(two_stream=False),
        "resnet18-2.5d": SlicesConfig(backbone="resnet18"),
        "mobilenetv3-2.5d": _2_5D,
        "mobilevitv2-2.5d": _MOBILEVIT,
        "mobilevitv2-2.5d-128px": _MOBILEVIT.model_copy(update={"input_upsample": 2}),
        "resnet18-3d": ResNet3dConfig(),
        "mobilenetv3-3d": MobileNet3dConfig(),
        "mobilevitv2-3d": MobileViT3dConfig(),
        "dualnet-3d": DualNetConfig(),
    }
)
"""The networks of Tables 1 and 2. `mobilenetv3-2.5d` and `2.5d` are the same network: both
tables print the same figures for it."""

_BUILD: dict[str, Callable[[Any], Network]] = {
    "two-stream": TwoStream,
    "slices": SliceNetwork,
    "resnet18-3d": resnet18_3d,
    "mobilenetv3-3d": mobilenetv3_3d_network,
    "mobilevitv2-3d": mobilevitv2_3d_network,
    "dualnet-3d": DualNet,
}
_PARSER: TypeAdapter[NetworkConfig] = TypeAdapter(NetworkConfig)


def named(name: str) -> NetworkConfig:
    """Return the config of the network with this name.

    Raises:
        TrainerError: T41 no network has this name.
    """
    if name not in NETWORKS:
        known = ", ".join(NETWORKS)
        raise TrainerError("T41", f"no network '{name}'", f"one of {known}", "Name one of these.")
    return NETWORKS[name]


def build(config: NetworkConfig) -> Network:
    """Build a network with random weights.

    Call it with `(hu)`, or with `(hu, mask)` if it `needs_mask`.
    """
    return _BUILD[config.kind](config)


def placed(network: Network, device: torch.device) -> Network:
    """Move a network to a device, in the memory format in which its steps are fastest."""
    network.to(device)
    if isinstance(network.config, GroupedConfig):
        # Measured: 4 times as fast on a CPU. The format for 5D tensors is not faster.
        network.to(memory_format=torch.channels_last)
    return network


def parse(given: dict[str, Any]) -> NetworkConfig:
    """Read a network config that a manifest or a run directory holds.

    Args:
        given: The config as a dictionary; without `kind` it is that of a two-stream network.

    Raises:
        ValidationError: A knob does not fit; pydantic's message names each such knob.
    """
    return _PARSER.validate_python({"kind": "two-stream"} | given)


def head_parameters(network: nn.Module) -> list[str]:
    """Return the names of the parameters outside the backbones, which no backbone file fills."""
    return [name for name, _ in network.named_parameters() if "backbone" not in name.split(".")]
