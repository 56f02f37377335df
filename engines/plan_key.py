"""The key of a plan: everything that the plan depends on.

A plan works with one version of TensorRT, one GPU, one driver and one graph. If any of them
changes, the plan must be built again. The key is part of the plan's file name and stands in
the record beside the plan.
"""

import hashlib
from dataclasses import asdict, dataclass

from engines.back_ends import Precision
from engines.errors import EngineError

NONE = "none"
"""Value of `driver` and `gpu` on a machine without a GPU: TensorRT-RTX can build plans there."""


@dataclass(frozen=True, kw_only=True)
class PlanKey:
    """Everything that a plan depends on.

    Attributes:
        backend: `tensorrt` or `tensorrt-rtx`.
        version: Version of that library.
        driver: CUDA version that the driver supports; it differs between driver branches.
        gpu: Compute capability of the GPU, for example "8.9".
        precision: Precision of the graph.
        max_batch: Largest number of nodes in one run.
        onnx_sha256: SHA-256 of the ONNX graph.
    """

    backend: str
    version: str
    driver: str
    gpu: str
    precision: Precision
    max_batch: int
    onnx_sha256: str

    @property
    def stem(self) -> str:
        """Name of the plan's files, without a suffix."""
        text = "\n".join(f"{name}={value}" for name, value in asdict(self).items())
        digest = hashlib.sha256(text.encode()).hexdigest()[:12]
        return f"{self.backend}-{self.version}-{self.precision}-b{self.max_batch}-{digest}"


CHANGES = (
    ("version", "E32", "version {} of {backend}"),
    ("gpu", "E33", "a GPU of compute capability {}"),
    ("driver", "E34", "a driver of CUDA {}"),
    ("onnx_sha256", "E35", "the graph with SHA-256 {:.16}…"),
)
"""Field of the key, error code, message text. `max_batch` is missing: any size can be run."""


def check_fits(plan: PlanKey, here: PlanKey, fix: str) -> None:
    """Raise an error if a plan was built for another library, GPU, driver or graph.

    Args:
        plan: The key that the plan was built with.
        here: The key of this machine; its `max_batch` is ignored.
        fix: What the user can do, for the message.

    Raises:
        EngineError: E32 another version, E33 GPU, E34 driver, E35 graph.
    """
    for field, code, words in CHANGES:
        theirs, ours = getattr(plan, field), getattr(here, field)
        if theirs != ours:
            said = [words.format(value, backend=here.backend) for value in (theirs, ours)]
            raise EngineError(code, f"a plan for {said[0]}", said[1], fix)
