"""Networks by name, their configs from records, and weights from files and libraries."""

# ruff: noqa: TID253

import hashlib
from pathlib import Path

import pytest
import safetensors.torch
import timm
import torch
from pydantic import ValidationError
from torch import nn
from torchvision.models import MobileNet_V3_Small_Weights, mobilenet_v3_small, resnet18

from trainer.errors import TrainerError
from trainer.networks import pretrained
from trainer.networks.config import MobileNet3dConfig, SlicesConfig, TwoStreamConfig
from trainer.networks.pretrained import backbones, fill_backbones, load_source
from trainer.networks.registry import NETWORKS, build, head_parameters, named, parse
from trainer.networks.starting import Start

SMALL = TwoStreamConfig(variant="small", group_stride=3, fpn_channels=16)


def on_meta(name: str) -> nn.Module:
    with torch.device("meta"):
        return build(NETWORKS[name])


@pytest.mark.parametrize("name", NETWORKS)
def test_a_config_comes_back_from_its_record(name: str) -> None:
    config = NETWORKS[name]
    assert parse(config.model_dump(mode="json")) == config
    assert on_meta(name).config == config
    assert on_meta(name).needs_mask == (name == "dualnet-3d")


def test_a_record_without_kind_is_a_two_stream_networks() -> None:
    record = SMALL.model_dump(mode="json", exclude={"kind"})
    assert parse(record) == SMALL


@pytest.mark.parametrize("knob", ["two_stream", "multi_scale"])
@pytest.mark.parametrize("kind", ["resnet18-3d", "mobilenetv3-3d", "mobilevitv2-3d", "dualnet-3d"])
def test_streams_and_scales_without_2_5d_are_refused(kind: str, knob: str) -> None:
    with pytest.raises(ValidationError, match=rf"{knob} without 2\.5D"):
        parse({"kind": kind, knob: True})


@pytest.mark.parametrize(
    "record",
    [
        {"kind": "resnet50-3d"},
        {"kind": "slices", "backbone": "resnet50"},
        {"kind": "slices", "two_stream": True},
        {"kind": "resnet18-3d", "stem_stride": 3},
        {"kind": "dualnet-3d", "clip_hu": [275, -175]},
    ],
)
def test_records_of_no_network_are_refused(record: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        parse(record)


def test_rows_of_table_2_are_the_named_networks() -> None:
    rows = {
        (False, False): "2.5d",
        (True, False): "2.5d+ts",
        (False, True): "2.5d+ms",
        (True, True): "two-stream",
    }
    for (two_stream, multi_scale), name in rows.items():
        assert NETWORKS[name] == TwoStreamConfig(two_stream=two_stream, multi_scale=multi_scale)
    assert NETWORKS["mobilenetv3-3d"] == MobileNet3dConfig()


def test_table_1_and_table_2_share_mobilenetv3_2_5d() -> None:
    assert NETWORKS["mobilenetv3-2.5d"] == NETWORKS["2.5d"]


def test_the_128_px_mobilevit_is_one_knob_away() -> None:
    small, large = NETWORKS["mobilevitv2-2.5d"], NETWORKS["mobilevitv2-2.5d-128px"]
    assert large == small.model_copy(update={"input_upsample": 2})


def test_mobilevit_sees_images_in_0_to_1_as_in_its_pretraining() -> None:
    config = NETWORKS["mobilevitv2-2.5d"]
    stated = timm.get_pretrained_cfg("mobilevitv2_100")
    assert isinstance(config, SlicesConfig)
    assert (config.channel_mean, config.channel_std) == (stated.mean, stated.std)


def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    with pytest.raises(TrainerError, match=r"^T41: no network 'alexnet'; wanted one of two-stream"):
        named("alexnet")
    assert named("2.5d+ts") == NETWORKS["2.5d+ts"]


@pytest.mark.parametrize("name", NETWORKS)
def test_head_parameters_and_backbones_are_the_whole_network(name: str) -> None:
    network = on_meta(name)
    fresh = head_parameters(network)
    inside = [
        f"{place}.{key}"
        for place, part in backbones(network).items()
        for key, _ in part.named_parameters()
    ]
    assert sorted(fresh + inside) == sorted(key for key, _ in network.named_parameters())
    assert "fused_head.1.weight" in fresh
    assert len(backbones(network)) == (2 if network.config.two_stream else 1)


def save(weights: dict[str, torch.Tensor], file: Path) -> str:
    safetensors.torch.save_file(weights, file)
    return hashlib.sha256(file.read_bytes()).hexdigest()


def fill_from(network: nn.Module, weights: dict[str, torch.Tensor], file: Path) -> None:
    """Start a network with the weights of a file; only its heads are then as they were."""
    sha256 = save(weights, file)
    fresh, source = Start(file=file, sha256=sha256.upper()).fill(network)
    assert (fresh, source) == (frozenset(head_parameters(network)), f"file:{sha256}")


def same(network: nn.Module, weights: dict[str, torch.Tensor]) -> bool:
    """Whether every backbone holds these weights."""
    return all(
        torch.equal(value, weights[key])
        for part in backbones(network).values()
        for key, value in part.state_dict().items()
    )


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("resnet18-2.5d", lambda: resnet18(weights=None)),
        ("mobilevitv2-2.5d", lambda: timm.create_model("mobilevitv2_100")),
    ],
)
def test_whole_models_of_the_libraries_fill_the_trunks(name: str, make, tmp_path: Path) -> None:
    whole, network = make(), build(NETWORKS[name])
    fill_from(network, whole.state_dict(), tmp_path / "whole.safetensors")
    assert same(network, whole.state_dict())


