"""Where half precision loses: every layer of the fp16 graph beside itself in float32.

Both run on ONNX Runtime with every intermediate value as an output, so that no GPU is needed.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from engines.bundle import Bundle
from engines.graph import INPUT
from engines.patch import crop
from engines.shapes import Patches

if TYPE_CHECKING:
    from onnx import ModelProto, TensorProto

NODES = 4
"""Inputs: every value of every layer is kept."""


@dataclass(frozen=True)
class Layer:
    """One layer in half precision beside float32.

    Attributes:
        name: Of its node in the graph.
        operator: Its type.
        largest: Largest absolute value in float32.
        relative: Largest difference, as a share of `largest`; infinite where it overflows.
        added: What it adds to the largest of its inputs' shares.
    """

    name: str
    operator: str
    largest: float
    relative: float
    added: float


def worst(bundle: Bundle, count: int = 5) -> list[Layer]:
    """The layers of the bundle's fp16 graph that add the largest errors, worst first.

    Args:
        bundle: The bundle; its golden inputs are run.
        count: How many layers.
    """
    import onnx

    half = onnx.load_model_from_string(bundle.model_bytes("fp16"))
    layers = compare(half, as_float32(half), bundle.golden().patches[:NODES])
    return sorted(layers, key=lambda layer: layer.added, reverse=True)[:count]


def compare(half: "ModelProto", full: "ModelProto", patches: Patches) -> list[Layer]:
    """Every layer of two graphs whose values have the same names, in the graph's order.

    Args:
        half: The one that is looked at.
        full: The reference.
        patches: HU patches, shape (node, 18, 80, 80).
    """
    ours, theirs = _values(half, patches), _values(full, patches)
    shares: dict[str, float] = {}
    layers = []
    for node in half.graph.node:
        name = node.output[0]
        if name not in ours or name not in theirs:
            continue
        largest = float(np.abs(theirs[name]).max(initial=0.0))
        off = np.abs(ours[name].astype(np.float64) - theirs[name])
        share = float(off.max(initial=0.0)) / max(largest, 1e-12)
        shares[name] = share if np.isfinite(share) else float("inf")
        before = max((shares.get(value, 0.0) for value in node.input), default=0.0)
        added = 0.0 if before == float("inf") else shares[name] - before
        layers.append(Layer(node.name, node.op_type, largest, shares[name], added))
    return layers


def as_float32(model: "ModelProto") -> "ModelProto":
    """A copy whose float16 weights and conversions are float32; names stay."""
    import onnx

    copied = onnx.ModelProto()
    copied.CopyFrom(model)
    del copied.graph.value_info[:]  # they state the types that change
    _widen(copied.graph.initializer)
    for node in copied.graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                _widen([attribute.t])
            if node.op_type == "Cast" and attribute.i == onnx.TensorProto.FLOAT16:
                attribute.i = onnx.TensorProto.FLOAT
    return copied


def _widen(tensors: "Iterable[TensorProto]") -> None:
    from onnx import TensorProto, numpy_helper

    for tensor in tensors:
        if tensor.data_type == TensorProto.FLOAT16:
            wide = numpy_helper.to_array(tensor).astype(np.float32)
            tensor.CopyFrom(numpy_helper.from_array(wide, tensor.name))


def _values(model: "ModelProto", patches: Patches) -> dict[str, np.ndarray]:
    """Every floating-point value of the graph."""
    import onnx
    import onnxruntime

    opened = onnx.ModelProto()
    opened.CopyFrom(model)
    given = {output.name for output in opened.graph.output}
    named = [out for node in opened.graph.node for out in node.output if out and out not in given]
    opened.graph.output.extend(onnx.ValueInfoProto(name=name) for name in named)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    data = opened.SerializeToString()
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    values = session.run(names, {INPUT: crop(patches).astype(np.float32)})
    arrays = zip(names, map(np.asarray, values), strict=True)
    return {name: array for name, array in arrays if array.dtype.kind == "f"}
