"""DualNet sees the node inside its outline, whole and rescaled, and needs that outline."""

# ruff: noqa: TID253

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from torch import Tensor, nn

from network_cost import cost
from trainer.errors import TrainerError
from trainer.networks.config import DualNetConfig
from trainer.networks.dualnet import (
    DualNet,
    MaskedInput,
    box_grid,
    box_net,
    refuse_points,
    small_net,
)

BARE = DualNetConfig(dilate_mm=0)


def box_mask(low: tuple[int, int, int], high: tuple[int, int, int]) -> Tensor:
    """One node's outline: the voxels from `low` up to, not with, `high`, z y x."""
    mask = torch.zeros(1, 16, 64, 64)
    mask[0, low[0] : high[0], low[1] : high[1], low[2] : high[2]] = 1
    return mask


def random_hu(nodes: int, seed: int = 0) -> Tensor:
    drawn = np.random.default_rng(seed).uniform(-300, 400, (nodes, 16, 64, 64))
    return torch.from_numpy(drawn.astype(np.float32))


def test_boxnet_flattens_4608_numbers_and_its_z_ends_at_one() -> None:
    """model.md 2.3: without the first pooling along z, 16 slices end in one."""
    with torch.device("meta"):
        network, seen = box_net(0.4).eval(), {}
    for module in network:
        name = type(module).__name__
        module.register_forward_hook(lambda _m, _i, out, n=name: seen.update({n: out.shape}))
    network(torch.ones(1, 1, 16, 64, 64, device="meta"))
    assert tuple(seen["MaxPool3d"]) == (1, 512, 1, 3, 3)
    assert tuple(seen["Flatten"]) == (1, 4608)


def test_smallnet_ends_in_one_number() -> None:
    with torch.device("meta"):
        network = small_net(0.5).eval()
    assert network(torch.ones(2, 1, 32, 32, 32, device="meta")).shape == (2, 1)


def test_a_quarter_of_the_width_keeps_the_layers_and_costs_a_sixteenth() -> None:
    with torch.device("meta"):
        whole, quarter = DualNet(DualNetConfig()), DualNet(DualNetConfig(backbone_width=0.25))
    assert [type(m) for m in quarter.modules()] == [type(m) for m in whole.modules()]
    assert cost(quarter).macs == pytest.approx(cost(whole).macs / 16, rel=0.05)


def test_layers_are_those_of_the_original() -> None:
    network = DualNet(DualNetConfig()).backbone
    slopes = {m.negative_slope for m in network.modules() if isinstance(m, nn.LeakyReLU)}
    drops = {h: {m.p for m in network[h].modules() if isinstance(m, nn.Dropout)} for h in network}
    widths = {
        h: [m.out_channels for m in network[h].modules() if isinstance(m, nn.Conv3d)]
        for h in network
    }
    assert slopes == {0.03}
    assert drops == {"box": {0.4}, "small": {0.5}}
    assert widths["box"] == [64, 128, 256, 256, 512, 512]
    assert widths["small"] == [64, 128, 256, 256, 512, 512, 64, 1]


def test_outside_the_widened_outline_nothing_is_seen() -> None:
    views, mask, hu = MaskedInput(DualNetConfig()), box_mask((6, 28, 28), (9, 36, 36)), random_hu(1)
    changed = hu.clone()
    changed[:, 6:9, :22] = changed[:, :6] = changed[:, 9:] = 200
    for before, after in zip(views(hu, mask), views(changed, mask), strict=True):
        assert torch.equal(before, after)


def test_the_rim_is_4_mm_in_plane_and_none_along_z() -> None:
    seen = MaskedInput(DualNetConfig()).widen(box_mask((6, 28, 28), (9, 36, 36)))
    assert torch.equal(seen, box_mask((6, 23, 23), (9, 41, 41)))  # 5 pixels of 0.795 mm


