"""ONNX Runtime: the back end that every installation has."""

import importlib.util
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from engines.bundle import Bundle
from engines.errors import EngineError
from engines.graph import FUSED, FUSED_LOGIT, GLOBAL, INPUT, LOCAL
from engines.manifest import Precision
from engines.patch import SPEC, crop
from engines.protocol import Availability, installed
from engines.scores import Scores, check_patches, check_scores
from engines.shapes import Crops, Patches

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

REQUIRES = {"onnxruntime": "1.20"}
DISTRIBUTIONS = ("onnxruntime", "onnxruntime-gpu", "onnxruntime-openvino")
Provider = Literal["cpu", "cuda"]
PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}
# TF32 would round fp32 to ten bits of mantissa: the golden gate would refuse it.
PROVIDER_OPTIONS = {"cuda": {"use_tf32": "0"}}
RUN_NODES = 8
"""Nodes of one run of the session on a CPU: 5 % faster than 16, and less waits for the last run."""

RUNS_AT_ONCE = 2
"""Runs of one thread that a caller should bring, so that no thread waits for the others."""

MOST_NODES = 256
"""60 MB of patches: more at once is not faster."""


@dataclass(frozen=True, kw_only=True)
class OnnxEngine:
    """A session and the bundle behind it (see `engines.protocol.Engine`).

    On a CPU every thread runs whole batches of its own: the runtime's way, all threads on
    one operator after the other, leaves them waiting for each other at every operator.

    Attributes:
        session: ONNX Runtime's; may be run by several threads at once.
        runners: The threads that run it.
        run_nodes: Nodes of one run.
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

        The last run is filled up with its first node: the runtime chooses its kernels by
        the size, and a node's score must not depend on how many came with it.

        Args:
            patches: HU, shape (node, 18, 80, 80); may be memory-mapped.

        Returns:
            Probabilities of every node, in order.

        Raises:
            EngineError: E08 for anything but HU patches, E15 for a model that gives no
                probabilities.
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
    """All outputs of one run, shape (output, node).

    Args:
        session: Of a graph with an engine's input and outputs.
        crops: HU, shape (node, 16, 64, 64): at least one node, at most `nodes`.
        nodes: The size of the run, filled up with the first node.
    """
    hu = np.empty((nodes, *SPEC.crop_vox), np.float32)
    hu[: len(crops)], hu[len(crops) :] = crops, crops[0]
    outputs = session.run(None, {INPUT: hu})
    return np.stack([np.asarray(values) for values in outputs])[:, : len(crops)]


def is_available() -> Availability:
    """Say whether ONNX Runtime is here, without loading it."""
    if importlib.util.find_spec("onnxruntime") is None:
        return Availability(False, f"onnxruntime>={REQUIRES['onnxruntime']} is not installed")
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
        precision: Which of its graphs.
        threads: CPU threads; as many as this process may use by default.
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
        provider: `cpu` or `cuda`; it is never replaced by another.
        bundle: The bundle.
        precision: Which of its graphs.
        threads: Threads that run the session; 1 on a GPU.
        why: Why this back end was chosen; it becomes part of the engine's `reason`.

    Raises:
        EngineError: E02 the provider cannot run here, E14 no graph of this precision.
    """
    import onnxruntime

    _refuse_absent(provider)
    session = session_of(bundle.model_bytes(precision), provider)
    # ONNX Runtime falls back to the CPU without an error.
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
    """A session of a graph; on a CPU one run has one thread, and several runs go at once.

    Args:
        graph: The ONNX file.
        provider: `cpu` or `cuda`; ONNX Runtime replaces one that cannot start.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # its warnings are about graph rewriting
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
    """CPUs that this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)  # Linux has it
    return len(affinity(0)) if affinity else os.cpu_count() or 1
