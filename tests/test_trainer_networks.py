"""Every network has the size, cost and shapes that its specification states (model.md 2)."""

# ruff: noqa: TID253

import re
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torchvision.models import mobilenet_v3_large, mobilenet_v3_small, resnet18

from network_cost import COUNTED, Cost, cost
from trainer.networks.config import (
    DualNetConfig,
    MobileNet3dConfig,
    MobileViT3dConfig,
    NetworkConfig,
    ResNet3dConfig,
    SlicesConfig,
    TwoStreamConfig,
)
from trainer.networks.registry import NETWORKS, build


def on_meta(config: NetworkConfig) -> nn.Module:
    """Shapes and counts without arithmetic."""
    with torch.device("meta"):
        return build(config).eval()


def backbone_shape(config: NetworkConfig) -> tuple[int, ...]:
    """Of the trunk's output for one node."""
    network, seen = on_meta(config), []
    network.backbone.register_forward_hook(lambda _m, _i, out: seen.append(tuple(out.shape)))
    network(torch.ones(1, 16, 64, 64, device="meta"))
    return seen[0]


def trunk_m(config: NetworkConfig) -> float:
    return sum(p.numel() for p in on_meta(config).backbone.parameters()) / 1e6


@pytest.mark.parametrize(
    ("config", "params_m", "mmacs"),
    [
        pytest.param(ResNet3dConfig(), 33.16, 7852, id="resnet18-3d"),
        pytest.param(ResNet3dConfig(stem_stride=2), 33.16, 1031, id="resnet18-3d-stem-2"),
        pytest.param(MobileNet3dConfig(), 3.30, 51, id="mobilenetv3-3d"),
        pytest.param(MobileViT3dConfig(), 4.45, 402, id="mobilevitv2-3d"),
        pytest.param(DualNetConfig(), 40.91, 6355 + 2973, id="dualnet-3d"),
    ],
)
def test_3d_networks_have_the_parameters_and_cost_of_the_table(
    config: NetworkConfig, params_m: float, mmacs: int
) -> None:
    """Table of model.md 2.3; DualNet's two figures are tested apart as well."""
    found = cost(on_meta(config))
    assert round(found.parameters / 1e6, 2) == params_m
    assert round(found.macs / 1e6) == mmacs


@pytest.mark.parametrize(
    ("name", "params_m", "mmacs"),
    [
        ("resnet18-2.5d", 11.47, 2074),
        ("mobilenetv3-2.5d", 3.33, 266),
        ("mobilevitv2-2.5d", 4.68, 1586),
        ("mobilevitv2-2.5d-128px", 4.68, 6342),
        ("2.5d", 3.33, 266),
        ("2.5d+ts", 6.68, 532),
        ("2.5d+ms", 3.84, 453),
        ("two-stream", 7.71, 906),
        ("two-stream-small", 3.50, 502),
    ],
)
def test_slice_networks_have_the_parameters_and_cost_of_the_documents(
    name: str, params_m: float, mmacs: int
) -> None:
    """model.md states 3.33 M / 266, 7.71 M / 906 and, for Small, 503; the sum is 502.47.

    The other figures are measured ones, as docs/networks.md has them.
    """
    found = cost(on_meta(NETWORKS[name]))
    assert round(found.parameters / 1e6, 2) == params_m
    assert round(found.macs / 1e6) == mmacs


@pytest.mark.parametrize(
    ("config", "shape"),
    [
        pytest.param(ResNet3dConfig(), (1, 512, 1, 4, 4), id="resnet18-3d"),
        pytest.param(MobileNet3dConfig(), (1, 960, 1, 2, 2), id="mobilenetv3-3d"),
        pytest.param(MobileViT3dConfig(), (1, 512, 2, 2, 2), id="mobilevitv2-3d"),
        pytest.param(NETWORKS["resnet18-2.5d"], (14, 512, 2, 2), id="resnet18-2.5d"),
        pytest.param(NETWORKS["mobilevitv2-2.5d"], (14, 512, 2, 2), id="mobilevitv2-2.5d"),
        pytest.param(NETWORKS["mobilevitv2-2.5d-128px"], (14, 512, 4, 4), id="mobilevitv2-128px"),
    ],
)
def test_trunks_end_in_the_shape_of_the_table(
    config: NetworkConfig, shape: tuple[int, ...]
) -> None:
    assert backbone_shape(config) == shape


