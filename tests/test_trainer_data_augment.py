"""Augmentation moves a body and never bends it; nothing drawn leaves its range."""

# ruff: noqa: TID253

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from engines.patch import CROP, MARGIN_VOX, SPEC
from trainer.data.augment import WEAK, Weak, augment, draw_affine

STILL = Weak(flip=0, rotate_deg=0, scale=0, shift_px=0, shift_slices=0, window_hu=0, noise_hu=0)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def ramps(count: int = 2) -> torch.Tensor:
    """HU that rise by 1 a voxel along x, 100 along y, 1000 along z, from the centre."""
    z, y, x = (torch.arange(n) - (n - 1) / 2 for n in SPEC.size_vox)
    ramp = 1000 * z[:, None, None] + 100 * y[None, :, None] + x[None, None, :]
    return ramp.expand(count, -1, -1, -1)


def test_nothing_drawn_gives_the_centred_crop() -> None:
    patches = torch.randint(-1000, 1000, (3, *SPEC.size_vox), dtype=torch.int16)
    hu, mask = augment(patches, STILL, generator())
    assert mask is None
    torch.testing.assert_close(hu, patches[CROP].float(), atol=2e-2, rtol=0)


def test_a_linear_ramp_stays_linear_under_any_warp() -> None:
    moved = Weak(flip=0.5, noise_hu=0, window_hu=0, shift_slices=0, rotate_deg=10, shift_px=1)
    hu, _ = augment(ramps(8), moved, generator(3))
    inner = hu[:, :, 8:-8, 8:-8]
    for axis in (2, 3):
        assert torch.diff(inner, n=2, dim=axis).abs().max() < 0.05


def test_size_changes_by_at_most_a_tenth() -> None:
    scale = Weak(flip=0, rotate_deg=0, shift_px=0, shift_slices=0, window_hu=0, noise_hu=0)
    hu, _ = augment(ramps(64), scale, generator(1))
    step = (hu[..., 40] - hu[..., 30])[:, 8, 32] / 10
    assert step.min() >= 0.9 - 1e-3
    assert step.max() <= 1.1 + 1e-3
    assert step.std() > 0.03


def test_slices_move_by_whole_slices() -> None:
    moved = Weak(flip=0, rotate_deg=0, scale=0, shift_px=0, window_hu=0, noise_hu=0)
    hu, _ = augment(ramps(64), moved, generator(2))
    still, _ = augment(ramps(1), STILL, generator())
    shifts = ((hu - still)[:, 0, 32, 32] / 1000).round().unique()
    assert shifts.tolist() == [-1, 0, 1]


def test_every_axis_is_mirrored_by_chance() -> None:
    mirrored = Weak(rotate_deg=0, scale=0, shift_px=0, shift_slices=0, window_hu=0, noise_hu=0)
    hu, _ = augment(ramps(64), mirrored, generator(4))
    for axis in (1, 2, 3):
        rises = torch.diff(hu, dim=axis).mean((1, 2, 3)) > 0
        assert 16 < int(rises.sum()) < 48


def test_mask_and_image_move_together() -> None:
    patches = torch.zeros((16, *SPEC.size_vox), dtype=torch.int16)
    patches[:, 7:11, 30:50, 35:45] = 255
    quiet = Weak(window_hu=0, noise_hu=0)
    hu, mask = augment(patches, quiet, generator(5), patches.to(torch.uint8))
    assert mask is not None
    torch.testing.assert_close(mask, hu / 255)


def test_the_same_seed_gives_the_same_views_and_another_gives_others() -> None:
    patches = ramps(4).to(torch.int16)
    first, again, other = (augment(patches, WEAK, generator(s))[0] for s in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_noise_has_at_most_the_stated_deviation() -> None:
    rough = Weak(flip=0, rotate_deg=0, scale=0, shift_px=0, shift_slices=0, window_hu=0)
    hu, _ = augment(torch.zeros((64, *SPEC.size_vox), dtype=torch.int16), rough, generator(6))
    deviations = hu.flatten(1).std(1)
    assert deviations.max() <= 10.1
    assert 3 < deviations.mean() < 7


@given(st.integers(0, 2**31))
def test_without_corners_the_warp_stays_inside_the_stored_margin(seed: int) -> None:
    """Shift and scale alone never leave the patch: 32 * 1.1 + 4 px is within 40."""
    theta = draw_affine(4, Weak(rotate_deg=0), generator(seed))
    reach = theta[:, :, :2].abs().sum(2) + theta[:, :, 2].abs()
    assert float(reach.max()) <= 1.0


def test_rotation_keeps_lengths() -> None:
    theta = draw_affine(32, Weak(scale=0, shift_px=0), generator(7))
    half = SPEC.crop_vox[2] / SPEC.size_vox[2]
    lengths = theta[:, :, :2].norm(dim=1) / half
    torch.testing.assert_close(lengths, torch.ones_like(lengths))
    angles = torch.atan2(theta[:, 1, 0].abs(), theta[:, 0, 0].abs())
    assert float(angles.max()) <= math.radians(15) + 1e-6


@pytest.mark.parametrize("dtype", [torch.int16, torch.float32])
def test_margin_is_one_slice_and_eight_pixels(dtype: torch.dtype) -> None:
    assert MARGIN_VOX == (1, 8, 8)
    hu, _ = augment(torch.zeros((1, *SPEC.size_vox), dtype=dtype), WEAK, generator())
    assert hu.shape == (1, *SPEC.crop_vox)
