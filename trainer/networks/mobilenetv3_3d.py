"""MobileNetV3-Large in 3D: torchvision's own layers with cubic kernels (ours; Sec. 3.2).

Kernel, stride and padding of every 2D layer become cubic, and the first convolution takes one
channel. The weights start at random: the paper trains its 3D networks from scratch.
"""

import torch
from torch import nn
from torchvision.models import mobilenet_v3_large


def trunk(width: float = 1) -> tuple[nn.Module, int]:
    """Build the trunk: volumes (node, 1, 16, 64, 64) to maps (node, channels, 1, 2, 2).

    Args:
        width: Share of the usual channels to use.

    Returns:
        The trunk, and the number of channels of its maps (960 for width 1).
    """
    features = mobilenet_v3_large(weights=None, width_mult=width).features
    inflate(features)
    convolutions = [m for m in features.modules() if isinstance(m, nn.Conv3d)]
    first, last = convolutions[0].out_channels, convolutions[-1].out_channels
    stem = nn.Conv3d(1, first, 3, stride=2, padding=1, bias=False)
    setattr(features.get_submodule("0"), "0", stem)
    for module in features.modules():
        if isinstance(module, nn.Conv3d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out")
    return features, last


def inflate(network: nn.Module) -> None:
    """Replace every 2D layer of a network by the same layer in 3D, in place."""
    for name, module in list(network.named_children()):
        if isinstance(module, nn.Conv2d):
            setattr(network, name, _convolution(module))
        elif isinstance(module, nn.BatchNorm2d):
            norm = nn.BatchNorm3d(module.num_features, module.eps, module.momentum)
            setattr(network, name, norm)
        elif isinstance(module, nn.AdaptiveAvgPool2d):
            setattr(network, name, nn.AdaptiveAvgPool3d(module.output_size))
        else:
            inflate(module)


def _convolution(flat: nn.Conv2d) -> nn.Conv3d:
    cube = nn.Conv3d(
        flat.in_channels,
        flat.out_channels,
        _cubic(flat.kernel_size),
        stride=_cubic(flat.stride),
        padding=_cubic(flat.padding),
        dilation=_cubic(flat.dilation),
        groups=flat.groups,
        bias=flat.bias is not None,
    )
    if cube.bias is not None:
        torch.nn.init.zeros_(cube.bias)
    return cube


def _cubic(sides: tuple[int, ...] | str) -> tuple[int, int, int]:
    side, other = sides
    if isinstance(side, str) or side != other:
        raise ValueError(f"sides {sides}; wanted two equal sides")
    return side, side, side