def test_the_documents_have_every_network_with_its_measured_figures() -> None:
    text = (Path(__file__).parents[1] / "docs/networks.md").read_text()
    rows = re.findall(r"^\| (`.+`) \| [^|]+ \| ([\d.]+) \| ([\d,]+) \| ([\d.]+) \|", text, re.M)
    stated = {name: row[1:] for row in rows for name in re.findall(r"`(.+?)`", row[0])}
    measured = {}
    for name, config in NETWORKS.items():
        found = cost(on_meta(config))
        mmacs, gflops = f"{found.macs / 1e6:,.0f}", f"{found.flops / 1e9:.2f}"
        measured[name] = (f"{found.parameters / 1e6:.2f}", mmacs, gflops)
    assert stated == measured


def test_mobilevitv2_trunk_has_the_size_that_timm_states() -> None:
    assert round(trunk_m(NETWORKS["mobilevitv2-2.5d"]), 2) == 4.39


def test_mobilenetv3_3d_features_have_the_size_of_the_table() -> None:
    assert round(trunk_m(MobileNet3dConfig()), 2) == 3.30


def test_the_two_halves_of_dualnet_have_the_sizes_and_costs_of_the_table() -> None:
    network, macs = on_meta(DualNetConfig()), {"box": 0, "small": 0}
    for half in macs:

        def count(module: nn.Module, _: tuple[Tensor, ...], out: Tensor, half: str = half) -> None:
            macs[half] += out.numel() * module.get_parameter("weight")[0].numel()

        for layer in network.backbone[half].modules():
            if isinstance(layer, COUNTED):
                layer.register_forward_hook(count)
    node = torch.ones(1, 16, 64, 64, device="meta")
    network(node, node)
    sizes = {h: sum(p.numel() for p in network.backbone[h].parameters()) / 1e6 for h in macs}
    assert {h: round(size, 1) for h, size in sizes.items()} == {"box": 27.1, "small": 13.8}
    assert {h: round(count / 1e6) for h, count in macs.items()} == {"box": 6355, "small": 2973}


@pytest.mark.parametrize(
    ("make", "mmacs"),
    [(mobilenet_v3_large, 21.4), (mobilenet_v3_small, 6.5), (resnet18, 148.6)],
)
def test_one_64_pixel_image_costs_what_the_specification_states(
    make: type[nn.Module], mmacs: float
) -> None:
    """With the classifier of 1000 classes, which ours do not have: ResNet18's trunk is 148.05."""
    with torch.device("meta"):
        network = make(weights=None).eval()
    macs: list[int] = []

    def count(module: nn.Module, _: tuple[Tensor, ...], out: Tensor) -> None:
        macs.append(out.numel() * module.get_parameter("weight")[0].numel())

    for layer in network.modules():
        if isinstance(layer, COUNTED):
            layer.register_forward_hook(count)
    network(torch.ones(1, 3, 64, 64, device="meta"))
    assert round(sum(macs) / 1e6, 1) == mmacs


def test_attention_of_the_3d_port_runs_over_16_then_4_then_1_patches() -> None:
    from trainer.networks.mobilevitv2_3d import SeparableAttention

    network, seen = on_meta(MobileViT3dConfig()), []
    for module in network.modules():
        if isinstance(module, SeparableAttention):
            module.register_forward_hook(lambda _m, _i, out: seen.append(tuple(out.shape[1:])))
    network(torch.ones(1, 16, 64, 64, device="meta"))
    assert seen == [(128, 8, 16)] * 2 + [(192, 8, 4)] * 4 + [(256, 8, 1)] * 3


@pytest.mark.parametrize(("upsample", "patches"), [(1, [16, 4, 1]), (2, [64, 16, 4])])
def test_the_2d_attention_has_one_patch_at_64_pixels_and_four_at_128(
    upsample: int, patches: list[int]
) -> None:
    config = SlicesConfig.model_validate({"backbone": "mobilevitv2", "input_upsample": upsample})
    network, seen = on_meta(config), []
    for module in network.modules():
        if type(module).__name__ == "LinearSelfAttention":
            module.register_forward_hook(lambda _m, _i, out: seen.append(out.shape[-1]))
    network(torch.ones(1, 16, 64, 64, device="meta"))
    assert list(dict.fromkeys(seen)) == patches


