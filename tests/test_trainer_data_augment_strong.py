"""Strong augmentation: gamma, blur and the square, beside the wider warp."""

# ruff: noqa: TID253

import numpy as np
import torch
from scipy.ndimage import gaussian_filter1d

from trainer.data.augment_strong import STRONG, augment_strong, bend, blur, cut_out


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_its_ranges_are_those_of_the_specification() -> None:
    assert (STRONG.warp.rotate_deg, STRONG.warp.scale) == (45.0, 0.2)
    assert (STRONG.gamma, STRONG.blur_px, STRONG.cutout_px) == ((0.7, 1.5), (0.3, 1.0), 16)


def test_gamma_1_keeps_the_window_and_clips_the_rest() -> None:
    hu = torch.tensor([-1000.0, -160.0, 40.0, 240.0, 900.0]).view(1, 1, 1, 5)
    kept = bend(hu, torch.ones(1), STRONG.window_hu)
    assert torch.allclose(kept.flatten(), torch.tensor([-160.0, -160.0, 40.0, 240.0, 240.0]))


def test_gamma_bends_each_node_by_its_own_exponent() -> None:
    bent = bend(torch.full((2, 1, 1, 1), 40.0), torch.tensor([0.5, 2.0]), STRONG.window_hu)
    assert torch.allclose(bent.flatten(), -160 + 400 * torch.tensor([0.5**0.5, 0.25]))


def test_blur_agrees_with_a_separable_gaussian_of_each_nodes_width() -> None:
    hu = torch.rand(2, 3, 20, 20, generator=generator())
    sigma = (0.4, 0.9)
    ours = blur(hu, torch.tensor(sigma)).numpy()
    for place, width in enumerate(sigma):
        whole = hu[place].numpy().astype(float)
        for axis in (1, 2):
            whole = gaussian_filter1d(whole, width, axis=axis, radius=3, mode="nearest")
        assert np.allclose(ours[place], whole, atol=1e-4)


def test_one_square_of_every_node_is_cut_on_every_slice() -> None:
    cut = cut_out(torch.full((5, 4, 64, 64), 99.0), STRONG, generator())
    holes = cut == 40.0
    assert (holes.sum((2, 3)) == 16 * 16).all()
    assert (holes == holes[:, :1]).all()
    assert len({tuple(map(int, hole[0].nonzero()[0])) for hole in holes}) > 1


def test_a_seed_repeats_and_the_shape_is_the_crops() -> None:
    patches = torch.randint(-200, 300, (3, 18, 80, 80), generator=generator(), dtype=torch.int16)
    masks = torch.full((3, 18, 80, 80), 255, dtype=torch.uint8)
    one, mask = augment_strong(patches, STRONG, generator(1), masks)
    again, _ = augment_strong(patches, STRONG, generator(1), masks)
    other, _ = augment_strong(patches, STRONG, generator(2), masks)
    assert one.shape == (3, 16, 64, 64)
    assert torch.equal(one, again)
    assert not torch.equal(one, other)
    assert mask is not None
    assert torch.allclose(mask, torch.ones_like(mask))
