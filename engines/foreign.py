"""Type names for objects of libraries that may not be installed, for use in signatures."""

from typing import Any

TensorRT = Any
"""The module `tensorrt` or `tensorrt_rtx`, or an object of it."""

Handle = Any
"""A CUDA stream, event or graph."""

Native = Any
"""A shared library loaded with ctypes."""
