"""The 2.5D baselines of Table 1 with ResNet18 and MobileViTv2.

The 2.5D baseline with MobileNetV3 is in `two_stream`: one stream and one scale. Here a 2D backbone
gets every 3-slice group of the global view. Its last level (C5) is averaged and narrowed, and the
slices are fused as in the two-stream network.
"""

from collections import OrderedDict
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models import resnet18

from trainer.networks.config import SlicesConfig
from trainer.networks.preprocess import Views
from trainer.networks.two_stream import Logits, head, pointwise, set_momentum, squeeze

C5_CHANNELS = 512
"""Number of channels of the last level (C5), the same for both backbones."""


class SliceNetwork(nn.Module):
    """2.5D network: backbone, average of C5, 1x1 to F, fusion of the slices, head (Sec. 3.2)."""

    needs_mask = False

    def __init__(self, config: SlicesConfig) -> None:
        """Build the network with random weights; nothing is downloaded."""
        super().__init__()
        self.config = config
        width = config.fpn_channels
        self.views = Views(config)
        self.backbone = BUILD[config.backbone]()
        set_momentum(self.backbone, config.bn_momentum)
        self.scale_fusion = pointwise(C5_CHANNELS, width)
        self.slice_fusion = pointwise(config.groups * width, width)
        self.fused_head = head(width, config)

    @property
    def dtype(self) -> torch.dtype:
        """Precision of the weights; the preprocessing stays float32."""
        return self.fused_head[1].weight.dtype  # pyright: ignore[reportReturnType]

    def forward(self, hu: Tensor) -> Logits:
        """Compute logits of shape (node,) of HU crops of shape (node, 16, 64, 64)."""
        _, whole = self.views(hu)
        level = self.backbone(whole.to(self.dtype))  # (node * G, 512, 2, 2)
        groups = self.scale_fusion(functional.adaptive_avg_pool2d(level, 1))
        slices = groups.reshape(-1, self.config.groups * groups.shape[1], 1, 1)
        return Logits(squeeze(self.fused_head(self.slice_fusion(slices).flatten(1))), None, None)


def resnet18_trunk() -> nn.Module:
    """Build torchvision's ResNet18 up to `layer4`, with torchvision's names of the layers."""
    layers = OrderedDict(resnet18(weights=None).named_children())
    del layers["avgpool"], layers["fc"]
    return nn.Sequential(layers)


def mobilevitv2_trunk() -> nn.Module:
    """Build timm's MobileViTv2 of width 1.0, without its classifier.

    With images of 64 pixels its last stage has one patch, so its attention is a softmax over one
    element; with `input_upsample` 2 it has four patches.
    """
    import timm

    return timm.create_model("mobilevitv2_100", pretrained=False, num_classes=0, global_pool="")


BUILD: dict[str, Callable[[], nn.Module]] = {
    "resnet18": resnet18_trunk,
    "mobilevitv2": mobilevitv2_trunk,
}
