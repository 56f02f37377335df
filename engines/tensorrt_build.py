"""Build a plan from a bundle's graph with TensorRT or TensorRT-RTX.

Networks are strongly typed: the ONNX file sets the precision. The network is checked before the
plan is built, for two reasons: a finished plan can be inspected only on a machine with a GPU, and
TensorRT can parse bytes that are not a graph to an empty network without an error.
"""

import hashlib
import importlib
import platform
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime

from engines.back_ends import Precision
from engines.bundle import Bundle
from engines.errors import EngineError
from engines.foreign import TensorRT
from engines.graph import INPUT, OUTPUTS, check_graph
from engines.patch import SPEC
from engines.plans import PlanRecord
from engines.protocol import installed
from engines.tensorrt_flavours import Flavour, can_build, key_here, refusal

OPT_NODES = 64
"""Batch size that a plan is tuned for; `max_batch` if that is smaller."""

MAX_BATCH = 256
HALF_SHARE_MIN = 0.6
"""Smallest share of float16 among the floating-point layers of an fp16 network.

It is below 1 because window, zoom and sigmoid stay in float32.
"""

FIX = "Export the engine again, or use another back end; `lnscore engine verify` lists them."
NAMES = {"HALF": "half", "FLOAT": "float", "BF16": "bfloat16", "INT8": "int8", "FP8": "fp8"}


@dataclass
class Complaints:
    """Error messages that the library has logged."""

    lines: list[str] = field(default_factory=list)

    def last(self) -> str:
        """Return the last error message, for use in an error text."""
        return self.lines[-1].strip() if self.lines else "without a reason"


def logger(trt: TensorRT, complaints: Complaints) -> TensorRT:
    """Make a logger that stores errors in `complaints` and prints nothing."""

    class Logger(trt.ILogger):
        def __init__(self) -> None:
            trt.ILogger.__init__(self)

        def log(self, severity: TensorRT, msg: str) -> None:
            if severity in (trt.ILogger.ERROR, trt.ILogger.INTERNAL_ERROR):
                complaints.lines.append(msg)

    return Logger()


def build(
    bundle: Bundle, flavour: Flavour, precision: Precision, max_batch: int = MAX_BATCH
) -> tuple[PlanRecord, bytes]:
    """Build a plan in memory; no file is written.

    Args:
        bundle: The bundle.
        flavour: The library to build with.
        precision: Precision of the bundle's graph to build from.
        max_batch: Largest number of nodes in one run.

    Returns:
        The record of the plan, and the plan's bytes.

    Raises:
        EngineError: E02, E40 to E42 the plan cannot be built here; E07, E14 the bundle has no
            such graph; E30 the parser refuses a node; E43 the network differs from the graph;
            E44 TensorRT made no plan.
    """
    data = bundle.model_bytes(precision)
    check_graph(data, bundle.name)
    started_s = time.monotonic()
    plan, layers = compiled(data, flavour, precision, max_batch)
    record = PlanRecord(
        key=key_here(flavour, precision, max_batch, bundle.manifest.models[precision].sha256),
        sha256=hashlib.sha256(plan).hexdigest(),
        size_bytes=len(plan),
        built=datetime.now(UTC),
        build_s=round(time.monotonic() - started_s, 3),
        layers=layers,
        tools={
            flavour.backend: flavour.version or "unknown",
            "onnx": installed(("onnx",)) or "unknown",
            "python": platform.python_version(),
        },
    )
    return record, plan


def compiled(
    data: bytes, flavour: Flavour, precision: Precision, max_batch: int
) -> tuple[bytes, dict[str, int]]:
    """Build the plan of a graph, which must have been checked with `check_graph`.

    Returns:
        The plan's bytes, and the number of layers by type (see `layer_types`).

    Raises:
        EngineError: The same codes as `build`, except E07 and E14.
    """
    state = can_build(flavour)
    if not state:
        raise refusal(flavour.backend, state)
    trt, complaints = importlib.import_module(flavour.module), Complaints()
    builder = _made(trt.Builder(logger(trt, complaints)), "a builder", complaints)
    network = parsed(trt, builder, data, complaints)
    check_network(trt, network, precision)
    return _serialised(trt, builder, network, max_batch, complaints), layer_types(network)


