"""Find the layers where half precision loses accuracy.

Every layer of the fp16 graph is compared with the same layer in float32. Both graphs run on
ONNX Runtime with every intermediate value as an output, so that no GPU is needed.
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
"""Number of golden inputs that are run; few, because every value of every layer is kept."""


@dataclass(frozen=True)
class Layer:
    """Error of one layer in half precision, compared with float32.

    Attributes:
        name: Name of the layer's node in the graph.
        operator: ONNX operator type.
        largest: Largest absolute output value in float32.
        relative: Largest difference divided by `largest`; infinite if the layer overflows.
        added: `relative` minus the largest `relative` of the layers that feed this one.
    """

    name: str
    operator: str
    largest: float
    relative: float
    added: float


def worst(bundle: Bundle, count: int = 5) -> list[Layer]:
    """Return the layers of the bundle's fp16 graph that add the largest errors, worst first.

    Args:
        bundle: The bundle; its golden inputs are run.
        count: Number of layers to return.
    """
    import onnx

    half = onnx.load_model_from_string(bundle.model_bytes("fp16"))
    layers = compare(half, as_float32(half), bundle.golden().patches[:NODES])
    return sorted(layers, key=lambda layer: layer.added, reverse=True)[:count]


def compare(half: "ModelProto", full: "ModelProto", patches: Patches) -> list[Layer]:
    """Compare every layer of two graphs whose values have the same names.

    Args:
        half: The graph to examine.
        full: The reference graph.
        patches: HU patches, shape (node, 18, 80, 80).

    Returns:
        The layers, in the order of the graph.
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
    """Copy a model with its float16 weights and casts in float32; all names stay the same."""
    import onnx

    copied = onnx.ModelProto()
    copied.CopyFrom(model)
    del copied.graph.value_info[:]  # it states the old types of the values
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
    """Run the graph and return all of its floating-point values by name."""
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
