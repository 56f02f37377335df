"""Augmentation as one batched affine warp with slices as channels (ours; paper silent).

Everything is drawn and done on the device of the patches; no step loops over samples. The
local stream is cut by the network, after the warp, so that both views see one body.
"""

import math
from dataclasses import dataclass

import torch
from torch import Generator, Tensor
from torch.nn import functional

from engines.patch import MARGIN_VOX, SPEC


@dataclass(frozen=True, kw_only=True)
class Weak:
    """Ranges of the weak augmentation; each is drawn per node, uniformly and symmetric.

    Attributes:
        flip: Chance to mirror x, y, and z, each.
        rotate_deg: In plane.
        scale: 0.1 is 0.9 to 1.1. Size is the strongest cue: no wider.
        shift_px: In plane.
        shift_slices: Whole slices, never interpolated.
        window_hu: Added to every voxel of the node.
        noise_hu: Largest standard deviation of the noise.
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
    """Warp, shift and roughen patches, each by its own parameters.

    Args:
        patches: HU, shape (node, 18, 80, 80), any type.
        ranges: What is drawn.
        generator: Of the patches' device.
        masks: The nodes' own masks, 0-255, same shape; they are moved, never roughened.

    Returns:
        HU crops, float32, shape (node, 16, 64, 64), and the masks' crops, 0 to 1. Where a
        rotated corner leaves the stored margin the border is repeated.
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
    # In place: on a CPU a fresh tensor of a batch costs more than the sum that fills it.
    hu = warped.add_(level[:, None, None, None]).addcmul_(noise, sigma[:, None, None, None])
    return hu, None if masks is None else _warp(masks, slices, grid) / 255


def _warp(patches: Tensor, slices: Tensor, grid: Tensor) -> Tensor:
    node = torch.arange(len(patches), device=patches.device)[:, None]
    return functional.grid_sample(
        patches[node, slices].float(), grid, padding_mode="border", align_corners=False
    )


def draw_affine(count: int, ranges: Weak, generator: Generator) -> Tensor:
    """In-plane maps from the crop to the stored patch, both in -1..1: shape (count, 2, 3)."""
    angle = _symmetric(count, generator) * math.radians(ranges.rotate_deg)
    # Both images have their centre at 0; the crop's half side in the patch's own unit.
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
    """Numbers of the sixteen slices, from the feet up or the head down: shape (count, 16)."""
    device = generator.device
    reach = ranges.shift_slices
    moved = torch.randint(-reach, reach + 1, (count, 1), generator=generator, device=device)
    order = torch.arange(SPEC.crop_vox[0], device=device).expand(count, -1)
    mirrored = _signs(count, ranges.flip, generator)[:, None] < 0
    return MARGIN_VOX[0] + moved + torch.where(mirrored, order.flip(1), order)


def _symmetric(count: int, generator: Generator) -> Tensor:
    """Uniform in -1..1."""
    return 2 * torch.rand(count, generator=generator, device=generator.device) - 1


def _signs(count: int, chance: float, generator: Generator) -> Tensor:
    """-1 with the given chance, else 1."""
    drawn = torch.rand(count, generator=generator, device=generator.device)
    return torch.where(drawn < chance, -1.0, 1.0)
