"""ONNX Runtime: the engine that every installation has; CUDA and OpenVINO are its options."""

import importlib.util
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from engines.bundle import Bundle
from engines.errors import EngineError
from engines.graph import FUSED, FUSED_LOGIT, GLOBAL, INPUT, LOCAL
from engines.patch import SPEC, crop
from engines.protocol import Availability, Precision, installed
from engines.scores import Scores, check_patches, check_scores
from engines.shapes import Patches

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

REQUIRES = {"onnxruntime": "1.20"}
DISTRIBUTIONS = ("onnxruntime", "onnxruntime-gpu", "onnxruntime-openvino")
PROVIDERS = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "openvino": "OpenVINOExecutionProvider",
}
# TF32 would round fp32 to ten bits of mantissa: the golden gate would refuse it.
PROVIDER_OPTIONS = {"cuda": {"use_tf32": "0"}}
BATCH_NODES = 16


@dataclass(frozen=True)
class OnnxEngine:
    """A session and the bundle behind it (see `engines.protocol.Engine`)."""

    bundle: Bundle
    backend: str
    precision: Precision
    reason: str
    session: "InferenceSession"
    batch_nodes: int = BATCH_NODES

    def score(self, patches: Patches) -> Scores:
        """Score HU patches in batches of one size.

        The last batch is filled up with its first node: the runtime chooses its kernels by
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
        columns = {name: np.empty(len(patches), np.float32) for name in names}
        hu = np.empty((self.batch_nodes, *SPEC.crop_vox), np.float32)
        for start in range(0, len(patches), self.batch_nodes):
            batch = crop(patches[start : start + self.batch_nodes])
            hu[: len(batch)], hu[len(batch) :] = batch, batch[0]
            for name, values in zip(names, self.session.run(names, {INPUT: hu}), strict=True):
                columns[name][start : start + len(batch)] = np.asarray(values)[: len(batch)]
        scores = Scores(
            columns[FUSED], columns.get(LOCAL), columns.get(GLOBAL), columns[FUSED_LOGIT]
        )
        check_scores(scores)
        return scores


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
    provider: str = "cpu",
    why: str = "asked for",
) -> OnnxEngine:
    """Make a session of the bundle's graph.

    Args:
        bundle: The bundle.
        precision: Which of its graphs.
        threads: CPU threads of one operator; as many as this process may use by default.
        provider: `cpu`, `cuda` or `openvino`; never replaced by another.
        why: Why this back end; goes into the engine's `reason`.

    Returns:
        The engine.

    Raises:
        EngineError: E02 the provider cannot run here, E14 no such provider or precision.
    """
    import onnxruntime

    wanted = _provider(provider)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # its warnings are about graph rewriting
    options.intra_op_num_threads = threads or _threads()
    session = onnxruntime.InferenceSession(
        bundle.model_bytes(precision),
        options,
        providers=[(wanted, PROVIDER_OPTIONS.get(provider, {}))],
    )
    if session.get_providers()[0] != wanted:  # it falls back to the CPU without an error
        raise EngineError(
            "E02",
            f"ONNX Runtime could not start {wanted} and offers {session.get_providers()[0]}",
            f"provider '{provider}'",
            "Check the driver, or choose provider 'cpu'.",
        )
    reason = f"onnx on {provider}, {precision}, onnxruntime {onnxruntime.__version__}: {why}"
    return OnnxEngine(bundle, "onnx", precision, reason, session)


def _provider(provider: str) -> str:
    import onnxruntime

    if provider not in PROVIDERS:
        raise EngineError(
            "E14", f"provider '{provider}'", f"one of {', '.join(PROVIDERS)}", "Choose one."
        )
    there = onnxruntime.get_available_providers()
    if PROVIDERS[provider] not in there:
        raise EngineError(
            "E02",
            f"this onnxruntime without {PROVIDERS[provider]} (it has {', '.join(there)})",
            f"provider '{provider}'",
            f"Install onnxruntime with {provider} support, or choose provider 'cpu'.",
        )
    return PROVIDERS[provider]


def _threads() -> int:
    """0, the runtime's own choice, unless this process is confined to some of the CPUs."""
    affinity = getattr(os, "sched_getaffinity", None)  # Linux has it
    mine = len(affinity(0)) if affinity else os.cpu_count()
    return 0 if mine == os.cpu_count() else mine or 0
