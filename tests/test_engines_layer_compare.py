"""The layers of half precision beside themselves in float32."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from demo_bundle import DEMO
from engines import bundle as bundles
from engines import layer_compare

BUNDLE = bundles.read(DEMO)
PATCHES = BUNDLE.golden().patches[:2]


def scaled(factors: list[float]) -> onnx.ModelProto:
    """hu as float16, multiplied by one factor after the other."""
    nodes = [helper.make_node("Cast", ["hu"], ["cast"], "cast", to=TensorProto.FLOAT16)]
    weights, value = [], "cast"
    for number, factor in enumerate(factors):
        array = np.array(factor, np.float16)
        weights.append(numpy_helper.from_array(array, f"w{number}"))
        nodes.append(helper.make_node("Mul", [value, f"w{number}"], [f"m{number}"], f"m{number}"))
        value = f"m{number}"
    ends = helper.make_tensor_value_info("hu", TensorProto.FLOAT, [None, 16, 64, 64])
    out = helper.make_tensor_value_info(value, TensorProto.FLOAT16, None)
    graph = helper.make_graph(nodes, "scaled", [ends], [out], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)])


def full(model: onnx.ModelProto) -> onnx.ModelProto:
    wide = layer_compare.as_float32(model)
    wide.graph.output[0].type.tensor_type.elem_type = TensorProto.FLOAT
    return wide


def test_a_layer_that_overflows_is_the_one_that_is_blamed() -> None:
    model = scaled([2.0, 600.0, 0.5])
    layers = layer_compare.compare(model, full(model), PATCHES)
    assert [layer.operator for layer in layers] == ["Cast", "Mul", "Mul", "Mul"]
    assert layers[1].relative == 0.0  # twice is exact
    assert layers[2].relative == layers[2].added == np.inf
    assert layers[3].added == 0.0  # it was lost before


def test_hu_are_exact_in_half_precision() -> None:
    model = scaled([1.0])
    assert layer_compare.compare(model, full(model), PATCHES)[0].relative == 0.0


def test_float32_in_the_place_of_float16_keeps_names_and_function() -> None:
    half = onnx.load_model_from_string(BUNDLE.model_bytes("fp16"))
    wide = layer_compare.as_float32(half)
    assert not [t.name for t in wide.graph.initializer if t.data_type == TensorProto.FLOAT16]
    assert [n.name for n in wide.graph.node] == [n.name for n in half.graph.node]
    import onnxruntime

    from engines.patch import crop

    session = onnxruntime.InferenceSession(wide.SerializeToString())
    (fused,) = session.run(["fused"], {"hu": crop(PATCHES).astype(np.float32)})
    assert np.abs(fused - BUNDLE.golden().expected.fused[:2]).max() < 1e-2


def test_the_shipped_engine_loses_little_in_any_layer() -> None:
    layers = layer_compare.worst(BUNDLE, 3)
    assert len(layers) == 3
    assert layers[0].added >= layers[1].added >= layers[2].added
    assert layers[0].relative < 0.02


@pytest.mark.parametrize("node", ["name", "operator"])
def test_layers_are_named(node: str) -> None:
    assert all(getattr(layer, node) for layer in layer_compare.worst(BUNDLE, 2))
