"""ONNX Runtime on an NVIDIA GPU: slower than a plan, and nothing has to be built."""

from dataclasses import replace

from engines import cuda_driver, onnx_engine
from engines.bundle import Bundle
from engines.manifest import Precision
from engines.protocol import Availability, installed

REQUIRES = {"onnxruntime-gpu": "1.20"}


def is_available() -> Availability:
    """Say whether ONNX Runtime with CUDA and a driver are here, without loading them."""
    version = installed(("onnxruntime-gpu",))
    if version is None:
        return Availability(False, "onnxruntime-gpu is not installed")
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
        EngineError: E02 CUDA does not start in ONNX Runtime, E14 no such precision.
    """
    engine = onnx_engine.load_on("cuda", bundle, precision, 1, why)
    return replace(engine, backend="onnx-cuda")
