"""The 3D baselines of Table 1 that need no mask: ResNet18, MobileNetV3 and MobileViTv2.

Each is a trunk, an average over the last maps, and one head.
"""

from collections import OrderedDict

import torch
from torch import Tensor, nn

from trainer.networks import mobilenetv3_3d, mobilevitv2_3d
from trainer.networks.config import MobileNet3dConfig, MobileViT3dConfig, ResNet3dConfig
from trainer.networks.preprocess import HuWindow
from trainer.networks.two_stream import Logits, head, set_momentum, squeeze

RESNET_CHANNELS = 512


class VolumeNetwork(nn.Module):
    """A 3D network with one head on the average of its last maps, trained from scratch."""

    needs_mask = False

    def __init__(
        self,
        config: ResNet3dConfig | MobileNet3dConfig | MobileViT3dConfig,
        backbone: nn.Module,
        channels: int,
    ) -> None:
        """Build the network from the window, a trunk and a head.

        Args:
            config: Config of the network.
            backbone: Trunk: volumes (node, 1, 16, 64, 64) to maps (node, channels, z, y, x).
            channels: Number of channels of the trunk's maps.
        """
        super().__init__()
        self.config = config
        self.views = HuWindow(config.clip_hu, config.channel_mean, config.channel_std)
        self.backbone = backbone
        set_momentum(self.backbone, config.bn_momentum)
        self.pool = nn.AdaptiveAvgPool3d(1)
        self.fused_head = head(channels, config)

    @property
    def dtype(self) -> torch.dtype:
        """Precision of the weights; the preprocessing stays float32."""
        return self.fused_head[1].weight.dtype  # pyright: ignore[reportReturnType]

    def forward(self, hu: Tensor) -> Logits:
        """Compute logits of shape (node,) of HU crops of shape (node, 16, 64, 64)."""
        maps = self.backbone(self.views(hu).to(self.dtype))
        return Logits(squeeze(self.fused_head(self.pool(maps).flatten(1))), None, None)


def resnet18_3d(config: ResNet3dConfig) -> VolumeNetwork:
    """Build MONAI's ResNet18 3D, shortcut type B; our head replaces its classifier."""
    from monai.networks.nets.resnet import resnet18

    whole = resnet18(
        spatial_dims=3,
        n_input_channels=1,
        num_classes=1,
        shortcut_type="B",
        conv1_t_stride=config.stem_stride,
        widen_factor=config.backbone_width,
    )
    layers = OrderedDict(whole.named_children())
    del layers["avgpool"], layers["fc"]
    channels = int(RESNET_CHANNELS * config.backbone_width)  # rounded as MONAI does
    return VolumeNetwork(config, nn.Sequential(layers), channels)


def mobilenetv3_3d_network(config: MobileNet3dConfig) -> VolumeNetwork:
    """Build MobileNetV3-Large with its 2D layers turned into 3D layers."""
    return VolumeNetwork(config, *mobilenetv3_3d.trunk(config.backbone_width))


def mobilevitv2_3d_network(config: MobileViT3dConfig) -> VolumeNetwork:
    """Build MobileViTv2 in 3D."""
    width = config.backbone_width
    return VolumeNetwork(config, mobilevitv2_3d.trunk(width), mobilevitv2_3d.channels(width)[-1])
