"""A network and its exported graph give the same probabilities; a bundle is all or nothing."""

# ruff: noqa: TID253

import copy
import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn

from engines import bundle as bundles
from engines import onnx_engine, parity
from engines.bundle import Bundle
from engines.errors import EngineError
from engines.manifest import RESEARCH_USE, About
from engines.patch import crop
from engines.scores import Scores
from exported_once import GraphOf, drawn, network_of
from trainer.bundle.demo import CONFIG as SMALL
from trainer.errors import TrainerError
from trainer.export.graph import export, folded, npz_bytes, torch_scores, weights_sha256
from trainer.networks.config import TwoStreamConfig
from trainer.networks.two_stream import TwoStream

pytest_plugins = ["exported_once"]

PARITY = 1e-5
PATCHES = drawn(12, 5)
ABOUT = About(
    name="small",
    created=datetime(2026, 1, 2, tzinfo=UTC),
    trained=False,
    how_to_make_again="run the tests",
)


@pytest.fixture(scope="module")
def small() -> TwoStream:
    return network_of(SMALL)


@pytest.fixture(scope="module")
def exported(small: TwoStream, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return export(small, PATCHES[:5], ABOUT, tmp_path_factory.mktemp("engines") / "small")


@pytest.fixture
def no_export(monkeypatch: pytest.MonkeyPatch) -> None:
    """The exporter must not have been reached."""
    monkeypatch.setattr(torch.onnx, "export", pytest.fail)


def exact(network: TwoStream) -> Scores:
    """What torch gives in float64: its own float32 rounding is as large as what is measured."""
    return torch_scores(copy.deepcopy(network).double(), PATCHES)


def test_small_parity_with_torch_on_every_output(small: TwoStream, exported: Bundle) -> None:
    ours, theirs = onnx_engine.load(exported).score(PATCHES), exact(small)
    assert np.ptp(theirs.fused) > 0.5
    for head in ("fused", "local", "global_"):
        assert np.abs(getattr(ours, head) - getattr(theirs, head)).max() <= PARITY


@pytest.mark.parametrize(
    "config",
    [
        pytest.param(TwoStreamConfig(), id="large", marks=pytest.mark.slow),
        pytest.param(
            SMALL.model_copy(
                update={
                    "two_stream": False,
                    "slice_fusion": "spatial",
                    "edge_pad": True,
                }
            ),
            id="small-one-stream-spatial-padded",
        ),
    ],
)
def test_parity_with_torch_of_other_networks(config: TwoStreamConfig, graph_of: GraphOf) -> None:
    network = network_of(config)
    session = onnxruntime.InferenceSession(graph_of(network, "fp32"))
    names = [output.name for output in session.get_outputs()]
    hu = crop(PATCHES).astype(np.float32)
    got = dict(zip(names, session.run(names, {"hu": hu}), strict=True))
    expected = exact(network)
    assert np.ptp(expected.fused) > 0.5
    wanted = {"fused": expected.fused, "local": expected.local, "global": expected.global_}
    assert set(got) - {"fused_logit"} == {k for k, v in wanted.items() if v is not None}
    for name in set(got) - {"fused_logit"}:
        assert np.abs(np.asarray(got[name]) - wanted[name]).max() <= PARITY


def test_an_exported_bundle_passes_its_own_gate_in_both_precisions(exported: Bundle) -> None:
    for precision in exported.manifest.models:
        parity.gate(exported, onnx_engine.load(exported, precision))


def test_weights_of_the_fp16_graph_are_half_as_large_and_its_views_are_not_halved(
    exported: Bundle,
) -> None:
    full, half = (len(exported.model_bytes(p)) for p in ("fp32", "fp16"))
    assert half / full < 0.55
    graph = onnx.load_model_from_string(exported.model_bytes("fp16")).graph
    clips = [node for node in graph.node if node.op_type == "Clip" and node.input[0] == "hu"]
    resizes = [node for node in graph.node if node.op_type == "Resize"]
    types = {v.name: v.type.tensor_type.elem_type for v in (*graph.value_info, *graph.input)}
    assert len(clips) == 1
    assert types[resizes[0].input[0]] == onnx.TensorProto.FLOAT


def test_manifest_states_what_was_built(exported: Bundle, small: TwoStream) -> None:
    manifest = exported.manifest
    assert TwoStreamConfig.model_validate(manifest.network) == SMALL
    assert manifest.weights_sha256 == weights_sha256(small)
    assert manifest.research_use == RESEARCH_USE
    assert json.loads((exported.path / "manifest.json").read_text())["patch"]["hash"]
    assert not any(path.name.startswith(".") for path in exported.path.parent.iterdir())


def test_export_leaves_the_network_as_it_was(small: TwoStream, exported: Bundle) -> None:
    assert sum(isinstance(m, nn.BatchNorm2d) for m in small.modules()) > 50
    assert {p.dtype for p in small.parameters()} == {torch.float32}


def test_folding_batchnorm_changes_no_score(small: TwoStream) -> None:
    network = folded(small)
    assert not any(isinstance(m, nn.BatchNorm2d) for m in network.modules())
    off = torch_scores(network, PATCHES).fused - torch_scores(small, PATCHES).fused
    assert np.abs(off).max() <= PARITY


def test_no_activation_of_what_is_exported_works_in_place(small: TwoStream) -> None:
    def in_place(network: nn.Module) -> int:
        return sum(getattr(module, "inplace", False) for module in network.modules())

    assert in_place(small) > 40
    assert in_place(folded(small)) == 0


@pytest.mark.usefixtures("no_export")
def test_an_existing_folder_is_refused_and_kept(small: TwoStream, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "note.txt").write_text("mine")
    with pytest.raises(TrainerError, match=r"^T01: 'there' exists; wanted a new folder"):
        export(small, PATCHES[:5], ABOUT, tmp_path / "there")
    assert [f.name for f in tmp_path.rglob("*")] == ["there", "note.txt"]


@pytest.mark.usefixtures("no_export")
def test_golden_inputs_that_are_scored_alike_are_refused(small: TwoStream, tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"^E10"):
        export(small, np.repeat(PATCHES[:1], 5, axis=0), ABOUT, tmp_path / "new")
    assert list(tmp_path.iterdir()) == []


def test_a_failed_export_leaves_nothing(
    small: TwoStream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.onnx, "export", lambda *_, **__: None)
    with pytest.raises(TrainerError, match=r"^T02"):
        export(small, PATCHES[:5], ABOUT, tmp_path / "new")
    assert list(tmp_path.iterdir()) == []


def test_the_same_arrays_are_the_same_bytes() -> None:
    arrays = {"a": np.arange(5), "b": np.eye(3)}
    assert npz_bytes(arrays) == npz_bytes(dict(arrays))


def test_weights_hash_follows_every_weight(small: TwoStream) -> None:
    before = weights_sha256(small)
    with torch.no_grad():
        unit = small.fused_head[1]
        unit.bias.add_(1)  # pyright: ignore[reportCallIssue]
        assert weights_sha256(small) != before
        unit.bias.sub_(1)  # pyright: ignore[reportCallIssue]


def test_what_is_read_back_is_what_was_written(exported: Bundle) -> None:
    assert bundles.read(exported.path) == exported
