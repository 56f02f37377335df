"""Back end that runs a bundle with ONNX Runtime on an NVIDIA GPU.

It is slower than a plan of TensorRT, but nothing has to be built first.
"""

from dataclasses import replace

from engines import cuda_driver, onnx_engine
from engines.back_ends import Precision
from engines.bundle import Bundle
from engines.protocol import Availability, installed, too_old

REQUIRES = {"onnxruntime-gpu": "1.20"}


def is_available() -> Availability:
    """Check whether ONNX Runtime with CUDA and a driver are installed; load only the driver."""
    version = installed(("onnxruntime-gpu",))
    if version is None:
        return Availability(False, "onnxruntime-gpu is not installed")
    if old := too_old(REQUIRES):
        return Availability(False, old)
    driver = cuda_driver.probe()
    if isinstance(driver, Availability):
        return driver
    return Availability(True, f"onnxruntime-gpu {version} on {driver.name}")


def load(
    bundle: Bundle,
    precision: Precision = "fp32",
    threads: int | None = None,
    why: str = "asked for",
) -> onnx_engine.OnnxEngine:
    """Make a session on the GPU; `threads` is not used.

    Raises:
        EngineError: E02 CUDA does not start in ONNX Runtime; E14 the bundle has no graph of this
            precision.
    """
    engine = onnx_engine.load_on("cuda", bundle, precision, 1, why)
    return replace(engine, backend="onnx-cuda")
