"""Every network whose input is the HU patch alone becomes a graph with the same scores."""

# ruff: noqa: TID253

import copy
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from engines import onnx_engine, parity
from engines.manifest import About
from engines.patch import crop
from engines.scores import Scores
from exported_once import GraphOf, drawn, network_of
from trainer.errors import TrainerError
from trainer.export.graph import export, torch_scores
from trainer.networks.config import DualNetConfig, NetworkConfig, SlicesConfig, TwoStreamConfig
from trainer.networks.registry import NETWORKS, Network, build, parse

pytest_plugins = ["exported_once"]

PARITY = 1e-5
PATCHES = drawn(6, 5)
ABOUT = About(
    name="baseline",
    created=datetime(2026, 1, 2, tzinfo=UTC),
    trained=False,
    how_to_make_again="run the tests",
)
QUICK = {"group_stride": 3, "fpn_channels": 32}
SMALL = QUICK | {"variant": "small"}


def changed(name: str, knobs: dict[str, object]) -> NetworkConfig:
    return parse(NETWORKS[name].model_dump() | knobs)


def exact(network: Network) -> Scores:
    """What torch gives in float64: its own float32 rounding is as large as what is measured."""
    return torch_scores(copy.deepcopy(network).double(), PATCHES)


def run(data: bytes) -> dict[str, np.ndarray]:
    session = onnxruntime.InferenceSession(data)
    names = [output.name for output in session.get_outputs()]
    outputs = session.run(names, {"hu": crop(PATCHES).astype(np.float32)})
    return dict(zip(names, map(np.asarray, outputs), strict=True))


@pytest.mark.parametrize(
    "config",
    [
        pytest.param(changed("resnet18-2.5d", QUICK), id="resnet18-2.5d"),
        pytest.param(changed("mobilevitv2-2.5d", QUICK), id="mobilevitv2-2.5d"),
        pytest.param(changed("2.5d", SMALL), id="2.5d"),
        pytest.param(changed("2.5d+ts", SMALL), id="2.5d+ts"),
        pytest.param(changed("2.5d+ms", SMALL), id="2.5d+ms"),
        pytest.param(changed("two-stream", SMALL | {"group_stride": 2}), id="seven-groups"),
        pytest.param(
            changed("mobilevitv2-2.5d-128px", QUICK), id="mobilevit-128", marks=pytest.mark.slow
        ),
        pytest.param(changed("resnet18-3d", {"stem_stride": 2}), id="resnet18-3d"),
        pytest.param(NETWORKS["mobilenetv3-3d"], id="mobilenetv3-3d"),
        pytest.param(NETWORKS["mobilevitv2-3d"], id="mobilevitv2-3d"),
    ],
)
def test_parity_with_torch_in_float64(config: NetworkConfig, graph_of: GraphOf) -> None:
    """Up to 15 s of the exporter for a network of many layers: each kind is exported once."""
    network = network_of(config)
    got, expected = run(graph_of(network, "fp32")), exact(network)
    wanted = {"fused": expected.fused, "local": expected.local, "global": expected.global_}
    wanted = {name: value for name, value in wanted.items() if value is not None}
    assert np.ptp(expected.fused) > 0.5
    assert set(got) == {*wanted, "fused_logit"}
    for name, value in wanted.items():
        assert np.abs(got[name] - value).max() <= PARITY


def test_an_upsampled_two_stream_network_keeps_twice_the_parity(graph_of: GraphOf) -> None:
    """The 1e-5 of the others is missed here, by rounding: 1.5e-5 on one node of the six.

    The graph without `trainer.export.rewriting` stays at 6e-7 with these weights; with seed 5 both
    do. This node's score is sensitive, and the rewriting rounds in other places.
    """
    config = changed("two-stream", SMALL | {"input_upsample": 2})
    network = network_of(config)
    off = run(graph_of(network, "fp32"))["fused"] - exact(network).fused
    assert np.abs(off).max() <= 2 * PARITY
    assert np.median(np.abs(off)) <= PARITY


@pytest.mark.usefixtures("each_graph_once")
def test_a_baselines_bundle_passes_its_own_gate_in_both_precisions(tmp_path: Path) -> None:
    config = SlicesConfig(group_stride=3, fpn_channels=32)
    network = network_of(config)
    bundle = export(network, PATCHES, ABOUT, tmp_path / "baseline")
    assert parse(bundle.manifest.network) == config
    for precision in bundle.manifest.models:
        parity.gate(bundle, onnx_engine.load(bundle, precision))


def test_a_network_that_needs_an_outline_is_no_engine(tmp_path: Path) -> None:
    with torch.device("meta"):
        network = build(DualNetConfig())
    with pytest.raises(TrainerError, match=r"^T44: dualnet-3d, which needs every node's outline"):
        export(network, PATCHES, ABOUT, tmp_path / "dual")
    assert list(tmp_path.iterdir()) == []


def test_the_record_of_an_engine_from_before_kinds_is_read() -> None:
    record = TwoStreamConfig().model_dump(mode="json", exclude={"kind"})
    assert parse(record) == TwoStreamConfig()
