"""HU to the images that the backbones see; part of the network, so of the exported graph.

Training and scoring both go through here and cannot drift apart.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from engines.patch import SPEC
from trainer.networks.config import SLICES_PER_GROUP, GroupedConfig


class Views(nn.Module):
    """Window, scale, zoom, group: HU crops to the images of both streams.

    Always float32, whatever the precision of the network behind it: a window edge or an
    interpolation weight in float16 would move probabilities by percents.
    """

    def __init__(self, config: GroupedConfig) -> None:
        """Fix the window, the zoom and the groups."""
        super().__init__()
        self.clip_hu = config.clip_hu
        self.image_px = config.image_px
        self.local_px = config.local_px
        channels = (1, SLICES_PER_GROUP, 1, 1)
        mean, std = torch.tensor(config.channel_mean), torch.tensor(config.channel_std)
        self.register_buffer("mean", mean.view(channels), persistent=False)
        self.register_buffer("std", std.view(channels), persistent=False)
        self.register_buffer("slice_index", group_slices(config), persistent=False)

    def forward(self, hu: Tensor) -> tuple[Tensor, Tensor]:
        """Make the local and the global images.

        Args:
            hu: HU, shape (node, 16, 64, 64), z first.

        Returns:
            Two float32 tensors of shape (node * G, 3, side, side): local, global.
        """
        low, high = self.clip_hu
        scaled = hu.float().clamp(low, high).sub_(low).div_(high - low)
        start = (SPEC.crop_vox[1] - self.local_px) // 2
        near = scaled[:, :, start : start + self.local_px, start : start + self.local_px]
        return self._images(near), self._images(scaled)

    def _images(self, scaled: Tensor) -> Tensor:
        side = self.image_px
        if scaled.shape[-1] != side:
            scaled = functional.interpolate(
                scaled, size=(side, side), mode="bilinear", align_corners=False
            )
        groups = scaled[:, self.get_buffer("slice_index")]
        images = groups.reshape(-1, SLICES_PER_GROUP, side, side)
        return images.sub_(self.get_buffer("mean")).div_(self.get_buffer("std"))


def group_slices(config: GroupedConfig) -> Tensor:
    """Slice numbers of every group, one group after the other, shape (G * 3,).

    Stride 1 uses every slice with both its neighbours; 2 and 3 leave the last slice out
    unless `edge_pad` repeats the ends.
    """
    depth = SPEC.crop_vox[0]
    starts = torch.arange(config.groups) * config.group_stride - int(config.edge_pad)
    index = starts[:, None] + torch.arange(SLICES_PER_GROUP)
    return index.clamp(0, depth - 1).flatten()


class HuWindow(nn.Module):
    """Window and scale: HU crops to volumes of one channel, for the 3D networks.

    Float32 for the same reason as `Views`.
    """

    def __init__(self, clip_hu: tuple[float, float], mean: float, std: float) -> None:
        """Fix the window and what is subtracted and divided by after it."""
        super().__init__()
        self.clip_hu, self.mean, self.std = clip_hu, mean, std

    def forward(self, hu: Tensor) -> Tensor:
        """HU of shape (node, 16, 64, 64) to float32 volumes (node, 1, 16, 64, 64)."""
        low, high = self.clip_hu
        scaled = (hu.float().clamp(low, high) - low) / (high - low)
        return (scaled[:, None] - self.mean) / self.std
