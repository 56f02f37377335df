"""The 3D ports against the networks that they were made from."""

# ruff: noqa: TID253

import pytest
import timm
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from timm.models.mobilevit import LinearTransformerBlock
from torch import Tensor, nn
from torchvision.models import mobilenet_v3_large

from network_cost import cost
from trainer.networks import mobilenetv3_3d, mobilevitv2_3d
from trainer.networks.mobilevitv2_3d import (
    PatchAttention,
    SeparableAttention,
    TransformerLayer,
    fold,
    unfold,
)
from trainer.networks.registry import build, named


def plane_weights(flat: Tensor, cube: Tensor) -> Tensor:
    """A 2D network's weight in the central plane of the cubic one."""
    if flat.shape == cube.shape or flat.dim() != 4:
        return flat
    if flat.shape[1] != cube.shape[1]:  # the stem: a grey image is three equal channels
        flat = flat.sum(dim=1, keepdim=True)
    laid = torch.zeros_like(cube)
    laid[:, :, cube.shape[2] // 2] = flat
    return laid


def test_inflated_mobilenetv3_gives_the_2d_result_where_slices_are_alike() -> None:
    """2D weights in the central planes, every slice the same image: the networks agree."""
    torch.manual_seed(0)
    flat, cubic = mobilenet_v3_large(weights=None).features.eval(), mobilenetv3_3d.trunk()[0].eval()
    for module in flat.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.1, 0.1)
            nn.init.uniform_(module.running_var, 0.1, 0.5)
    wanted = cubic.state_dict()
    cubic.load_state_dict(
        {k: plane_weights(value, wanted[k]) for k, value in flat.state_dict().items()}
    )
    image = torch.randn(1, 1, 64, 64)
    with torch.inference_mode():
        expected = flat(image.expand(1, 3, 64, 64))
        got = cubic(image[:, :, None].expand(1, 1, 16, 64, 64))
    assert expected.std() > 1e-3
    torch.testing.assert_close(got, expected[:, :, None], rtol=1e-3, atol=1e-5)


def test_inflation_makes_cubes_of_kernels_strides_and_paddings() -> None:
    flat, cubic = mobilenet_v3_large(weights=None).features, mobilenetv3_3d.trunk()[0]
    pairs = [
        (f, c)
        for f, c in zip(flat.modules(), cubic.modules(), strict=True)
        if isinstance(f, nn.Conv2d)
    ]
    assert len(pairs) > 50
    for f, c in pairs:
        assert (c.kernel_size, c.stride, c.padding) == (
            f.kernel_size[:1] * 3,
            f.stride[:1] * 3,
            f.padding[:1] * 3,
        )
        assert c.groups == f.groups


def test_a_layer_that_is_not_square_is_not_inflated() -> None:
    with pytest.raises(ValueError, match=r"wanted two equal sides"):
        mobilenetv3_3d.inflate(nn.Sequential(nn.Conv2d(1, 1, (1, 3))))


def test_transformer_layer_is_timms_with_the_same_weights() -> None:
    theirs, ours = LinearTransformerBlock(32).eval(), TransformerLayer(32).eval()
    names = {
        "norm1": "attention.0",
        "attn.qkv_proj": "attention.1.project",
        "attn.out_proj": "attention.1.back",
        "norm2": "feed_forward.0",
        "mlp.fc1": "feed_forward.1",
        "mlp.fc2": "feed_forward.3",
    }
    state = theirs.state_dict()
    ours.load_state_dict(
        {f"{n}.{p}": state[f"{t}.{p}"] for t, n in names.items() for p in ("weight", "bias")}
    )
    patches = torch.randn(2, 32, 8, 16)
    torch.testing.assert_close(ours(patches), theirs(patches))


