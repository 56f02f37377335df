"""What is rewritten for the CPU gives what it replaces, at every place and at the borders."""

# ruff: noqa: TID253

from collections import Counter

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper
from torch import nn

from trainer.export.onnx_rewriting import keep_blocked
from trainer.export.rewriting import CentredViews, PooledConvolution, zoom_matrix
from trainer.networks.config import TwoStreamConfig
from trainer.networks.preprocess import Views

VIEWS = [
    pytest.param({}, id="every-slice"),
    pytest.param({"group_stride": 3}, id="stride-3"),
    pytest.param({"edge_pad": True, "input_upsample": 2, "local_px": 24}, id="padded-upsampled"),
]


@pytest.mark.parametrize("knobs", VIEWS)
def test_centred_views_are_the_views_times_their_scale(knobs: dict[str, int]) -> None:
    config = TwoStreamConfig().model_copy(update=knobs)
    hu = torch.from_numpy(np.random.default_rng(0).uniform(-400, 500, (2, 16, 64, 64))).float()
    views = Views(config)
    scale = views.get_buffer("std") * (config.clip_hu[1] - config.clip_hu[0])
    for quick, plain in zip(CentredViews(views)(hu), views(hu), strict=True):
        torch.testing.assert_close(quick / scale, plain, rtol=0, atol=1e-5)


def test_a_zoom_along_one_axis_keeps_the_ends_and_mixes_three_to_one() -> None:
    wide = torch.tensor([1.0, 5.0]) @ zoom_matrix(2, 4)
    assert wide.tolist() == [1.0, 2.0, 4.0, 5.0]


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("side_px", [1, 2, 8])
def test_pooled_convolution_is_the_mean_of_the_convolution(side_px: int, bias: bool) -> None:
    torch.manual_seed(1)
    convolution = nn.Conv2d(5, 7, 3, padding=1, bias=bias)
    maps = torch.randn(3, 5, side_px, side_px)
    mean = convolution(maps).mean(dim=(2, 3), keepdim=True)
    torch.testing.assert_close(PooledConvolution(convolution, side_px)(maps), mean)


def graph() -> onnx.ModelProto:
    """A gate on a map, its mean, and a zoom whose sizes nothing else needs."""
    sizes = onnx.numpy_helper.from_array(np.array([2, 4, 6, 6]), "sizes")
    axes = onnx.numpy_helper.from_array(np.array([2, 3]), "axes")
    shapes = {"mean": (4, 1, 1), "gate": (4, 1, 1), "gated": (4, 3, 3), "again": (4, 1, 1)}
    nodes = [
        helper.make_node("ReduceMean", ["map", "axes"], ["mean"]),
        helper.make_node("HardSigmoid", ["mean"], ["gate"]),
        helper.make_node("Mul", ["gate", "map"], ["gated"]),
        helper.make_node("ReduceMean", ["gated", "axes"], ["again"]),
        helper.make_node("Mul", ["again", "gate"], ["small"]),
        helper.make_node(
            "Resize",
            ["gated", "", "", "sizes"],
            ["wide"],
            mode="nearest",
            coordinate_transformation_mode="asymmetric",
            nearest_mode="floor",
        ),
    ]
    ends = {"map": (4, 3, 3), "small": (4, 1, 1), "wide": (4, 6, 6)}
    values = {
        name: helper.make_tensor_value_info(name, TensorProto.FLOAT, ["node", *shape])
        for name, shape in (shapes | ends).items()
    }
    outputs = [values["small"], values["wide"]]
    inside = list(values.values())
    made = helper.make_graph(
        nodes, "gate", [values["map"]], outputs, [sizes, axes], value_info=inside
    )
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)


def run(model: onnx.ModelProto, maps: np.ndarray) -> list[np.ndarray]:
    session = onnxruntime.InferenceSession(model.SerializeToString())
    return [np.asarray(value) for value in session.run(None, {"map": maps})]


def test_blocked_nodes_give_the_same_values() -> None:
    maps = np.random.default_rng(2).normal(size=(2, 4, 3, 3)).astype(np.float32)
    plain, blocked = graph(), graph()
    keep_blocked(blocked)
    for got, expected in zip(run(blocked, maps), run(plain, maps), strict=True):
        np.testing.assert_allclose(got, expected, atol=1e-6)


def test_only_what_is_used_is_left() -> None:
    model = graph()
    keep_blocked(model)
    onnx.checker.check_model(model)
    kinds = Counter(node.op_type for node in model.graph.node)
    assert kinds == {"GlobalAveragePool": 2, "HardSigmoid": 1, "Mul": 2, "Resize": 2}
    assert {value.name for value in model.graph.initializer} == {"times_3_3", "times_2_2"}
