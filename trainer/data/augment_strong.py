"""Strong augmentation, used only for the student of SimMatch.

The paper only names the method; this is ours. It is the weak augmentation with wider ranges, then
gamma, blur and one square that is filled (cutout). Values are drawn per node; each operation
is done for the whole batch at once, on the device of the batch.
"""

from dataclasses import dataclass, field

import torch
from torch import Generator, Tensor
from torch.nn import functional

from trainer.data.augment import Weak, augment

BLUR_RADIUS_PX = 3  # three standard deviations of the widest blur


@dataclass(frozen=True)
class Strong:
    """Ranges of the strong augmentation; values are drawn uniformly for each node.

    Attributes:
        warp: Ranges of the first part: rotation up to 45 degrees, scale 0.8 to 1.2.
        gamma: Smallest and largest exponent applied to the scaled window.
        blur_px: Smallest and largest standard deviation of the blur, in pixels.
        cutout_px: Side of the filled square in pixels; it is the same on every slice.
        window_hu: Window in HU that gamma is applied to; the square gets its middle value.
    """

    warp: Weak = field(default_factory=lambda: Weak(rotate_deg=45.0, scale=0.2))
    gamma: tuple[float, float] = (0.7, 1.5)
    blur_px: tuple[float, float] = (0.3, 1.0)
    cutout_px: int = 16
    window_hu: tuple[float, float] = (-160.0, 240.0)


STRONG = Strong()


def augment_strong(
    patches: Tensor, ranges: Strong, generator: Generator, masks: Tensor | None = None
) -> tuple[Tensor, Tensor | None]:
    """Warp patches, apply gamma, blur and cutout, with random values of its own for each patch.

    Args:
        patches: HU, shape (node, 18, 80, 80), any type.
        ranges: Ranges of the random values.
        generator: Random generator on the device of the patches.
        masks: Masks of the nodes, 0-255, same shape; they are warped only.

    Returns:
        HU crops, float32, shape (node, 16, 64, 64), and the crops of the masks, 0 to 1.
    """
    hu, mask = augment(patches, ranges.warp, generator, masks)
    count = len(hu)
    bent = bend(hu, _between(count, ranges.gamma, generator), ranges.window_hu)
    soft = blur(bent, _between(count, ranges.blur_px, generator))
    return cut_out(soft, ranges, generator), mask


def bend(hu: Tensor, gamma: Tensor, window_hu: tuple[float, float]) -> Tensor:
    """Apply gamma: clip HU to the window, scale it to 0..1, and raise it to each node's power."""
    low, high = window_hu
    part = ((hu - low) / (high - low)).clamp(0, 1)
    return low + (high - low) * part ** gamma[:, None, None, None]


def blur(hu: Tensor, sigma_px: Tensor) -> Tensor:
    """Blur each node in plane by a Gaussian with its own standard deviation."""
    nodes, slices, height, width = hu.shape
    offset = torch.arange(-BLUR_RADIUS_PX, BLUR_RADIUS_PX + 1, device=hu.device)
    kernel = torch.exp(-(offset**2) / (2 * sigma_px[:, None] ** 2))
    kernel = (kernel / kernel.sum(1, keepdim=True)).repeat_interleave(slices, dim=0)
    every = hu.reshape(1, nodes * slices, height, width)  # each slice is a channel
    reach = BLUR_RADIUS_PX
    padded = functional.pad(every, (reach,) * 4, mode="replicate")
    down = functional.conv2d(padded, kernel[:, None, :, None], groups=nodes * slices)
    across = functional.conv2d(down, kernel[:, None, None, :], groups=nodes * slices)
    return across.reshape(hu.shape)


def cut_out(hu: Tensor, ranges: Strong, generator: Generator) -> Tensor:
    """Fill one square of each node, on every slice, with the middle of the window."""
    count, _, height, width = hu.shape
    side, device = ranges.cutout_px, hu.device
    top = torch.randint(0, height - side + 1, (count, 1), generator=generator, device=device)
    left = torch.randint(0, width - side + 1, (count, 1), generator=generator, device=device)
    rows, columns = torch.arange(height, device=device), torch.arange(width, device=device)
    inside_y, inside_x = rows - top, columns - left
    hit_y = (inside_y >= 0) & (inside_y < side)
    hit_x = (inside_x >= 0) & (inside_x < side)
    hit = hit_y[:, None, :, None] & hit_x[:, None, None, :]
    return hu.masked_fill(hit, sum(ranges.window_hu) / 2)


def _between(count: int, limits: tuple[float, float], generator: Generator) -> Tensor:
    low, high = limits
    return low + (high - low) * torch.rand(count, generator=generator, device=generator.device)