def parsed(trt: TensorRT, builder: TensorRT, data: bytes, complaints: Complaints) -> TensorRT:
    """Parse an ONNX graph into a TensorRT network.

    Raises:
        EngineError: E30 the parser refuses a node; E44 TensorRT made no network.
    """
    network = _made(builder.create_network(0), "a network", complaints)
    parser = _made(trt.OnnxParser(network, logger(trt, complaints)), "a parser", complaints)
    if parser.parse(data):
        return network
    errors = [parser.get_error(index) for index in range(parser.num_errors)]
    found = "; ".join(_parser_error(error) for error in errors[:3]) or complaints.last()
    raise EngineError("E30", f"TensorRT's parser refuses {found}", "operators it knows", FIX)


def check_network(trt: TensorRT, network: TensorRT, precision: Precision) -> None:
    """Raise an error if the network's inputs, outputs or precision are not those of the graph.

    Raises:
        EngineError: E43.
    """
    ends = [network.get_input(i) for i in range(network.num_inputs)]
    outputs = [network.get_output(i) for i in range(network.num_outputs)]
    found = {end.name: (end.dtype, tuple(end.shape)) for end in (*ends, *outputs)}
    wanted = {INPUT: (trt.DataType.FLOAT, (-1, *SPEC.crop_vox))}
    names = next((o for o in OUTPUTS if len(o) == len(outputs)), OUTPUTS[-1])
    wanted |= {name: (trt.DataType.FLOAT, (-1,)) for name in names}
    if network.num_layers == 0 or found != wanted:
        said = ", ".join(f"{n} {s}" for n, (_, s) in found.items()) or "neither input nor output"
        raise EngineError(
            "E43",
            f"a network of {network.num_layers} layers with {said}",
            f"{INPUT} (-1, {', '.join(map(str, SPEC.crop_vox))}) to {', '.join(names)} (-1,)",
            FIX,
        )
    share = half_share(layer_types(network))
    low, high = (HALF_SHARE_MIN, 1.0) if precision == "fp16" else (0.0, 0.0)
    if not low <= share <= high:
        raise EngineError(
            "E43",
            f"{share:.0%} of the layers in half precision",
            f"{low:.0%} to {high:.0%} in a network of {precision}",
            FIX,
        )


def layer_types(network: TensorRT) -> dict[str, int]:
    """Count layers by the type of their first output, `other` being sizes and indices.

    The keys are `half`, `float`, `bfloat16`, `int8`, `fp8` and `other`.
    """
    counted: Counter[str] = Counter()
    for index in range(network.num_layers):
        layer = network.get_layer(index)
        if layer.num_outputs:
            counted[NAMES.get(layer.get_output(0).dtype.name, "other")] += 1
    return dict(counted)


def half_share(layers: dict[str, int]) -> float:
    """Return the share of float16 layers among the float16 and float32 layers."""
    half, full = layers.get("half", 0), layers.get("float", 0)
    return half / max(half + full, 1)


def sizes(max_batch: int) -> tuple[int, int, int]:
    """Return the smallest, the tuned and the largest batch size of a plan's only profile."""
    return 1, min(OPT_NODES, max_batch), max_batch


def _serialised(
    trt: TensorRT, builder: TensorRT, network: TensorRT, max_batch: int, complaints: Complaints
) -> bytes:
    config = _made(builder.create_builder_config(), "a configuration", complaints)
    config.clear_flag(trt.BuilderFlag.TF32)  # it would round fp32 to ten bits of mantissa
    profile = _made(builder.create_optimization_profile(), "a profile", complaints)
    shapes = [(size, *SPEC.crop_vox) for size in sizes(max_batch)]
    profile.set_shape(INPUT, *shapes)
    kept = [tuple(shape) for shape in profile.get_shape(INPUT) or ()]
    if kept != shapes or config.add_optimization_profile(profile) != 0:
        raise EngineError("E44", f"a profile of {kept or 'no shapes'}", f"{shapes}", FIX)
    return bytes(_made(builder.build_serialized_network(network, config), "a plan", complaints))


def _made(thing: TensorRT, name: str, complaints: Complaints) -> TensorRT:
    """Return what the library made, or raise E44 if the library returned None."""
    if thing is None:
        raise EngineError("E44", f"TensorRT made nothing ({complaints.last()})", name, FIX)
    return thing


def _parser_error(error: TensorRT) -> str:
    where = f"node '{error.node_name()}' ({error.node_operator()})"
    return f"{where}: {' '.join(error.desc().split())}"
