"""Rewrite a network for fast CPU inference: the same function with fewer passes over memory.

Nothing here is trained. `trainer.export.graph` uses these parts for the fp32 graph, after
BatchNorm is multiplied into the convolutions; tests compare the whole graph with torch.
"""

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional

from engines.patch import SPEC
from trainer.networks.config import SLICES_PER_GROUP
from trainer.networks.preprocess import Views
from trainer.networks.two_stream import Stream, TwoStream

FINEST_STRIDE = 8
"""Image pixels per pixel of the pyramid's first level; each next level has twice as many."""


class CentredViews(nn.Module):
    """`Views` without its divisions: images in HU minus the mean of their channel.

    The mean cannot be moved into the first convolution, because its zero padding stands for the
    mean. The zoom is two small matrix products, which are faster than the runtime's zoom.
    """

    mean_hu: Tensor
    slice_index: Tensor
    zoom_near: Tensor
    zoom_whole: Tensor

    def __init__(self, views: Views) -> None:
        """Take the window, the zoom and the groups from `views`."""
        super().__init__()
        self.clip_hu, self.image_px, self.local_px = views.clip_hu, views.image_px, views.local_px
        low, high = views.clip_hu
        self.register_buffer("mean_hu", low + views.get_buffer("mean") * (high - low))
        self.register_buffer("slice_index", views.get_buffer("slice_index"))
        for name, px in (("near", self.local_px), ("whole", SPEC.crop_vox[1])):
            self.register_buffer(f"zoom_{name}", zoom_matrix(px, self.image_px))

    def forward(self, hu: Tensor) -> tuple[Tensor, Tensor]:
        """Return the local and the global images, shape (node * G, 3, side, side) each."""
        windowed = hu.clamp(*self.clip_hu)
        start = (SPEC.crop_vox[1] - self.local_px) // 2
        near = windowed.narrow(2, start, self.local_px).narrow(3, start, self.local_px)
        return self._images(near, self.zoom_near), self._images(windowed, self.zoom_whole)

    def _images(self, windowed: Tensor, zoom: Tensor) -> Tensor:
        side = self.image_px
        if windowed.shape[-1] != side:
            windowed = zoom.T @ windowed @ zoom
        groups = windowed.index_select(1, self.slice_index)
        return groups.reshape(-1, SLICES_PER_GROUP, side, side) - self.mean_hu


def zoom_matrix(px: int, wide_px: int) -> Tensor:
    """Return the bilinear zoom along one axis as a matrix of shape (px, wide_px)."""
    single = torch.eye(px)[None]
    return functional.interpolate(single, size=wide_px, mode="linear", align_corners=False)[0]


class PooledConvolution(nn.Module):
    """The mean over all positions of a zero-padded 3x3 convolution's output.

    The mean of a weight's contributions is the weight times the mean of the pixels that it is
    applied to. Nine means per channel and one matrix therefore replace the convolution.
    """

    laid_on: Tensor
    weight: Tensor
    bias: Tensor | None

    def __init__(self, convolution: nn.Conv2d, side_px: int) -> None:
        """Take the weights of a convolution.

        Args:
            convolution: The 3x3 convolution to replace.
            side_px: Side of its input maps, pixels.
        """
        super().__init__()
        bias = convolution.bias
        single = torch.eye(side_px**2).view(-1, 1, side_px, side_px)
        laid_on = functional.unfold(single, kernel_size=3, padding=1)
        self.register_buffer("laid_on", laid_on.mean(dim=-1))  # (pixel of the map, weight)
        self.register_buffer("weight", convolution.weight.detach().flatten(1))
        self.register_buffer("bias", None if bias is None else bias.detach())

    def forward(self, maps: Tensor) -> Tensor:
        """Map inputs (image, channel, side, side) to mean outputs (image, F, 1, 1)."""
        means = (maps.flatten(2) @ self.laid_on).flatten(1)
        return functional.linear(means, self.weight, self.bias)[:, :, None, None]


def rewritten(network: TwoStream) -> TwoStream:
    """Return a copy with these parts; `network` is folded, float32 and on the CPU."""
    copied = copy.deepcopy(network)
    views = copied.views
    low, high = views.clip_hu
    gain = 1 / ((high - low) * views.get_buffer("std"))
    for stream in copied.children():
        if isinstance(stream, Stream):
            _scale_input(stream, gain)
            _pool_first(stream, views.image_px)
    copied.add_module("views", CentredViews(views))
    return copied


def _scale_input(stream: Stream, gain: Tensor) -> None:
    first = next(m for m in stream.backbone.modules() if isinstance(m, nn.Conv2d))
    first.weight.data.mul_(gain)


def _pool_first(stream: Stream, image_px: int) -> None:
    """Replace the pyramid's last convolutions if maps are averaged before slices are fused."""
    if stream.spatial or stream.pyramid is None:
        return
    blocks = stream.pyramid.layer_blocks
    for level, block in enumerate(blocks):
        convolution = next(m for m in block.modules() if isinstance(m, nn.Conv2d))
        blocks[level] = PooledConvolution(convolution, image_px // (FINEST_STRIDE * 2**level))
