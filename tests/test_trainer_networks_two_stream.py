"""The network of model.md 2.2: its shapes, sizes and costs, its views, its knobs."""

# ruff: noqa: TID253

import hashlib
import math
from itertools import pairwise

import numpy as np
import pytest
import safetensors.torch
import torch
from pydantic import ValidationError
from torch import Tensor, nn
from torchvision.models import mobilenet_v3_large, mobilenet_v3_small

from trainer.errors import TrainerError
from trainer.networks.config import TwoStreamConfig
from trainer.networks.preprocess import Views, group_slices
from trainer.networks.starting import Start
from trainer.networks.two_stream import TwoStream

SMALL = TwoStreamConfig(variant="small", group_stride=3, fpn_channels=16)


def random_hu(nodes: int, seed: int = 0) -> Tensor:
    return torch.from_numpy(
        np.random.default_rng(seed).uniform(-300, 400, (nodes, 16, 64, 64)).astype(np.float32)
    )


def conv_mmacs(network: nn.Module) -> float:
    macs = 0

    def count(module: nn.Conv2d, _: tuple[Tensor, ...], out: Tensor) -> None:
        nonlocal macs
        macs += out.numel() * module.weight[0].numel()

    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(count)
    with torch.inference_mode():
        network.eval()(random_hu(1))
    return macs / 1e6


def shapes_of(network: TwoStream, nodes: int) -> dict[str, list[tuple[int, ...]]]:
    """Output shapes by module name."""
    seen: dict[str, list[tuple[int, ...]]] = {}

    def note(name: str, out: Tensor | dict[str, Tensor] | tuple[Tensor, ...]) -> None:
        values = [out] if isinstance(out, Tensor) else out
        values = list(values.values()) if isinstance(values, dict) else list(values)
        seen[name] = [tuple(value.shape) for value in values]

    for name, module in network.named_modules():
        module.register_forward_hook(lambda _m, _i, out, name=name: note(name, out))
    with torch.inference_mode():
        network.eval()(random_hu(nodes))
    return seen


def test_every_step_of_the_large_network_has_the_shape_of_the_table() -> None:
    seen = shapes_of(TwoStream(TwoStreamConfig()), nodes=2)
    assert seen["views"] == [(28, 3, 64, 64)] * 2
    for stream in ("local_stream", "global_stream"):
        levels = [(28, 40, 8, 8), (28, 112, 4, 4), (28, 960, 2, 2)]
        assert seen[f"{stream}.backbone"] == levels
        assert seen[f"{stream}.pyramid"] == [(28, 128, 8, 8), (28, 128, 4, 4), (28, 128, 2, 2)]
        assert seen[f"{stream}.scale_fusion"] == [(28, 128, 1, 1)]
        assert seen[f"{stream}.slice_fusion"] == [(2, 128, 1, 1)]
        assert seen[stream] == [(2, 128, 1, 1)]
    assert seen["stream_fusion"] == [(2, 128, 1, 1)]
    assert seen[""] == [(2,), (2,), (2,)]


def test_fusions_take_the_widths_of_the_table() -> None:
    network = TwoStream(TwoStreamConfig())
    fusions = (
        network.local_stream.scale_fusion,
        network.local_stream.slice_fusion,
        network.stream_fusion,
    )
    assert [fusion[0].in_channels for fusion in fusions] == [384, 1792, 256]
    assert all(fusion[0].kernel_size == (1, 1) for fusion in fusions)


def test_small_taps_have_strides_8_16_32() -> None:
    seen = shapes_of(TwoStream(SMALL), nodes=1)
    assert seen["global_stream.backbone"] == [(5, 24, 8, 8), (5, 48, 4, 4), (5, 576, 2, 2)]


# The table prints 503 and 180 for Small; the convolutions alone are 502.47 and 179.48.
@pytest.mark.parametrize(
    ("knobs", "params_m", "mmacs"),
    [
        pytest.param({}, 7.71, 906, id="large-G14"),
        pytest.param({"group_stride": 2}, 7.48, 453, id="large-G7"),
        pytest.param({"group_stride": 3}, 7.41, 324, id="large-G5"),
        pytest.param({"fpn_channels": 256}, 12.42, 1982, id="large-F256"),
        pytest.param({"input_upsample": 2}, 7.71, 3492, id="large-128px"),
        pytest.param({"variant": "small"}, 3.50, 502.47, id="small-G14"),
        pytest.param({"variant": "small", "group_stride": 3}, 3.20, 179.48, id="small-G5"),
        pytest.param({"two_stream": False, "multi_scale": False}, 3.33, 266, id="2.5D"),
    ],
)
def test_parameters_and_cost_are_those_of_the_table(
    knobs: dict[str, object], params_m: float, mmacs: float
) -> None:
    network = TwoStream(TwoStreamConfig.model_validate(knobs))
    params = sum(p.numel() for p in network.parameters()) / 1e6
    assert round(params, 2) == params_m
    assert abs(conv_mmacs(network) - mmacs) <= (0.5 if mmacs == int(mmacs) else 0.005)


