"""Back end that runs a bundle with ONNX Runtime, on the CPU; every installation has it."""

import importlib.util
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from engines.back_ends import Precision
from engines.bundle import Bundle
from engines.errors import EngineError
from engines.graph import FUSED, FUSED_LOGIT, GLOBAL, INPUT, LOCAL
from engines.patch import SPEC, crop
from engines.protocol import Availability, installed, too_old
from engines.scores import Scores, check_patches, check_scores
from engines.shapes import Crops, Patches

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

REQUIRES = {"onnxruntime": "1.20"}
DISTRIBUTIONS = ("onnxruntime", "onnxruntime-gpu", "onnxruntime-openvino")
Provider = Literal["cpu", "cuda"]
PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}
# TF32 would round fp32 to ten bits of mantissa, and the parity gate would refuse the engine.
PROVIDER_OPTIONS = {"cuda": {"use_tf32": "0"}}
RUN_NODES = 8
"""Number of nodes in one run on a CPU.

8 are 5 % faster than 16, and the threads wait less for the last run.
"""

RUNS_AT_ONCE = 2
"""Runs per thread that one call of `score` should hold, so that no thread has to wait."""

MOST_NODES = 256
"""Largest useful number of nodes per call (60 MB of patches); more are not faster."""


@dataclass(frozen=True, kw_only=True)
class OnnxEngine:
    """An ONNX Runtime session and its bundle; implements `engines.protocol.Engine`.

    On a CPU every thread runs whole batches alone. By default the runtime would let all threads
    work on one operator after the other, and they would wait for each other at every operator.

    Attributes:
        session: Session of ONNX Runtime; several threads may run it at once.
        runners: Thread pool that runs the session.
        run_nodes: Number of nodes in one run.
    """

    bundle: Bundle
    backend: str
    precision: Precision
    reason: str
    batch_nodes: int
    session: "InferenceSession"
    runners: ThreadPoolExecutor
    run_nodes: int

    def score(self, patches: Patches) -> Scores:
        """Score HU patches in runs of one size.

        A short last run repeats its first node until it is full. The runtime chooses its kernels
        by the size of a run, and a node's score must not depend on the number of nodes.

        Args:
            patches: Patches in HU, int16, shape (node, 18, 80, 80); may be memory-mapped.

        Returns:
            The scores of every node, in the order of the patches.

        Raises:
            EngineError: E08 the patches are not int16 HU of this shape; E15 an output is not a
                probability.
        """
        check_patches(patches)
        names = [output.name for output in self.session.get_outputs()]
        crops = crop(patches)
        starts = range(0, len(patches), self.run_nodes)
        runs = self.runners.map(
            lambda start: run(self.session, crops[start:][: self.run_nodes], self.run_nodes),
            starts,
        )
        parts = [np.empty((len(names), 0), np.float32), *runs]
        columns = dict(zip(names, np.concatenate(parts, axis=1), strict=True))
        scores = Scores(
            columns[FUSED], columns.get(LOCAL), columns.get(GLOBAL), columns[FUSED_LOGIT]
        )
        check_scores(scores)
        return scores


def run(session: "InferenceSession", crops: Crops, nodes: int = RUN_NODES) -> np.ndarray:
    """Run the session once.

    Args:
        session: Session of a graph with the input and outputs of an engine.
        crops: Crops in HU, shape (node, 16, 64, 64); at least one node, at most `nodes`.
        nodes: Size of the run; missing nodes are copies of the first.

    Returns:
        All outputs, shape (output, node).
    """
    hu = np.empty((nodes, *SPEC.crop_vox), np.float32)
    hu[: len(crops)], hu[len(crops) :] = crops, crops[0]
    outputs = session.run(None, {INPUT: hu})
    return np.stack([np.asarray(values) for values in outputs])[:, : len(crops)]


