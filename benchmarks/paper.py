"""Compute the shortest possible time per node on an H100 from counted operations and bytes."""

from dataclasses import dataclass

import numpy as np

from engines.back_ends import Precision
from engines.bundle import Bundle
from engines.graph import INPUT
from engines.patch import SPEC

H100_FLOPS = {"fp32": 67e12, "fp16": 990e12}
"""Peak operations per second of the SXM board, dense; float16 uses tensor cores."""

H100_BYTES_S = 3.35e12
LINK_BYTES_S = 50e9
"""Bytes per second that a copy from pinned memory reaches over PCIe 5.0 x16."""

FUSED = frozenset(("Relu", "HardSwish", "HardSigmoid", "Clip", "Mul", "Add", "Sub", "Div", "Cast"))
"""Operators that are fused with the layer before them, so that they need no memory traffic."""

VIEWS = frozenset(("Reshape", "Transpose", "Shape", "Squeeze", "Unsqueeze", "Slice", "Constant"))


@dataclass(frozen=True)
class Paper:
    """Operations and bytes for one node.

    Attributes:
        precision: Precision of the graph.
        operations: Number of multiplications and additions in convolutions and matrix products.
        traffic_bytes: Bytes of inputs and outputs of every layer that is not fused, each counted
            once.
        link_bytes: Bytes copied from the host.
    """

    precision: Precision
    operations: float
    traffic_bytes: float
    link_bytes: float

    @property
    def floor_us(self) -> float:
        """Shortest possible time in microseconds: the longest of arithmetic, memory and link."""
        return max(self.parts_us)

    @property
    def parts_us(self) -> tuple[float, float, float]:
        """Microseconds of arithmetic, memory and link at an H100's peak."""
        arithmetic = self.operations / H100_FLOPS[self.precision]
        memory, link = self.traffic_bytes / H100_BYTES_S, self.link_bytes / LINK_BYTES_S
        return arithmetic * 1e6, memory * 1e6, link * 1e6


def of(bundle: Bundle, precision: Precision) -> Paper:
    """Count operations and bytes for one node in a bundle's graph."""
    import onnx

    model = onnx.load_model_from_string(bundle.model_bytes(precision))
    shapes = _shapes(model)
    operations = traffic = 0.0
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in model.graph.node:
        out = shapes.get(node.output[0])
        if out is None or node.op_type in VIEWS:
            continue
        if node.op_type in ("Conv", "Gemm", "MatMul"):
            weight = [list(weights[name].dims) for name in node.input if name in weights]
            operations += 2 * out[0] * _depth(node.op_type, weight, shapes, node.input[0])
        if node.op_type not in FUSED:
            values = [shapes[name] for name in {*node.input, *node.output} if name in shapes]
            traffic += sum(count * size for count, size in values)
    link = 4.0 * np.prod(SPEC.crop_vox)
    return Paper(precision, operations, traffic, float(link))


def _depth(kind: str, weights: list[list[int]], shapes: dict, first: str) -> float:
    """Return the number of products that are summed for one output value."""
    if not weights:
        return 0.0
    largest = max(weights, key=lambda dims: float(np.prod(dims)))
    if kind == "Conv":
        return float(np.prod(largest[1:]))
    return float(largest[0] if kind == "MatMul" else min(largest))


def _shapes(model) -> dict[str, tuple[float, int]]:  # noqa: ANN001
    """Return, for one node, the number of values and the bytes per value of every float tensor."""
    import onnx
    import onnxruntime

    opened = onnx.ModelProto()
    opened.CopyFrom(model)
    given = {output.name for output in opened.graph.output}
    named = [out for node in opened.graph.node for out in node.output if out and out not in given]
    opened.graph.output.extend(onnx.ValueInfoProto(name=name) for name in named)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(opened.SerializeToString(), options)
    names = [output.name for output in session.get_outputs()]
    values = session.run(names, {INPUT: np.zeros((1, *SPEC.crop_vox), np.float32)})
    arrays = zip(names, map(np.asarray, values), strict=True)
    found = {n: (float(a.size), a.itemsize) for n, a in arrays if a.dtype.kind == "f"}
    return found | {INPUT: (float(np.prod(SPEC.crop_vox)), 4)}
