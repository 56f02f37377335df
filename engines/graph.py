"""Check an ONNX graph before a runtime loads it.

It must be valid, hold all of its weights in one file, and have the inputs and outputs of an
engine.
"""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from engines.errors import EngineError
from engines.patch import SPEC

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto, TensorProto

INPUT = "hu"
FUSED, LOCAL, GLOBAL, FUSED_LOGIT = "fused", "local", "global", "fused_logit"
OUTPUTS = ((FUSED, FUSED_LOGIT), (FUSED, LOCAL, GLOBAL, FUSED_LOGIT))
"""Names of the outputs for one stream and for two; each is float32 of shape (node,)."""


def check_graph(data: bytes, name: str) -> None:
    """Raise an error if a graph is damaged, needs other files, or has other inputs or outputs.

    Args:
        data: The ONNX file's bytes.
        name: The engine's name, for the message.

    Raises:
        EngineError: E07.
    """
    import onnx
    from google.protobuf.message import DecodeError

    def refuse(found: str, wanted: str) -> EngineError:
        found = f"ONNX graph of engine '{name}': {found}"
        return EngineError("E07", found, wanted, "Export or import the engine again.")

    try:
        model = onnx.load_model_from_string(data)
        onnx.checker.check_model(data)
    except (DecodeError, onnx.checker.ValidationError) as error:
        raise refuse(str(error).splitlines()[0], "a valid ONNX model") from error
    outside = [t.name for t in _tensors(model) if t.data_location == t.EXTERNAL]
    if outside:
        raise refuse(f"weights outside the file ({outside[0]})", "all weights inside")
    ends = [v.name for v in model.graph.input], tuple(v.name for v in model.graph.output)
    if ends[0] != [INPUT] or ends[1] not in OUTPUTS:
        found = f"{', '.join(ends[0])} to {', '.join(ends[1])}"
        raise refuse(found, f"{INPUT} to {', '.join(OUTPUTS[-1])}")
    tensor = model.graph.input[0].type.tensor_type
    shape = [d.dim_value for d in tensor.shape.dim]
    if shape != [0, *SPEC.crop_vox] or tensor.elem_type != onnx.TensorProto.FLOAT:
        raise refuse(f"input of shape {shape}", f"float32 (node, {SPEC.crop_vox})")


def _tensors(model: "ModelProto") -> Iterator["TensorProto"]:
    """Yield every tensor of the model, also those inside attributes, subgraphs and functions."""
    yield from _graph_tensors(model.graph)
    for function in model.functions:
        yield from _node_tensors(function.node)


def _graph_tensors(graph: "GraphProto") -> Iterator["TensorProto"]:
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    yield from _node_tensors(graph.node)


def _node_tensors(nodes: Iterable["NodeProto"]) -> Iterator["TensorProto"]:
    for node in nodes:
        for attribute in node.attribute:
            yield from (attribute.t, *attribute.tensors)
            for sparse in (attribute.sparse_tensor, *attribute.sparse_tensors):
                yield from (sparse.values, sparse.indices)
            for graph in (attribute.g, *attribute.graphs):
                yield from _graph_tensors(graph)