def test_resnet18_trunk_gives_torchvisions_last_maps() -> None:
    whole, network = resnet18(weights=None).eval(), build(NETWORKS["resnet18-2.5d"]).eval()
    fill_backbones(network, whole.state_dict(), "whole")
    seen = []
    whole.layer4.register_forward_hook(lambda _m, _i, out: seen.append(out))
    images = torch.randn(2, 3, 64, 64)
    with torch.inference_mode():
        whole(images)
        torch.testing.assert_close(network.backbone(images), seen[0])


def test_two_streams_get_their_own_weights_back(tmp_path: Path) -> None:
    before, after = build(SMALL), build(SMALL)
    fill_from(after, before.state_dict(), tmp_path / "both.safetensors")
    given = before.state_dict()
    for key, value in after.state_dict().items():
        assert ("backbone" not in key.split(".")) or torch.equal(value, given[key])
    assert not torch.equal(after.fused_head[-1].weight, before.fused_head[-1].weight)
    first, second = backbones(after).values()
    assert not torch.equal(next(first.parameters()), next(second.parameters()))


def test_one_streams_weights_fill_both_streams(tmp_path: Path) -> None:
    (alone,) = backbones(build(SMALL.model_copy(update={"two_stream": False}))).values()
    both = build(SMALL)
    fill_from(both, alone.state_dict(), tmp_path / "one.safetensors")
    assert same(both, alone.state_dict())


def test_a_3d_network_takes_what_it_gave(tmp_path: Path) -> None:
    (given,) = backbones(build(MobileNet3dConfig())).values()
    after = build(MobileNet3dConfig())
    fill_from(after, given.state_dict(), tmp_path / "cube.safetensors")
    assert same(after, given.state_dict())


def test_of_two_streams_none_is_filled_where_one_does_not_fit() -> None:
    network = build(SMALL)
    weights = build(SMALL).state_dict()
    del weights["local_stream.backbone.features.0.0.weight"]
    before = {key: value.clone() for key, value in network.state_dict().items()}
    with pytest.raises(TrainerError, match=r"^T03: some has no fitting features\.0\.0\.weight"):
        fill_backbones(network, weights, "some")
    assert all(torch.equal(before[k], v) for k, v in network.state_dict().items())


def test_no_source_changes_nothing() -> None:
    network = build(SMALL)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    assert load_source(network, "none") == "none"
    assert all(torch.equal(before[k], v) for k, v in network.state_dict().items())


def test_torchvisions_own_cache_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weights, whole = MobileNet_V3_Small_Weights.IMAGENET1K_V1, mobilenet_v3_small(weights=None)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    (tmp_path / "hub/checkpoints").mkdir(parents=True)
    torch.save(whole.state_dict(), tmp_path / "hub/checkpoints" / weights.url.rsplit("/", 1)[-1])
    network, source = build(SMALL), f"torchvision:{weights}"
    assert load_source(network, source) == source
    assert same(network, whole.state_dict())


def test_timms_own_cache_is_asked_by_the_name_given(monkeypatch: pytest.MonkeyPatch) -> None:
    whole, network = timm.create_model("mobilevitv2_100"), build(NETWORKS["mobilevitv2-2.5d"])
    asked = []

    def create(name: str, *, pretrained: bool) -> nn.Module:
        asked.append((name, pretrained))
        return whole

    monkeypatch.setattr(timm, "create_model", create)
    source = "timm:mobilevitv2_100.cvnets_in1k"
    assert load_source(network, source) == source
    assert asked == [("mobilevitv2_100.cvnets_in1k", True)]
    assert same(network, whole.state_dict())


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("keras:mobilenet", "keras:mobilenet"),
        ("torchvision:", "torchvision:"),
        ("torchvision:MobileNet_V9_Weights.DEFAULT", "torchvision:MobileNet_V9_Weights.DEFAULT"),
        ("timm:no_such_network", "timm:no_such_network"),
    ],
)
def test_sources_that_no_library_has_are_refused(source: str, found: str) -> None:
    with pytest.raises(TrainerError, match=rf"^T43: pretrained weights {found}"):
        load_source(build(SMALL), source)


def test_without_a_connection_the_cache_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(name: str) -> None:
        raise OSError("no route to host")

    monkeypatch.setitem(pretrained.LIBRARIES, "torchvision", offline)
    with pytest.raises(TrainerError, match=r"^T43: .* no route to host; wanted weights in the"):
        load_source(build(SMALL), "torchvision:MobileNet_V3_Small_Weights.IMAGENET1K_V1")
