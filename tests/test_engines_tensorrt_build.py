"""TensorRT-RTX builds plans here, without a GPU: every network that becomes an engine."""

import importlib

import onnx
import pytest

from demo_bundle import DEMO, copy_demo, edit_model
from engines import bundle as bundles
from engines import tensorrt_build
from engines.back_ends import Precision
from engines.errors import EngineError
from engines.tensorrt_build import Complaints, compiled, half_share, sizes
from engines.tensorrt_flavours import RTX, TENSORRT, can_build
from exported_once import GraphOf, network_of
from fake_plans import NEEDS_RTX
from trainer.networks.registry import NETWORKS, parse

pytest_plugins = ["exported_once"]
QUICK = {"group_stride": 3, "fpn_channels": 32}
SMALL = QUICK | {"variant": "small"}
BOTH: tuple[Precision, ...] = ("fp32", "fp16")


@NEEDS_RTX
@pytest.mark.slow
@pytest.mark.parametrize("precision", BOTH)
@pytest.mark.parametrize(
    ("name", "knobs"),
    [
        ("two-stream-small", {}),
        ("two-stream-large", {}),
        ("resnet18-2.5d", QUICK),
        ("mobilenetv3-2.5d", SMALL),
        ("mobilevitv2-2.5d", QUICK),
        ("2.5d+ts", SMALL),
        ("2.5d+ms", SMALL),
    ],
)
def test_every_network_becomes_a_plan(
    name: str, knobs: dict, precision: Precision, graph_of: GraphOf
) -> None:
    """The large networks take over 10 s: the exporter 6 s of them, where no other test exported."""
    network = network_of(parse(NETWORKS[name].model_dump() | knobs))
    plan, layers = compiled(graph_of(network, precision), RTX, precision, 256)
    assert len(plan) > 1_000_000
    assert (half_share(layers) > 0.75) is (precision == "fp16")
    assert (half_share(layers) == 0.0) is (precision == "fp32")


@NEEDS_RTX
@pytest.mark.parametrize("precision", BOTH)
def test_the_shipped_engine_becomes_a_plan(precision: Precision) -> None:
    bundle = bundles.read(DEMO)
    record, plan = tensorrt_build.build(bundle, RTX, precision, 32)
    assert record.size_bytes == len(plan)
    assert record.key.max_batch == 32
    assert record.key.onnx_sha256 == bundle.manifest.models[precision].sha256


@NEEDS_RTX
def test_a_plan_of_half_precision_is_smaller() -> None:
    bundle = bundles.read(DEMO)
    full, half = (tensorrt_build.build(bundle, RTX, precision, 8)[0] for precision in BOTH)
    assert half.size_bytes < 0.9 * full.size_bytes


class Parsed:
    """A network of the real library, and what keeps it alive."""

    def __init__(self, data: bytes) -> None:
        self.trt = importlib.import_module(RTX.module)
        self.complaints = Complaints()
        self.builder = self.trt.Builder(tensorrt_build.logger(self.trt, self.complaints))
        self.network = tensorrt_build.parsed(self.trt, self.builder, data, self.complaints)


@NEEDS_RTX
@pytest.mark.parametrize("precision", BOTH)
def test_the_network_has_the_graphs_ends(precision: Precision) -> None:
    network = Parsed(bundles.read(DEMO).model_bytes(precision)).network
    assert network.num_inputs == 1
    hu = network.get_input(0)
    assert (hu.name, hu.dtype.name, tuple(hu.shape)) == ("hu", "FLOAT", (-1, 16, 64, 64))
    outputs = [network.get_output(index) for index in range(network.num_outputs)]
    assert {out.name for out in outputs} == {"fused", "local", "global", "fused_logit"}
    assert {(out.dtype.name, tuple(out.shape)) for out in outputs} == {("FLOAT", (-1,))}


@NEEDS_RTX
def test_the_sigmoid_of_half_precision_stays_float32() -> None:
    network = Parsed(bundles.read(DEMO).model_bytes("fp16")).network
    layers = [network.get_layer(index) for index in range(network.num_layers)]
    last = [layer for layer in layers if layer.get_output(0).name in ("fused", "local", "global")]
    assert {layer.get_input(0).dtype.name for layer in last} == {"FLOAT"}


@NEEDS_RTX
@pytest.mark.parametrize(("stated", "given"), [("fp16", "fp32"), ("fp32", "fp16")])
def test_a_graph_of_another_precision_than_it_says_is_refused(stated, given) -> None:
    with pytest.raises(EngineError, match=r"^E43: \d+% of the layers in half precision"):
        compiled(bundles.read(DEMO).model_bytes(given), RTX, stated, 8)


@NEEDS_RTX
def test_bytes_that_are_no_graph_never_become_an_empty_plan() -> None:
    with pytest.raises(EngineError, match=r"^E(30|43): "):
        compiled(b"\x00" * 64, RTX, "fp32", 8)


@NEEDS_RTX
def test_other_outputs_are_refused_before_the_build() -> None:
    model = onnx.load_model_from_string(bundles.read(DEMO).model_bytes("fp32"))
    del model.graph.output[1:]
    with pytest.raises(EngineError) as refusal:
        compiled(model.SerializeToString(), RTX, "fp32", 8)
    assert refusal.value.code == "E43"
    assert "hu (-1, 16, 64, 64), fused (-1,)" in refusal.value.found


@NEEDS_RTX
def test_a_node_that_the_parser_refuses_is_named(tmp_path) -> None:
    def strange(model: onnx.ModelProto) -> None:
        node = next(node for node in model.graph.node if node.op_type == "HardSwish")
        node.op_type, node.name, node.domain = "Mystery", "strange_node", "nowhere"
        model.opset_import.append(onnx.helper.make_opsetid("nowhere", 1))

    bundle = bundles.read(edit_model(copy_demo(tmp_path / "demo"), strange))
    with pytest.raises(EngineError) as refusal:
        tensorrt_build.build(bundle, RTX, "fp32", 8)
    assert refusal.value.code == "E30"
    assert "node 'strange_node' (Mystery)" in refusal.value.found


@NEEDS_RTX
def test_what_no_profile_can_be_is_refused() -> None:
    with pytest.raises(EngineError, match=r"^E44: "):
        compiled(bundles.read(DEMO).model_bytes("fp32"), RTX, "fp32", 0)


@pytest.mark.parametrize(
    ("max_batch", "wanted"),
    [(256, (1, 64, 256)), (64, (1, 64, 64)), (8, (1, 8, 8)), (1, (1, 1, 1))],
)
def test_a_plan_is_tuned_for_64_nodes_or_for_its_largest_batch(max_batch: int, wanted) -> None:
    assert sizes(max_batch) == wanted


def test_a_library_that_is_not_installed_is_named() -> None:
    state = can_build(TENSORRT)
    if TENSORRT.version is not None:
        pytest.skip("tensorrt is installed")
    assert (state.code, state.reason) == ("E02", "tensorrt is not installed")
    with pytest.raises(EngineError, match=r"^E02: back end 'tensorrt' cannot be used here"):
        compiled(b"", TENSORRT, "fp32", 8)
