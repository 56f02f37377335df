"""Every network by the name that the command line and the tables use."""

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
"""What `build` gives: all have `config`, `views`, `fused_head` and `needs_mask`."""

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
"""Table 1's rows and Table 2's. `mobilenetv3-2.5d` and `2.5d` are one network: both tables
print the same figures for it."""

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
    """The config of a network by its name.

    Raises:
        TrainerError: T41 no network has the name.
    """
    if name not in NETWORKS:
        known = ", ".join(NETWORKS)
        raise TrainerError("T41", f"no network '{name}'", f"one of {known}", "Name one of these.")
    return NETWORKS[name]


def build(config: NetworkConfig) -> Network:
    """A network with drawn weights; `forward(hu)`, or `forward(hu, mask)` if it `needs_mask`."""
    return _BUILD[config.kind](config)


def placed(network: Network, device: torch.device) -> Network:
    """The network on a device, in the memory format that its steps are fastest in."""
    network.to(device)
    if isinstance(network.config, GroupedConfig):
        # Measured: 4 times as fast on a CPU. 5D tensors have a format of their own, no faster.
        network.to(memory_format=torch.channels_last)
    return network


def parse(given: dict[str, Any]) -> NetworkConfig:
    """The config that a manifest or a run directory holds.

    Args:
        given: Without `kind` it is a two-stream network's.

    Raises:
        ValidationError: Pydantic's, naming each knob that does not fit.
    """
    return _PARSER.validate_python({"kind": "two-stream"} | given)


def ablation(*, slices: bool, two_stream: bool, multi_scale: bool) -> NetworkConfig:
    """The network of a row of Table 2 (its columns 2.5D, TS, MS).

    Raises:
        TrainerError: T42 streams or scales without 2.5D: both work on groups of slices.
    """
    if slices:
        return TwoStreamConfig(two_stream=two_stream, multi_scale=multi_scale)
    asked = [name for name, on in (("TS", two_stream), ("MS", multi_scale)) if on]
    if asked:
        raise TrainerError("T42", f"{' and '.join(asked)} without 2.5D", "2.5D too", "Turn it on.")
    return MobileNet3dConfig()


def head_parameters(network: nn.Module) -> list[str]:
    """Names of the parameters outside the backbones: what no pretrained file fills."""
    return [name for name, _ in network.named_parameters() if "backbone" not in name.split(".")]
