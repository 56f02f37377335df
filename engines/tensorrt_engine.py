"""Back end that runs a plan with TensorRT on an NVIDIA GPU (see `engines.tensorrt_run`)."""

from engines import tensorrt_run
from engines.back_ends import Precision
from engines.bundle import Bundle
from engines.protocol import Availability
from engines.tensorrt_flavours import TENSORRT, can_run

REQUIRES = TENSORRT.requires


def is_available() -> Availability:
    """Check whether plans can run here: library, CUDA for Python, driver and GPU."""
    return can_run(TENSORRT)


def load(
    bundle: Bundle,
    precision: Precision = "fp32",
    threads: int | None = None,
    why: str = "asked for",
) -> tensorrt_run.GpuEngine:
    """Load the plan that was built on this machine; `threads` is not used.

    Raises:
        EngineError: E02, E31 to E38, E40 to E42, E45, E47 (see `engines.tensorrt_run.load`).
    """
    return tensorrt_run.load(TENSORRT, bundle, precision, why)