def test_a_quarter_of_the_width_is_a_fifth_of_the_backbone_parameters() -> None:
    def size(width: float) -> int:
        network = TwoStream(SMALL.model_copy(update={"backbone_width": width}))
        return sum(p.numel() for p in network.local_stream.backbone.parameters())

    assert 0.05 < size(0.25) / size(1.0) < 0.2
    assert size(0.25) < size(0.5) < size(1.0)


def test_half_the_pixels_leave_the_local_stream_as_it_was_stored() -> None:
    views = Views(SMALL.model_copy(update={"input_upsample": 0.5}))
    hu = random_hu(1).clamp(-160, 240)
    near, whole = views(hu)
    assert near.shape == whole.shape == (5, 3, 32, 32)
    mean, std = views.get_buffer("mean"), views.get_buffer("std")
    stored = (near * std + mean)[0, 0] * 400 - 160
    assert torch.allclose(stored, hu[0, 0, 16:48, 16:48], atol=1e-2)


@pytest.mark.parametrize(("stride", "groups"), [(1, 14), (2, 7), (3, 5)])
def test_stride_gives_the_groups_of_the_table(stride: int, groups: int) -> None:
    config = TwoStreamConfig.model_validate({"group_stride": stride})
    index = group_slices(config).view(-1, 3)
    assert config.groups == len(index) == groups
    assert all((row.diff() == 1).all() for row in index)
    assert all(int(b[0] - a[0]) == stride for a, b in pairwise(index))


def test_stride_3_leaves_out_one_slice_unless_the_ends_are_repeated() -> None:
    bare = TwoStreamConfig(group_stride=3)
    padded = TwoStreamConfig(group_stride=3, edge_pad=True)
    assert set(group_slices(bare).tolist()) == set(range(15))
    assert group_slices(padded).tolist() == [0, 0, *range(1, 15), 15, 15]
    assert padded.groups == 6


@pytest.mark.parametrize(
    "config", [TwoStreamConfig(), TwoStreamConfig(group_stride=3, edge_pad=True)]
)
def test_reversing_z_reverses_the_groups_and_the_slices_in_them(config: TwoStreamConfig) -> None:
    views, hu = Views(config.model_copy(update={"channel_mean": (0, 0, 0)})), random_hu(1)
    views.get_buffer("mean").zero_()
    views.get_buffer("std").fill_(1.0)
    for forward, reverse in zip(views(hu), views(hu.flip(1)), strict=True):
        torch.testing.assert_close(reverse, forward.flip(0, 1), rtol=0, atol=0)


def test_window_ends_become_0_and_1_then_imagenet_statistics() -> None:
    config = TwoStreamConfig()
    mean, std = torch.tensor(config.channel_mean), torch.tensor(config.channel_std)
    for hu, scaled in [(-1024, 0.0), (-160, 0.0), (40, 0.5), (240, 1.0), (3071, 1.0)]:
        for images in Views(config)(torch.full((1, 16, 64, 64), float(hu))):
            expected = ((scaled - mean) / std).view(1, 3, 1, 1).expand_as(images)
            torch.testing.assert_close(images, expected)


def test_global_images_are_the_slices_and_local_ones_the_centre_at_twice_the_size() -> None:
    config = TwoStreamConfig(channel_mean=(0, 0, 0), channel_std=(1, 1, 1), clip_hu=(0, 63))
    columns = torch.arange(64.0).expand(1, 16, 64, 64)  # HU = column number
    near, whole = Views(config)(columns)
    torch.testing.assert_close(whole[3, 1, 5] * 63, torch.arange(64.0))
    inner = (near[3, 1, 5] * 63)[1:-1]  # the ends repeat their neighbour
    torch.testing.assert_close(inner, 16 + (torch.arange(1, 63) + 0.5) / 2 - 0.5)


def test_margin_of_the_local_square_does_not_reach_the_local_head() -> None:
    network = TwoStream(SMALL).eval()
    hu = random_hu(2)
    changed = hu.clone()
    changed[:, :, :10] = 200
    with torch.inference_mode():
        before, after = network(hu), network(changed)
    torch.testing.assert_close(before.local, after.local)
    assert not torch.allclose(before.global_, after.global_, atol=1e-9, rtol=0)


@pytest.mark.parametrize("prior", [0.052, 0.25, 0.5])
def test_head_bias_starts_at_the_logit_of_the_prior(prior: float) -> None:
    network = TwoStream(SMALL.model_copy(update={"head_prior": prior}))
    for head in (network.fused_head, network.local_head, network.global_head):
        assert head[1].bias.item() == pytest.approx(math.log(prior / (1 - prior)), rel=1e-6)
        assert head[0].p == 0.2


