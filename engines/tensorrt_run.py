"""Load a plan and score with it; the same code serves TensorRT and TensorRT-RTX."""

import importlib
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field

from engines import plans
from engines.back_ends import Precision
from engines.bundle import Bundle
from engines.cuda_memory import Cuda, failure
from engines.errors import EngineError
from engines.foreign import Handle, TensorRT
from engines.gpu_pipeline import Pipeline
from engines.graph import FUSED, FUSED_LOGIT, GLOBAL, INPUT, LOCAL, OUTPUTS
from engines.patch import SPEC, crop
from engines.plans import PlanRecord
from engines.scores import Scores, check_patches, check_scores
from engines.shapes import Patches
from engines.tensorrt_build import Complaints, logger, sizes
from engines.tensorrt_flavours import Flavour, can_run, key_here, refusal

RUNS_AT_ONCE = 4
"""Number of runs that one call of `score` should hold.

With two or more, copying and computing overlap.
"""


@dataclass(frozen=True, kw_only=True)
class GpuEngine:
    """A plan on the GPU and its bundle; implements `engines.protocol.Engine`.

    Attributes:
        pipeline: Buffers, streams and CUDA graphs for runs of one size.
        lock: Lock that lets one thread score at a time, because the buffers are shared.
        kept: TensorRT objects that must live as long as the pipeline.
    """

    bundle: Bundle
    backend: str
    precision: Precision
    reason: str
    batch_nodes: int
    pipeline: Pipeline
    kept: tuple[TensorRT, ...] = ()
    lock: threading.Lock = field(default_factory=threading.Lock)

    def score(self, patches: Patches) -> Scores:
        """Score HU patches of shape (node, 18, 80, 80).

        Raises:
            EngineError: E08 the patches are not int16 HU of this shape; E15 an output is not a
                probability; E45 the GPU's memory is full; E46 the GPU failed.
        """
        check_patches(patches)
        with self.lock:
            columns = self.pipeline.run(crop(patches))
        scores = Scores(
            columns[FUSED], columns.get(LOCAL), columns.get(GLOBAL), columns[FUSED_LOGIT]
        )
        check_scores(scores)
        return scores


def load(
    flavour: Flavour, bundle: Bundle, precision: Precision, why: str, run_nodes: int | None = None
) -> GpuEngine:
    """Load the plan that fits this machine.

    Args:
        flavour: The library to load with.
        bundle: The bundle.
        precision: Precision of the plan.
        why: Why this back end was chosen; it becomes part of the engine's `reason`.
        run_nodes: Number of nodes in one run; by default the size that the plan is tuned for.

    Returns:
        The engine.

    Raises:
        EngineError: E02, E40 to E42 the library cannot run here; E31 to E38 no plan fits; E45
            the GPU's memory is full; E46 the GPU failed; E47 the plan cannot be loaded.
    """
    state = can_run(flavour)
    if not state:
        raise refusal(flavour.backend, state)
    onnx_sha256 = bundle.manifest.models[precision].sha256
    record, data = plans.find(
        bundle,
        key_here(flavour, precision, 0, onnx_sha256),
        how_to_build(bundle, flavour, precision),
    )
    trt, complaints = importlib.import_module(flavour.module), Complaints()
    runtime = trt.Runtime(logger(trt, complaints))
    engine = runtime.deserialize_cuda_engine(data)
    if engine is None:
        raise _unloadable(record, complaints.last())
    outputs = check_plan(trt, engine, record)
    nodes = run_nodes or sizes(record.key.max_batch)[1]
    context = _context(trt, engine, nodes, complaints)
    pipeline = Pipeline(Cuda(), _Enqueue(context, complaints), outputs, nodes, _graphs(context))
    reason = f"{state.reason}, {precision}, plan of {record.built:%Y-%m-%d}: {why}"
    batch_nodes = nodes * RUNS_AT_ONCE
    kept = (runtime, engine, context)
    return GpuEngine(
        bundle=bundle,
        backend=flavour.backend,
        precision=precision,
        reason=reason,
        batch_nodes=batch_nodes,
        pipeline=pipeline,
        kept=kept,
    )


def how_to_build(bundle: Bundle, flavour: Flavour, precision: Precision) -> str:
    """Return the sentence that tells the user how to build the plan."""
    asked = f"--backend {flavour.backend} --precision {precision} --rebuild"
    return f"Build it here: lnscore engine build {bundle.name} {asked}"


def check_plan(trt: TensorRT, engine: TensorRT, record: PlanRecord) -> tuple[str, ...]:
    """Raise an error if a plan's inputs, outputs or batch sizes are not those of its record.

    Returns:
        The names of the plan's outputs.

    Raises:
        EngineError: E47.
    """
    names = [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)]
    outputs = next((known for known in OUTPUTS if {INPUT, *known} == set(names)), None)
    if outputs is None or any(engine.get_tensor_dtype(n) != trt.DataType.FLOAT for n in names):
        raise _unloadable(record, f"it has the tensors {', '.join(names)}")
    shapes = [tuple(shape) for shape in engine.get_tensor_profile_shape(INPUT, 0)]
    if shapes != [(size, *SPEC.crop_vox) for size in sizes(record.key.max_batch)]:
        raise _unloadable(record, f"its profile is {shapes}")
    return outputs


@dataclass(frozen=True)
class _Enqueue:
    """A callable that queues one run of the execution context on a stream."""

    context: TensorRT
    complaints: Complaints

    def __call__(self, addresses: Mapping[str, int], stream: Handle) -> None:
        for name, address in addresses.items():
            self.context.set_tensor_address(name, address)
        if not self.context.execute_async_v3(int(stream)):
            raise failure(self.complaints.last(), out="memory" in self.complaints.last().lower())


def _context(trt: TensorRT, engine: TensorRT, nodes: int, complaints: Complaints) -> TensorRT:
    """Make an execution context for runs of one size."""
    strategies = getattr(trt, "DynamicShapesKernelSpecializationStrategy", None)
    if strategies is None:
        context = engine.create_execution_context()
    else:  # otherwise kernels are replaced during use, and scores change slightly
        config = engine.create_runtime_config()
        config.dynamic_shapes_kernel_specialization_strategy = strategies.EAGER
        context = engine.create_execution_context(config)
    if context is None or not context.set_input_shape(INPUT, (nodes, *SPEC.crop_vox)):
        said = complaints.last()
        raise failure(said, out=context is None and "memory" in said.lower())
    return context


def _graphs(context: TensorRT) -> bool:
    """Return whether runs can be captured as CUDA graphs.

    TensorRT always can; TensorRT-RTX is asked.
    """
    asked = getattr(context, "is_stream_capturable", None)
    return asked is None or bool(asked(0))


def _unloadable(record: PlanRecord, found: str) -> EngineError:
    key = record.key
    return EngineError(
        "E47",
        f"plan '{key.stem}' cannot be loaded: {found}",
        f"a plan that {key.backend} {key.version} loads",
        f"Build it again: lnscore engine build NAME --backend {key.backend} "
        f"--precision {key.precision} --rebuild",
    )
