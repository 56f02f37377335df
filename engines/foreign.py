"""Names for objects of libraries that may not be installed, for signatures to say."""

from typing import Any

TensorRT = Any
"""The module `tensorrt` or `tensorrt_rtx`, or an object of it."""

Handle = Any
"""A stream, an event or a graph of CUDA."""

Native = Any
"""A shared library."""
