"""Rewrite a graph so that ONNX Runtime keeps its blocked memory layout, with the same results.

On a CPU its convolutions work on blocks of channels. Feature maps are reordered before and
after an operator without a blocked form. There are three such operators: the mean over a map
as ReduceMean, the product with one number per channel at the end of squeeze-and-excitation,
and a zoom to sizes that are computed in the graph. Each is replaced by an equivalent operator
with a blocked form.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto

NEAREST = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric"}


def keep_blocked(model: "ModelProto") -> None:
    """Replace the operators without a blocked form, in place.

    Args:
        model: Graph with the shape of every value recorded in it, as the exporter makes it.
    """
    graph = model.graph
    rewritten = [new for node in list(graph.node) for new in _rewritten(node, graph)]
    used = {value.name for value in graph.output}
    kept: list[NodeProto] = []
    for node in reversed(rewritten):
        if used.intersection(node.output):
            used.update(node.input)
            kept.append(node)
    constants = [value for value in graph.initializer if value.name in used]
    del graph.node[:], graph.initializer[:]
    graph.node.extend(reversed(kept))
    graph.initializer.extend(constants)


def _rewritten(node: "NodeProto", graph: "GraphProto") -> Iterator["NodeProto"]:
    from onnx import helper

    sides, result_sides = _sides(graph, node.input[0]), _sides(graph, node.output[0])
    if node.op_type == "ReduceMean" and sides and result_sides == [1, 1]:
        yield helper.make_node("GlobalAveragePool", node.input[:1], node.output, node.name)
    elif node.op_type == "Mul" and sides == [1, 1] != result_sides:
        wide = f"{node.input[0]}_wide"
        yield _zoom(graph, node.input[0], wide, result_sides)
        _note_shape(graph, wide, node.output[0])
        yield helper.make_node("Mul", [wide, node.input[1]], node.output, node.name)
    elif node.op_type == "Resize" and _mode(node) == b"nearest" and sides and result_sides:
        factors = [wide // narrow for narrow, wide in zip(sides, result_sides, strict=True)]
        yield _zoom(graph, node.input[0], node.output[0], factors)
    else:
        yield node


def _zoom(graph: "GraphProto", narrow: str, wide: str, factors: list[int]) -> "NodeProto":
    """Make a node that repeats every pixel, by factors that are constants of the graph."""
    from onnx import helper, numpy_helper

    name = "times_{}_{}".format(*factors)
    if all(constant.name != name for constant in graph.initializer):
        scales = np.array([1, 1, *factors], np.float32)
        graph.initializer.append(numpy_helper.from_array(scales, name))
    inputs = [narrow, "", name]
    return helper.make_node("Resize", inputs, [wide], wide, nearest_mode="floor", **NEAREST)


def _note_shape(graph: "GraphProto", name: str, like: str) -> None:
    """Record a shape; without it the runtime does not see that two maps have the same size."""
    noted = graph.value_info.add()
    noted.CopyFrom(next(value for value in graph.value_info if value.name == like))
    noted.name = name


def _sides(graph: "GraphProto", name: str) -> list[int]:
    """Return height and width of maps (image, channel, height, width); nothing for other values."""
    shapes = [v.type.tensor_type.shape.dim for v in graph.value_info if v.name == name]
    return [axis.dim_value for axis in shapes[0][2:]] if shapes and len(shapes[0]) == 4 else []


def _mode(node: "NodeProto") -> bytes:
    return next((attribute.s for attribute in node.attribute if attribute.name == "mode"), b"")