def test_backbones_are_separate_and_keep_torchvisions_batchnorm() -> None:
    network = TwoStream(SMALL)
    ours = {id(p) for p in network.local_stream.parameters()}
    assert not ours & {id(p) for p in network.global_stream.parameters()}
    norms = [m for m in network.local_stream.backbone.modules() if isinstance(m, nn.BatchNorm2d)]
    assert {(norm.eps, norm.momentum) for norm in norms} == {(0.001, 0.01)}


def test_batchnorm_momentum_is_a_knob() -> None:
    network = TwoStream(SMALL.model_copy(update={"bn_momentum": 0.1}))
    norms = [m for m in network.local_stream.backbone.modules() if isinstance(m, nn.BatchNorm2d)]
    assert {norm.momentum for norm in norms} == {0.1}


@pytest.mark.parametrize(
    "knobs",
    [
        {"slice_fusion": "spatial"},
        {"multi_scale": False},
        {"multi_scale": False, "slice_fusion": "spatial"},
        {"input_upsample": 2},
        {"input_upsample": 0.5},
        {"backbone_width": 0.25},
        {"edge_pad": True},
    ],
)
def test_every_ablation_gives_three_logits_and_a_gradient_everywhere(
    knobs: dict[str, object],
) -> None:
    network = TwoStream(TwoStreamConfig.model_validate(SMALL.model_dump() | knobs))
    logits = network(random_hu(2))
    assert logits.local is not None
    assert logits.global_ is not None
    (logits.fused.sum() + logits.local.sum() + logits.global_.sum()).backward()
    assert all(p.grad is not None for p in network.parameters())


def test_one_stream_has_one_head_and_no_local_backbone() -> None:
    network = TwoStream(SMALL.model_copy(update={"two_stream": False}))
    logits = network(random_hu(2))
    assert logits.fused.shape == (2,)
    assert logits.local is None
    assert logits.global_ is None
    assert not any("local" in name for name, _ in network.named_parameters())


def test_spatial_fusion_averages_after_the_slices_meet() -> None:
    config = SMALL.model_copy(update={"slice_fusion": "spatial"})
    seen = shapes_of(TwoStream(config), nodes=1)
    assert seen["global_stream.slice_fusion"] == [(1, 16, 8, 8)]


@pytest.mark.parametrize(
    "knobs",
    [{"group_stride": 4}, {"variant": "medium"}, {"clip_hu": (240, -160)}, {"depth": 3}],
)
def test_config_refuses_what_it_does_not_know(knobs: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        TwoStreamConfig.model_validate(knobs)


def save_weights(network: nn.Module, path) -> str:
    safetensors.torch.save_file(network.state_dict(), path)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_pretrained_weights_reach_both_backbones(tmp_path) -> None:
    source, network = mobilenet_v3_small(weights=None), TwoStream(SMALL)
    sha256 = save_weights(source, tmp_path / "small.safetensors")
    Start(file=tmp_path / "small.safetensors", sha256=sha256).fill(network)
    images = torch.randn(2, 3, 64, 64)
    expected = source.features.eval()(images)
    for stream in (network.local_stream, network.global_stream):
        got = stream.backbone.eval()(images)["features.12"]
        torch.testing.assert_close(got, expected)


def test_weights_of_other_bytes_are_refused(tmp_path) -> None:
    save_weights(mobilenet_v3_small(weights=None), tmp_path / "small.safetensors")
    with pytest.raises(TrainerError, match=r"^T03: 'small.safetensors' with SHA-256") as refusal:
        Start(file=tmp_path / "small.safetensors", sha256="0" * 64).fill(TwoStream(SMALL))
    assert str(tmp_path) not in str(refusal.value)


def test_weights_of_the_other_variant_are_refused_and_nothing_changes(tmp_path) -> None:
    sha256 = save_weights(mobilenet_v3_large(weights=None), tmp_path / "large.safetensors")
    network = TwoStream(SMALL)
    before = {k: v.clone() for k, v in network.state_dict().items()}
    with pytest.raises(TrainerError, match=r"T03: 'large.safetensors' has no fitting features"):
        Start(file=tmp_path / "large.safetensors", sha256=sha256).fill(network)
    assert all(torch.equal(before[k], v) for k, v in network.state_dict().items())


def test_a_pickle_is_not_read_as_weights(tmp_path) -> None:
    file = tmp_path / "small.pth"
    torch.save(mobilenet_v3_small(weights=None).state_dict(), file)
    sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
    with pytest.raises(TrainerError, match="wanted a safetensors file"):
        Start(file=file, sha256=sha256).fill(TwoStream(SMALL))
