"""Weak augmentation: one affine warp for the whole batch, with slices as channels.

The paper does not describe it; this is ours. All random numbers and results are made on the device
of the patches, without loops over nodes. The network cuts out the local view after the warp, so
that the local and the global view show the same warped image.
"""

import math
from dataclasses import dataclass

import torch
from torch import Generator, Tensor
from torch.nn import functional

from engines.patch import MARGIN_VOX, SPEC


@dataclass(frozen=True, kw_only=True)
class Weak:
    """Ranges of the weak augmentation; values are drawn per node, uniform and symmetric about 0.

    Attributes:
        flip: Probability of mirroring each of the axes x, y and z.
        rotate_deg: Largest in-plane rotation, in degrees.
        scale: Largest change of size: 0.1 means factors of 0.9 to 1.1. It must stay small, because
            size is the strongest sign of malignancy.
        shift_px: Largest in-plane shift, in pixels.
        shift_slices: Largest shift along z, in whole slices, so that z is never interpolated.
        window_hu: Largest value in HU that is added to every voxel of the node.
        noise_hu: Largest standard deviation of the noise, in HU; it is drawn from 0 up.
    """

    flip: float = 0.5
    rotate_deg: float = 15.0
    scale: float = 0.1
    shift_px: float = 4.0
    shift_slices: int = 1
    window_hu: float = 10.0
    noise_hu: float = 10.0


WEAK = Weak()


def augment(
    patches: Tensor, ranges: Weak, generator: Generator, masks: Tensor | None = None
) -> tuple[Tensor, Tensor | None]:
    """Warp and shift patches and add noise, with random values of its own for each patch.

    Args:
        patches: HU, shape (node, 18, 80, 80), any type.
        ranges: Ranges of the random values.
        generator: Random generator on the device of the patches.
        masks: Masks of the nodes, 0-255, same shape; they are warped, but get no noise.

    Returns:
        HU crops, float32, shape (node, 16, 64, 64), and the crops of the masks, 0 to 1. Where a
        rotated corner lies outside the stored patch, the border value is repeated.
    """
    count = len(patches)
    slices = _draw_slices(count, ranges, generator)
    grid = functional.affine_grid(
        draw_affine(count, ranges, generator), [count, *SPEC.crop_vox], align_corners=False
    )
    warped = _warp(patches, slices, grid)
    level = _symmetric(count, generator) * ranges.window_hu
    sigma = torch.rand(count, generator=generator, device=patches.device) * ranges.noise_hu
    noise = torch.randn(warped.shape, generator=generator, device=patches.device)
    # In place: on a CPU, allocating a tensor for a batch takes longer than the addition.
    hu = warped.add_(level[:, None, None, None]).addcmul_(noise, sigma[:, None, None, None])
    return hu, None if masks is None else _warp(masks, slices, grid) / 255


def _warp(patches: Tensor, slices: Tensor, grid: Tensor) -> Tensor:
    node = torch.arange(len(patches), device=patches.device)[:, None]
    return functional.grid_sample(
        patches[node, slices].float(), grid, padding_mode="border", align_corners=False
    )


def draw_affine(count: int, ranges: Weak, generator: Generator) -> Tensor:
    """Draw in-plane maps from crop to patch coordinates (both -1..1): shape (count, 2, 3)."""
    angle = _symmetric(count, generator) * math.radians(ranges.rotate_deg)
    # Both images have their centre at 0. `half` is half the side of the crop in patch coordinates.
    half = SPEC.crop_vox[2] / SPEC.size_vox[2]
    size = half * (1 + _symmetric(count, generator) * ranges.scale)
    mirror = _signs(count, ranges.flip, generator), _signs(count, ranges.flip, generator)
    shift_px = _symmetric(2 * count, generator).view(count, 2) * ranges.shift_px
    cos, sin = torch.cos(angle) * size, torch.sin(angle) * size
    across = torch.stack([cos * mirror[0], -sin * mirror[1]], dim=1)
    down = torch.stack([sin * mirror[0], cos * mirror[1]], dim=1)
    shift = shift_px / (SPEC.size_vox[2] / 2)
    return torch.cat([torch.stack([across, down], dim=1), shift[:, :, None]], dim=2)


def _draw_slices(count: int, ranges: Weak, generator: Generator) -> Tensor:
    """Draw the 16 slice numbers of each crop, in rising or in reversed order: shape (count, 16)."""
    device = generator.device
    reach = ranges.shift_slices
    moved = torch.randint(-reach, reach + 1, (count, 1), generator=generator, device=device)
    order = torch.arange(SPEC.crop_vox[0], device=device).expand(count, -1)
    mirrored = _signs(count, ranges.flip, generator)[:, None] < 0
    return MARGIN_VOX[0] + moved + torch.where(mirrored, order.flip(1), order)


def _symmetric(count: int, generator: Generator) -> Tensor:
    """Draw values, uniform in -1..1."""
    return 2 * torch.rand(count, generator=generator, device=generator.device) - 1


def _signs(count: int, chance: float, generator: Generator) -> Tensor:
    """Draw signs: -1 with probability `chance`, else 1."""
    drawn = torch.rand(count, generator=generator, device=generator.device)
    return torch.where(drawn < chance, -1.0, 1.0)