def test_one_patch_makes_attention_a_plain_product() -> None:
    """The softmax over one element is 1, whatever the query: model.md's crippled last stage."""
    attention = SeparableAttention(8).eval()
    patches = torch.randn(3, 8, 8, 1)
    query, key, value = attention.project(patches).split([1, 8, 8], dim=1)
    expected = attention.back(torch.relu(value) * key)
    torch.testing.assert_close(attention(patches), expected)
    with torch.no_grad():
        attention.project.weight[0] += 5
    torch.testing.assert_close(attention(patches), expected)
    assert query.shape == (3, 1, 8, 1)


@settings(max_examples=20, deadline=None)
@given(st.tuples(*[st.sampled_from([2, 4, 6])] * 3), st.integers(1, 3), st.integers(1, 3))
def test_fold_takes_unfold_back(sides: tuple[int, int, int], nodes: int, width: int) -> None:
    maps = torch.randn(nodes, width, *sides)
    patches = unfold(maps)
    assert patches.shape == (nodes, width, 8, sides[0] * sides[1] * sides[2] // 8)
    torch.testing.assert_close(fold(patches, sides), maps, rtol=0, atol=0)


def test_a_patch_holds_eight_neighbours() -> None:
    maps = torch.arange(2 * 4 * 4).view(1, 1, 2, 4, 4)
    first = unfold(maps)[0, 0, :, 0]
    assert first.tolist() == maps[0, 0, :2, :2, :2].flatten().tolist()
    last = unfold(maps)[0, 0, :, -1]
    assert last.tolist() == maps[0, 0, :, 2:, 2:].flatten().tolist()


def test_patches_attend_to_one_another_and_pixels_of_a_kind_only() -> None:
    attention = SeparableAttention(8).eval()
    patches = torch.randn(1, 8, 8, 4)
    changed = patches.clone()
    changed[:, :, 3, 0] += 1  # the fourth pixel of the first patch
    moved = (attention(changed) - attention(patches)).abs().sum(dim=1)[0]  # (pixel, patch)
    assert (moved[3] > 0).all()
    assert moved[[0, 1, 2, 4, 5, 6, 7]].abs().max() == 0


@pytest.mark.parametrize(("name", "width"), [("mobilevitv2_100", 1), ("mobilevitv2_050", 0.5)])
def test_the_port_has_timms_layers_but_for_depth(name: str, width: float) -> None:
    """Weights of convolutions and norms that are not depthwise or the stem: the same numbers."""
    flat = timm.create_model(name, num_classes=0, global_pool="")
    cubic = mobilevitv2_3d.trunk(width)

    def sizes(network: nn.Module) -> list[int]:
        dense = [
            module.weight.numel()
            for module in network.modules()
            if isinstance(module, nn.Conv2d | nn.Conv3d) and module.groups == 1
        ]
        return sorted(dense[1:])  # without the stem

    assert sizes(cubic) == sizes(flat)
    assert sum(isinstance(m, PatchAttention) for m in cubic.modules()) == 3


def test_depth_is_halved_by_stem_layer_2_and_layer_3_only() -> None:
    network, seen = mobilevitv2_3d.trunk().eval(), []
    for part in network:
        part.register_forward_hook(lambda _m, _i, out: seen.append(tuple(out.shape[2:])))
    with torch.inference_mode():
        network(torch.zeros(1, 1, 16, 64, 64))
    assert seen == [
        (8, 32, 32),
        (8, 32, 32),
        (4, 16, 16),
        (4, 16, 16),
        (2, 8, 8),
        (2, 8, 8),
        (2, 4, 4),
        (2, 4, 4),
        (2, 2, 2),
        (2, 2, 2),
    ]


@pytest.mark.parametrize("name", ["resnet18-3d", "mobilenetv3-3d", "mobilevitv2-3d"])
def test_a_quarter_of_the_width_costs_less_and_scores(name: str) -> None:
    config = named(name).model_copy(update={"backbone_width": 0.25})
    network = build(config).eval()
    with torch.inference_mode():
        logits = network(torch.zeros(2, 16, 64, 64)).fused
    assert logits.shape == (2,)
    assert cost(network).parameters < cost(build(named(name))).parameters / 4