@pytest.mark.parametrize(
    "config",
    [
        SlicesConfig(group_stride=3, fpn_channels=16),
        SlicesConfig(backbone="mobilevitv2", group_stride=3, fpn_channels=16),
        ResNet3dConfig(stem_stride=2),
        MobileNet3dConfig(),
        MobileViT3dConfig(),
    ],
    ids=lambda config: config.kind,
)
def test_one_fused_logit_a_node_and_a_gradient_everywhere(config: NetworkConfig) -> None:
    network = build(config)
    logits = network(torch.randn(2, 16, 64, 64) * 100)
    assert logits.fused.shape == (2,)
    assert (logits.local, logits.global_) == (None, None)
    logits.fused.sum().backward()
    assert all(p.grad is not None for p in network.parameters())


@pytest.mark.parametrize("name", NETWORKS)
def test_batchnorm_momentum_and_head_prior_reach_every_network(name: str) -> None:
    config = NETWORKS[name].model_copy(update={"bn_momentum": 0.07, "head_prior": 0.25})
    network = build(config)
    norms = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
    inside = [m for part in trunks(network) for m in part.modules() if isinstance(m, norms)]
    assert {norm.momentum for norm in inside} == {0.07}
    assert network.fused_head[1].bias.item() == pytest.approx(torch.tensor(0.25).logit().item())


def trunks(network: nn.Module) -> list[nn.Module]:
    return [m for name, m in network.named_modules() if name.split(".")[-1] == "backbone"]


def test_resnet18_3d_is_monais_network_with_our_head() -> None:
    from monai.networks.nets.resnet import resnet18 as monai_resnet18

    whole = monai_resnet18(
        spatial_dims=3, n_input_channels=1, num_classes=1, shortcut_type="B", conv1_t_stride=2
    ).eval()
    network = build(ResNet3dConfig(stem_stride=2)).eval()
    network.backbone.load_state_dict(
        {k: v for k, v in whole.state_dict().items() if not k.startswith("fc.")}
    )
    network.fused_head[1].load_state_dict(whole.fc.state_dict())
    hu = torch.randn(2, 16, 64, 64) * 100
    with torch.inference_mode():
        expected = whole(network.views(hu)).squeeze(1)
        torch.testing.assert_close(network(hu).fused, expected)


def test_the_window_is_one_channel_scaled_like_imagenet() -> None:
    network = build(MobileNet3dConfig())
    for hu, scaled in [(-1024, 0.0), (-160, 0.0), (40, 0.5), (240, 1.0)]:
        volume = network.views(torch.full((1, 16, 64, 64), float(hu)))
        assert volume.shape == (1, 1, 16, 64, 64)
        assert volume[0, 0, 0, 0, 0].item() == pytest.approx((scaled - 0.449) / 0.226, abs=1e-6)


def test_the_3d_input_is_the_mean_channel_of_the_2_5d_input() -> None:
    grouped, volume = TwoStreamConfig(), ResNet3dConfig()
    assert volume.channel_mean == pytest.approx(sum(grouped.channel_mean) / 3, abs=5e-4)
    assert volume.channel_std == pytest.approx(sum(grouped.channel_std) / 3, abs=5e-4)


def test_a_linear_layer_and_a_convolution_count_their_multiplications() -> None:
    class Two(nn.Module):
        needs_mask = False

        def __init__(self) -> None:
            super().__init__()
            self.convolution = nn.Conv2d(16, 4, 3, padding=1)
            self.linear = nn.Linear(64, 5, bias=False)

        def forward(self, hu: Tensor) -> Tensor:
            return self.linear(self.convolution(hu))

    macs = 4 * 64 * 64 * 16 * 9 + 4 * 64 * 64 * 5
    assert cost(Two()) == Cost(parameters=4 * 16 * 9 + 4 + 5 * 64, macs=macs)
    assert cost(Two()).flops == 2 * macs


def test_counting_leaves_no_hook_and_the_mode_as_it_was() -> None:
    network = build(TwoStreamConfig(variant="small", group_stride=3, fpn_channels=16)).train()
    cost(network)
    assert network.training
    assert not any(module._forward_hooks for module in network.modules())
