"""The demonstration engine: untrained, and yet no node like another."""

import numpy as np

from trainer.bundle.demo import CONFIG, LOGIT_SPREAD, phantom_patches, untrained
from trainer.export.graph import torch_scores, weights_sha256
from trainer.networks.config import TwoStreamConfig


def test_untrained_logits_are_spread_around_the_middle() -> None:
    patches = phantom_patches(16, np.random.default_rng(0))
    logits = torch_scores(untrained(CONFIG, patches, 1), patches).fused_logit
    assert abs(logits.mean()) < 0.5 * LOGIT_SPREAD
    assert 0.5 * LOGIT_SPREAD < logits.std() < 2 * LOGIT_SPREAD


def test_one_seed_gives_one_network_and_leaves_the_global_generator_alone() -> None:
    import torch

    patches, state = phantom_patches(4, np.random.default_rng(0)), torch.get_rng_state()
    first, again, other = (weights_sha256(untrained(CONFIG, patches, seed)) for seed in (1, 1, 2))
    assert first == again != other
    assert torch.equal(state, torch.get_rng_state())


def test_the_demo_is_the_small_network_of_the_issue() -> None:
    assert TwoStreamConfig(variant="small", group_stride=3, fpn_channels=32) == CONFIG
    assert CONFIG.groups == 5


def test_drawn_patches_are_hu_and_differ() -> None:
    patches = phantom_patches(6, np.random.default_rng(0))
    assert (patches.dtype, patches.shape) == (np.int16, (6, 18, 80, 80))
    assert -1024 <= patches.min() < -700
    assert 100 < patches.max() <= 3071
    assert len({patch.tobytes() for patch in patches}) == 6
