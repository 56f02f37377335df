"""Build a plan from a bundle's graph with TensorRT or TensorRT-RTX.

Networks are strongly typed: the precision is what the ONNX file says. The network is checked
before it is built, because a plan shows its inside only where a GPU is, and because bytes that
are no graph can be parsed to an empty network without an error.
"""

import hashlib
import importlib
import platform
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime

from engines.bundle import Bundle
from engines.errors import EngineError
from engines.foreign import TensorRT
from engines.graph import INPUT, OUTPUTS, check_graph
from engines.manifest import Precision
from engines.patch import SPEC
from engines.plans import PlanRecord
from engines.protocol import installed
from engines.tensorrt_flavours import Flavour, can_build, key_here, refusal

OPT_NODES = 64
"""The size of batch that a plan is tuned for; smaller where the largest is."""

MAX_BATCH = 256
HALF_SHARE_MIN = 0.6
"""Of the floating-point layers of an fp16 network: window, zoom and sigmoid stay float32."""

FIX = "Export the engine again, or use another back end; `lnscore engine verify` lists them."
NAMES = {"HALF": "half", "FLOAT": "float", "BF16": "bfloat16", "INT8": "int8", "FP8": "fp8"}


@dataclass
class Complaints:
    """What the library logs as an error."""

    lines: list[str] = field(default_factory=list)

    def last(self) -> str:
        """The last of them, for a message."""
        return self.lines[-1].strip() if self.lines else "without a reason"


def logger(trt: TensorRT, complaints: Complaints) -> TensorRT:
    """A logger that keeps errors and prints nothing."""

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
    """Build a plan; nothing is written.

    Args:
        bundle: The bundle.
        flavour: With which library.
        precision: From which of the bundle's graphs.
        max_batch: Most nodes of one run.

    Returns:
        What is known of the plan, and its bytes.

    Raises:
        EngineError: E02, E40 to E42 it cannot be built here; E07, E14 no such graph; E30 the
            parser refuses a node; E43 the network is not the graph's; E44 no plan.
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
    """A graph's plan, and the layers of its network by type (see `layer_types`).

    Raises:
        EngineError: As `build`; the graph must have been checked.
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
    """The graph as a network.

    Raises:
        EngineError: E30 with the node that the parser refuses; E44 no network at all.
    """
    network = _made(builder.create_network(0), "a network", complaints)
    parser = _made(trt.OnnxParser(network, logger(trt, complaints)), "a parser", complaints)
    if parser.parse(data):
        return network
    errors = [parser.get_error(index) for index in range(parser.num_errors)]
    found = "; ".join(_parser_error(error) for error in errors[:3]) or complaints.last()
    raise EngineError("E30", f"TensorRT's parser refuses {found}", "operators it knows", FIX)


def check_network(trt: TensorRT, network: TensorRT, precision: Precision) -> None:
    """Refuse a network whose ends or precision are not the graph's.

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
    """Layers by the type of their first output: `half`, `float`, `other` (sizes, indices)."""
    counted: Counter[str] = Counter()
    for index in range(network.num_layers):
        layer = network.get_layer(index)
        if layer.num_outputs:
            counted[NAMES.get(layer.get_output(0).dtype.name, "other")] += 1
    return dict(counted)


def half_share(layers: dict[str, int]) -> float:
    """Share of the floating-point layers that are float16."""
    half, full = layers.get("half", 0), layers.get("float", 0)
    return half / max(half + full, 1)


def sizes(max_batch: int) -> tuple[int, int, int]:
    """Smallest, tuned and largest batch of a plan's one profile."""
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
    """What the library made; it answers None where it could not."""
    if thing is None:
        raise EngineError("E44", f"TensorRT gave none ({complaints.last()})", name, FIX)
    return thing


def _parser_error(error: TensorRT) -> str:
    where = f"node '{error.node_name()}' ({error.node_operator()})"
    return f"{where}: {' '.join(error.desc().split())}"
