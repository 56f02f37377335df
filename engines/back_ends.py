"""Names of the back ends and of their modules; importing this file loads none of them."""

from typing import Literal

Precision = Literal["fp32", "fp16"]

AUTO = "auto"
BACKENDS = {
    "tensorrt": "engines.tensorrt_engine",
    "tensorrt-rtx": "engines.tensorrt_rtx_engine",
    "onnx-cuda": "engines.onnx_cuda_engine",
    "openvino": "engines.openvino_engine",
    "onnx": "engines.onnx_engine",
}
"""Module of each back end, fastest first; `auto` takes the first one that can run."""
PRECISIONS: tuple[Precision, ...] = ("fp32", "fp16")
