"""The two-stream network: a local and a global view, several scales, fused slices (Sec. 2.1).

It takes HU crops and returns logits. It does not depend on losses, files or the database.
"""

import math
from collections import OrderedDict
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models import mobilenet_v3_large, mobilenet_v3_small
from torchvision.models.feature_extraction import create_feature_extractor
from torchvision.ops import FeaturePyramidNetwork

from trainer.networks.config import NetworkConfig, TwoStreamConfig
from trainer.networks.preprocess import Views

# Layers with strides 8, 16 and 32; torchvision's own detection helper takes two with stride 32.
TAPS = {"large": (6, 12, 16), "small": (3, 8, 12)}
BATCHNORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
BUILD = {"large": mobilenet_v3_large, "small": mobilenet_v3_small}


class Logits(NamedTuple):
    """Logits of the three heads, shape (node,) each; local and global only with two streams."""

    fused: Tensor
    local: Tensor | None
    global_: Tensor | None


class Stream(nn.Module):
    """Network of one view of the node, which gives the features X_l or X_g of the paper."""

    def __init__(self, config: TwoStreamConfig) -> None:
        """Build backbone, pyramid and both fusions with random weights; nothing is downloaded."""
        super().__init__()
        self.groups, self.spatial = config.groups, config.slice_fusion == "spatial"
        width = config.fpn_channels
        whole = BUILD[config.variant](weights=None, width_mult=config.backbone_width)
        taps = TAPS[config.variant] if config.multi_scale else TAPS[config.variant][-1:]
        used = {f"features.{tap}": channels(whole.features[tap]) for tap in taps}
        self.backbone = create_feature_extractor(whole, {name: name for name in used})
        set_momentum(self.backbone, config.bn_momentum)
        self.pyramid = FeaturePyramidNetwork(list(used.values()), width) if len(used) > 1 else None
        fused_width = width * len(used) if self.pyramid else sum(used.values())
        self.scale_fusion = pointwise(fused_width, width)
        self.slice_fusion = pointwise(self.groups * width, width)

    def forward(self, images: Tensor) -> Tensor:
        """Compute the features of every node from the images of its groups.

        Args:
            images: Images of shape (node * G, 3, side, side).

        Returns:
            Features of shape (node, F, 1, 1).
        """
        levels: dict[str, Tensor] = self.backbone(images)
        if self.pyramid is not None:
            levels = self.pyramid(OrderedDict(levels))
        maps = list(levels.values())
        if self.spatial:
            size = maps[0].shape[-2:]
            maps = [functional.interpolate(m, size=size, mode="nearest") for m in maps]
        else:
            maps = [functional.adaptive_avg_pool2d(m, 1) for m in maps]
        scales = self.scale_fusion(torch.cat(maps, dim=1))  # (node * G, F, h, w)
        side = scales.shape[-1]
        slices = scales.reshape(-1, self.groups * scales.shape[1], side, side)
        return functional.adaptive_avg_pool2d(self.slice_fusion(slices), 1)


class TwoStream(nn.Module):
    """The network of Sec. 2.1; if `two_stream` is off, the global stream alone."""

    needs_mask = False

    def __init__(self, config: TwoStreamConfig) -> None:
        """Build the streams, their fusion and the heads, with bias at the training prior."""
        super().__init__()
        self.config = config
        width = config.fpn_channels
        self.views = Views(config)
        self.global_stream = Stream(config)
        self.fused_head = head(width, config)
        if config.two_stream:
            self.local_stream = Stream(config)
            self.stream_fusion = pointwise(2 * width, width)
            self.local_head, self.global_head = head(width, config), head(width, config)

    @property
    def dtype(self) -> torch.dtype:
        """Precision of the weights; the preprocessing stays float32."""
        return self.fused_head[1].weight.dtype  # pyright: ignore[reportReturnType]

    def forward(self, hu: Tensor) -> Logits:
        """Compute the logits of HU crops.

        Args:
            hu: HU crops of shape (node, 16, 64, 64), z first, any float type.

        Returns:
            Logits of shape (node,).
        """
        near, whole = self.views(hu)
        global_ = self.global_stream(whole.to(self.dtype))
        if not self.config.two_stream:
            return Logits(squeeze(self.fused_head(global_.flatten(1))), None, None)
        local = self.local_stream(near.to(self.dtype))
        fused = self.stream_fusion(torch.cat([local, global_], dim=1))
        return Logits(
            squeeze(self.fused_head(fused.flatten(1))),
            squeeze(self.local_head(local.flatten(1))),
            squeeze(self.global_head(global_.flatten(1))),
        )


def channels(layer: nn.Module) -> int:
    """Return the number of output channels of a layer of torchvision's MobileNetV3."""
    return layer.out_channels  # pyright: ignore[reportReturnType]


def pointwise(wide: int, narrow: int) -> nn.Sequential:
    """Build a fusion: "a single 1x1 convolution" (paper), then BatchNorm and Hardswish (ours)."""
    convolution = nn.Conv2d(wide, narrow, kernel_size=1)
    nn.init.kaiming_normal_(convolution.weight, mode="fan_out")
    return nn.Sequential(convolution, nn.BatchNorm2d(narrow), nn.Hardswish())


def head(width: int, config: NetworkConfig) -> nn.Sequential:
    """Build a head: dropout and one linear unit whose bias is the logit of the training prior."""
    unit = nn.Linear(width, 1)
    nn.init.constant_(unit.bias, math.log(config.head_prior / (1 - config.head_prior)))
    return nn.Sequential(nn.Dropout(config.dropout), unit)


def set_momentum(network: nn.Module, momentum: float) -> None:
    """Set the momentum of every BatchNorm, the speed at which its running statistics change."""
    for module in network.modules():
        if isinstance(module, BATCHNORMS):
            module.momentum = momentum


def squeeze(column: Tensor) -> Tensor:
    """Remove the second axis: (node, 1) to (node,)."""
    return column.squeeze(1)
