"""Back end that runs a bundle with OpenVINO on the CPU, in float32.

On new processors OpenVINO would choose bfloat16 by itself, and bfloat16 fails the parity gate.
"""

import importlib
import importlib.util
import io
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from engines.back_ends import Precision
from engines.bundle import Bundle
from engines.errors import EngineError
from engines.graph import FUSED, FUSED_LOGIT, GLOBAL, INPUT, LOCAL
from engines.onnx_engine import RUNS_AT_ONCE, cpu_threads
from engines.patch import SPEC, crop
from engines.protocol import Availability, installed, too_old
from engines.scores import Scores, check_patches, check_scores
from engines.shapes import Patches

REQUIRES = {"openvino": "2025.0"}
RUN_NODES = 16
"""Number of nodes in one run; 8 are 2 % slower, 32 are not faster."""


@dataclass(frozen=True, kw_only=True)
class OpenvinoEngine:
    """A compiled model and its bundle; implements `engines.protocol.Engine`.

    Attributes:
        compiled: OpenVINO's compiled model, for runs of `RUN_NODES` nodes.
        outputs: Names of the outputs, in the order of the model before it was compiled
            (compiling adds other names).
        runners: Thread pool with one thread for each stream of OpenVINO.
    """

    bundle: Bundle
    backend: str
    precision: Precision
    reason: str
    batch_nodes: int
    compiled: Any
    outputs: tuple[str, ...]
    runners: ThreadPoolExecutor

    def score(self, patches: Patches) -> Scores:
        """Score HU patches in runs of one size; a short last run repeats its first node.

        Raises:
            EngineError: E08 the patches are not int16 HU of the right shape; E15 an output is
                not a probability.
        """
        check_patches(patches)
        starts = range(0, len(patches), RUN_NODES)
        runs = self.runners.map(lambda start: self._run(patches[start:][:RUN_NODES]), starts)
        parts = [np.empty((len(self.outputs), 0), np.float32), *runs]
        columns = dict(zip(self.outputs, np.concatenate(parts, axis=1), strict=True))
        scores = Scores(
            columns[FUSED], columns.get(LOCAL), columns.get(GLOBAL), columns[FUSED_LOGIT]
        )
        check_scores(scores)
        return scores

    def _run(self, patches: Patches) -> np.ndarray:
        hu, cropped = np.empty((RUN_NODES, *SPEC.crop_vox), np.float32), crop(patches)
        hu[: len(patches)], hu[len(patches) :] = cropped, cropped[0]
        request = self.compiled.create_infer_request()
        results = request.infer({INPUT: hu})
        return np.stack([results[index] for index in range(len(self.outputs))])[:, : len(patches)]


def is_available() -> Availability:
    """Check whether OpenVINO is installed, without loading it."""
    version = installed(("openvino",))
    if version is None or importlib.util.find_spec("openvino") is None:
        return Availability(False, "openvino is not installed")
    if old := too_old(REQUIRES):
        return Availability(False, old)
    return Availability(True, f"openvino {version}")


def load(
    bundle: Bundle,
    precision: Precision = "fp32",
    threads: int | None = None,
    why: str = "asked for",
) -> OpenvinoEngine:
    """Compile the bundle's graph; the arithmetic is float32 for both precisions.

    Raises:
        EngineError: E02 OpenVINO cannot compile the graph; E14 the bundle has no graph of this
            precision.
    """
    sys.modules.setdefault("openvino_telemetry", None)  # pyright: ignore[reportArgumentType]
    # No data may leave the machine: without that package OpenVINO uses an empty replacement.
    openvino, threads = importlib.import_module("openvino"), threads or cpu_threads()
    options = {
        "INFERENCE_PRECISION_HINT": "f32",
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": threads,
    }
    try:
        core = openvino.Core()
        model = core.read_model(io.BytesIO(bundle.model_bytes(precision)))
        outputs = tuple(output.get_any_name() for output in model.outputs)
        model.reshape({INPUT: [RUN_NODES, *SPEC.crop_vox]})
        compiled = core.compile_model(model, "CPU", options)
    except RuntimeError as error:
        found = f"OpenVINO cannot compile the graph: {str(error).splitlines()[0]}"
        raise EngineError("E02", found, "a graph that it compiles", "Use `onnx`.") from error
    reason = f"openvino on cpu, {precision}, openvino {installed(('openvino',))}: {why}"
    nodes = threads * RUN_NODES * RUNS_AT_ONCE
    runners = ThreadPoolExecutor(threads, thread_name_prefix="openvino")
    return OpenvinoEngine(
        bundle=bundle,
        backend="openvino",
        precision=precision,
        reason=reason,
        batch_nodes=nodes,
        compiled=compiled,
        outputs=outputs,
        runners=runners,
    )