def test_window_ends_are_0_and_1() -> None:
    mask = torch.ones(1, 16, 64, 64)
    for hu, scaled in [(-1000, 0.0), (-175, 0.0), (50, 0.5), (275, 1.0), (3000, 1.0)]:
        box, cube = MaskedInput(BARE)(torch.full_like(mask, hu), mask)
        torch.testing.assert_close(box, torch.full((1, 1, 16, 64, 64), scaled))
        torch.testing.assert_close(cube, torch.full((1, 1, 32, 32, 32), scaled))


@settings(max_examples=10, deadline=None)
@given(st.tuples(*[st.tuples(st.integers(0, 10), st.integers(2, 6))] * 3))
def test_the_cube_is_scipys_zoom_of_the_nodes_box(spans: tuple[tuple[int, int], ...]) -> None:
    low, high = tuple(a for a, _ in spans), tuple(a + n for a, n in spans)
    hu = random_hu(1)
    _, cube = MaskedInput(BARE)(hu, box_mask(low, high))
    window = np.clip((hu[0].numpy().astype(float) + 175) / 450, 0, 1)
    inside = window[low[0] : high[0], low[1] : high[1], low[2] : high[2]]
    expected = ndimage.zoom(inside, [32 / n for n in inside.shape], order=1)
    np.testing.assert_allclose(cube[0, 0].numpy(), expected, atol=2e-5)


def test_the_box_spans_first_to_last_voxel() -> None:
    places = box_grid(box_mask((0, 8, 10), (16, 9, 64)))[0]
    unit = 2 / 63
    assert places[0, 0, 0].tolist() == pytest.approx([10 * unit - 1, 8 * unit - 1, -1], abs=1e-6)
    assert places[-1, -1, -1].tolist() == pytest.approx([1, 8 * unit - 1, 1], abs=1e-6)


def test_a_node_that_fills_no_voxel_by_half_has_an_outline() -> None:
    mask = box_mask((6, 28, 28), (9, 36, 36))
    assert torch.equal(MaskedInput(BARE).widen(mask * 0.2), mask)
    assert MaskedInput(BARE).widen(torch.zeros_like(mask)).sum() == 0


def test_one_node_does_not_change_another() -> None:
    """The original's normaliser leaks the range of one node into the next."""
    network = DualNet(DualNetConfig(box_dropout=0, small_dropout=0)).eval()
    hu = random_hu(2)
    hu[1] = -2000
    mask = torch.cat([box_mask((6, 28, 28), (9, 36, 36)), box_mask((0, 0, 0), (16, 64, 64))])
    with torch.inference_mode():
        both, alone = network(hu, mask).fused, network(hu[:1], mask[:1]).fused
    torch.testing.assert_close(both[:1], alone)


def test_one_logit_a_node_and_a_gradient_everywhere() -> None:
    torch.manual_seed(1)
    network, mask = (
        DualNet(DualNetConfig()),
        box_mask((6, 28, 28), (9, 36, 36)).expand(4, -1, -1, -1),
    )
    logits = network(random_hu(4), mask)
    assert logits.fused.shape == (4,)
    assert (logits.local, logits.global_) == (None, None)
    logits.fused.sum().backward()
    assert all(p.grad is not None for p in network.parameters())


def test_point_only_nodes_are_refused_by_name_and_counted() -> None:
    masks = torch.zeros(5, 16, 64, 64, dtype=torch.uint8)
    masks[1, 8, 30, 30] = 3
    with pytest.raises(TrainerError) as refusal:
        refuse_points(masks, ["a", "b", "c", "d", "e"])
    assert refusal.value.code == "T40"
    assert str(refusal.value).startswith(
        "T40: 4 of 5 nodes are a point without an outline (a, c, d, …); "
        "wanted an outline of every node for dualnet-3d."
    )


def test_nodes_with_outlines_are_not_refused() -> None:
    refuse_points(torch.ones(2, 16, 64, 64), ["a", "b"])
