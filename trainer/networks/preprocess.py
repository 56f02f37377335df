"""Layers that turn HU crops into the inputs of the backbones.

They are part of the network and so of the exported graph: training and scoring use the same
preprocessing.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from engines.patch import SPEC
from trainer.networks.config import SLICES_PER_GROUP, GroupedConfig


class Views(nn.Module):
    """Layer that turns HU crops into the images of both streams: window, scale, zoom, group.

    It computes in float32 whatever the precision of the network: a window edge or an
    interpolation weight in float16 would change probabilities by some percent.
    """

    def __init__(self, config: GroupedConfig) -> None:
        """Set the window, the zoom and the groups."""
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
            Local and global images, float32, shape (node * G, 3, side, side) each.
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
    """Return the slice numbers of every group, one group after the other, shape (G * 3,).

    Stride 1 makes a group of every inner slice and its two neighbours. Strides 2 and 3 leave the
    last slice out, unless `edge_pad` repeats the first and the last slice.
    """
    depth = SPEC.crop_vox[0]
    starts = torch.arange(config.groups) * config.group_stride - int(config.edge_pad)
    index = starts[:, None] + torch.arange(SLICES_PER_GROUP)
    return index.clamp(0, depth - 1).flatten()


class HuWindow(nn.Module):
    """Layer that turns HU crops into volumes of one channel, for the 3D networks.

    It computes in float32 for the same reason as `Views`.
    """

    def __init__(self, clip_hu: tuple[float, float], mean: float, std: float) -> None:
        """Set the window, and the mean and standard deviation that normalise its scaled values."""
        super().__init__()
        self.clip_hu, self.mean, self.std = clip_hu, mean, std

    def forward(self, hu: Tensor) -> Tensor:
        """Turn HU of shape (node, 16, 64, 64) into float32 volumes (node, 1, 16, 64, 64)."""
        low, high = self.clip_hu
        scaled = (hu.float().clamp(low, high) - low) / (high - low)
        return (scaled[:, None] - self.mean) / self.std
