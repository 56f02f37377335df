"""GPU memory, streams, events and CUDA graphs through `cuda-python`, with numpy and no torch."""

import ctypes
import importlib
from collections.abc import Callable

import numpy as np

from engines.errors import EngineError
from engines.foreign import Handle

OUT_OF_MEMORY = "cudaErrorMemoryAllocation"
FREE_MEMORY = (
    "Build the plan with a smaller --max-batch, end what else uses the GPU, or use another back "
    "end."
)


class Cuda:
    """CUDA runtime on the first GPU; implements `engines.gpu_pipeline.Gpu`.

    Reserved memory is freed only when the process ends, because an engine is loaded once.
    """

    def __init__(self) -> None:
        """Load the bindings; call `cuda_driver.probe` first to make sure that there is a driver."""
        self._cuda = importlib.import_module("cuda.bindings.runtime")

    def device(self, size_bytes: int) -> int:
        """Reserve memory on the GPU and return its address."""
        return int(self._call("cudaMalloc", size_bytes))

    def pinned(self, shape: tuple[int, ...]) -> np.ndarray:
        """Reserve pinned float32 host memory, which the GPU reads without an extra copy."""
        count = int(np.prod(shape))
        address = int(self._call("cudaMallocHost", 4 * count))
        numbers = (ctypes.c_float * count).from_address(address)
        return np.ctypeslib.as_array(numbers).reshape(shape)

    def stream(self) -> Handle:
        """Create a stream that does not wait for the default stream."""
        return self._call("cudaStreamCreateWithFlags", self._cuda.cudaStreamNonBlocking)

    def event(self) -> Handle:
        """Create an event without timing."""
        return self._call("cudaEventCreateWithFlags", self._cuda.cudaEventDisableTiming)

    def copy_in(self, device: int, host: np.ndarray, stream: Handle) -> None:
        """Queue a copy to the GPU."""
        kind = self._cuda.cudaMemcpyKind.cudaMemcpyHostToDevice
        self._call("cudaMemcpyAsync", device, host.ctypes.data, host.nbytes, kind, stream)

    def copy_out(self, host: np.ndarray, device: int, stream: Handle) -> None:
        """Queue a copy from the GPU."""
        kind = self._cuda.cudaMemcpyKind.cudaMemcpyDeviceToHost
        self._call("cudaMemcpyAsync", host.ctypes.data, device, host.nbytes, kind, stream)

    def record(self, event: Handle, stream: Handle) -> None:
        """Queue the event on the stream."""
        self._call("cudaEventRecord", event, stream)

    def wait(self, event: Handle, stream: Handle) -> None:
        """Make the stream wait until the event is reached."""
        self._call("cudaStreamWaitEvent", stream, event, 0)

    def synchronise(self, event: Handle) -> None:
        """Make the host wait until the event is reached; errors of queued work are raised here."""
        self._call("cudaEventSynchronize", event)

    def captured(self, stream: Handle, work: Callable[[], None]) -> Handle:
        """Capture everything that `work` queues as one CUDA graph.

        `work` is run once before the capture: its first run reserves memory, which is not
        allowed during a capture.
        """
        work()
        self._call("cudaStreamSynchronize", stream)
        mode = self._cuda.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal
        self._call("cudaStreamBeginCapture", stream, mode)
        try:
            work()
        finally:
            graph = self._call("cudaStreamEndCapture", stream)
        return self._call("cudaGraphInstantiate", graph, 0)

    def launch(self, graph: Handle, stream: Handle) -> None:
        """Queue a CUDA graph."""
        self._call("cudaGraphLaunch", graph, stream)

    def _call(self, name: str, *arguments: object) -> Handle:
        """Call a function of the runtime, which returns an error code and its result, if any.

        Raises:
            EngineError: E45 out of memory, E46 any other error.
        """
        error, *made = getattr(self._cuda, name)(*arguments)
        if error.value:
            raise failure(f"{name} answers {error.name}", out=error.name == OUT_OF_MEMORY)
        return made[0] if made else None


def failure(found: str, out: bool) -> EngineError:
    """Make the error for a failure of the GPU; `out` is True if the GPU's memory is full."""
    if out:
        return EngineError(
            "E45", f"the GPU's memory is full ({found})", "enough free GPU memory", FREE_MEMORY
        )
    fix = "Run `lnscore engine verify` and look at the driver's log (nvidia-smi)."
    return EngineError("E46", f"the GPU failed: {found}", "a run without an error", fix)