def is_available() -> Availability:
    """Check whether ONNX Runtime is installed, without loading it."""
    if importlib.util.find_spec("onnxruntime") is None:
        return Availability(False, f"onnxruntime>={REQUIRES['onnxruntime']} is not installed")
    if old := too_old(REQUIRES, {"onnxruntime": DISTRIBUTIONS}):
        return Availability(False, old)
    version = installed(DISTRIBUTIONS) or "of unknown version"
    return Availability(True, f"onnxruntime {version}")


def load(
    bundle: Bundle,
    precision: Precision = "fp32",
    threads: int | None = None,
    why: str = "asked for",
) -> OnnxEngine:
    """Make a session of the bundle's graph on the CPU.

    Args:
        bundle: The bundle.
        precision: Precision of the graph to load.
        threads: Number of CPU threads; by default all CPUs that this process may use.
        why: Why this back end was chosen; it becomes part of the engine's `reason`.

    Returns:
        The engine.

    Raises:
        EngineError: E14 the bundle has no graph of this precision.
    """
    return load_on("cpu", bundle, precision, threads or cpu_threads(), why)


def load_on(
    provider: Provider, bundle: Bundle, precision: Precision, threads: int, why: str
) -> OnnxEngine:
    """Make a session of the bundle's graph on a provider of ONNX Runtime.

    Args:
        provider: `cpu` or `cuda`; it is never replaced by the other one.
        bundle: The bundle.
        precision: Precision of the graph to load.
        threads: Number of threads that run the session; 1 on a GPU.
        why: Why this back end was chosen; it becomes part of the engine's `reason`.

    Raises:
        EngineError: E02 the provider cannot run here; E14 the bundle has no graph of this
            precision.
    """
    import onnxruntime

    _refuse_absent(provider)
    session = session_of(bundle.model_bytes(precision), provider)
    # ONNX Runtime uses the CPU instead, without an error, if the provider cannot start.
    if session.get_providers()[0] != PROVIDERS[provider]:
        raise EngineError(
            "E02",
            f"ONNX Runtime could not start {PROVIDERS[provider]} and offers "
            f"{session.get_providers()[0]}",
            f"provider '{provider}'",
            "Check the driver, or choose the back end `onnx`.",
        )
    reason = f"onnx on {provider}, {precision}, onnxruntime {onnxruntime.__version__}: {why}"
    run_nodes = RUN_NODES if provider == "cpu" else MOST_NODES
    at_once = max(threads * run_nodes, min(threads * run_nodes * RUNS_AT_ONCE, MOST_NODES))
    runners = ThreadPoolExecutor(threads, thread_name_prefix="onnx")
    return OnnxEngine(
        bundle=bundle,
        backend="onnx",
        precision=precision,
        reason=reason,
        batch_nodes=at_once,
        session=session,
        runners=runners,
        run_nodes=run_nodes,
    )


def session_of(graph: bytes, provider: Provider = "cpu") -> "InferenceSession":
    """Make a session of a graph; on a CPU each run uses one thread.

    Args:
        graph: Bytes of the ONNX file.
        provider: `cpu` or `cuda`; ONNX Runtime uses the CPU if `cuda` cannot start.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors only: the warnings are about changes of the graph
    if provider == "cpu":
        options.intra_op_num_threads = 1
    chosen = (PROVIDERS[provider], PROVIDER_OPTIONS.get(provider, {}))
    return onnxruntime.InferenceSession(graph, options, providers=[chosen])


def _refuse_absent(provider: Provider) -> None:
    import onnxruntime

    there = onnxruntime.get_available_providers()
    if PROVIDERS[provider] not in there:
        raise EngineError(
            "E02",
            f"this onnxruntime without {PROVIDERS[provider]} (it has {', '.join(there)})",
            f"provider '{provider}'",
            "Install onnxruntime-gpu, or choose the back end `onnx`.",
        )


def cpu_threads() -> int:
    """Return the number of CPUs that this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)  # exists on Linux
    return len(affinity(0)) if affinity else os.cpu_count() or 1
