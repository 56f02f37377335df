"""What a plan is good for: change any of it, and the plan is built again.

A plan belongs to one version of TensorRT, one GPU and one graph. Its key is in its file's
name and in the record beside it.
"""

import hashlib
from dataclasses import asdict, dataclass

from engines.errors import EngineError
from engines.manifest import Precision

NONE = "none"
"""Driver and GPU of a machine that has neither: TensorRT-RTX builds there as well."""


@dataclass(frozen=True, kw_only=True)
class PlanKey:
    """Everything that invalidates a plan.

    Attributes:
        backend: `tensorrt` or `tensorrt-rtx`.
        version: Of that library.
        driver: The CUDA version that the driver speaks; every branch of it has its own.
        gpu: Compute capability, as "8.9".
        precision: Of the graph.
        max_batch: Most nodes of one run.
        onnx_sha256: Of the graph.
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
"""Field of the key, the refusal's code, how to say it. Any size of batch can be run."""


def check_fits(plan: PlanKey, here: PlanKey, fix: str) -> None:
    """Refuse a plan that was built for something else.

    Args:
        plan: What it was built for.
        here: What is here; any `max_batch`.
        fix: What to do.

    Raises:
        EngineError: E32 another version, E33 GPU, E34 driver, E35 graph.
    """
    for field, code, words in CHANGES:
        theirs, ours = getattr(plan, field), getattr(here, field)
        if theirs != ours:
            said = [words.format(value, backend=here.backend) for value in (theirs, ours)]
            raise EngineError(code, f"a plan for {said[0]}", said[1], fix)
