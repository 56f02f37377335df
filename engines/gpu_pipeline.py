"""Score crops on a GPU in runs of one size, with copying and computing at the same time.

There are two buffers: while the GPU computes on one, the CPU fills the other and it is copied on
a second stream. The GPU is reached through `Gpu` and `Enqueue`, so that the order of the steps
can be tested without a GPU.
"""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from engines.foreign import Handle
from engines.graph import INPUT
from engines.patch import SPEC
from engines.shapes import Crops

BUFFERS = 2
Enqueue = Callable[[Mapping[str, int], Handle], None]
"""Function that queues one run of the network on a stream, given the tensors' addresses."""


@runtime_checkable
class Gpu(Protocol):
    """The CUDA operations that the pipeline needs (see `engines.cuda_memory.Cuda`)."""

    def device(self, size_bytes: int) -> int:
        """Reserve memory on the GPU and return its address."""
        ...

    def pinned(self, shape: tuple[int, ...]) -> np.ndarray:
        """Reserve pinned float32 host memory, which the GPU can read directly."""
        ...

    def stream(self) -> Handle:
        """Create a stream: a separate queue of GPU work."""
        ...

    def event(self) -> Handle:
        """Create an event: a mark in a stream that others can wait for."""
        ...

    def copy_in(self, device: int, host: np.ndarray, stream: Handle) -> None:
        """Queue a copy to the GPU."""
        ...

    def copy_out(self, host: np.ndarray, device: int, stream: Handle) -> None:
        """Queue a copy from the GPU."""
        ...

    def record(self, event: Handle, stream: Handle) -> None:
        """Queue the event on the stream."""
        ...

    def wait(self, event: Handle, stream: Handle) -> None:
        """Make the stream wait until another stream has reached the event."""
        ...

    def synchronise(self, event: Handle) -> None:
        """Make the host wait until the event is reached."""
        ...

    def captured(self, stream: Handle, work: Callable[[], None]) -> Handle:
        """Capture what `work` queues as one CUDA graph; `work` is first run once without it."""
        ...

    def launch(self, graph: Handle, stream: Handle) -> None:
        """Queue a CUDA graph."""
        ...


@dataclass
class Buffer:
    """Memory for one run, on the host and on the GPU.

    Attributes:
        host: Pinned float32 arrays by tensor name: the input of shape (run_nodes, 16, 64, 64),
            the outputs of shape (run_nodes,).
        device: Addresses of the same tensors on the GPU.
        copied: Event: the input has arrived on the GPU.
        done: Event: the outputs are back on the host.
        graph: The run as a CUDA graph, or None if every run is queued step by step.
    """

    host: dict[str, np.ndarray]
    device: dict[str, int]
    copied: Handle
    done: Handle
    graph: Handle = None


class Pipeline:
    """Runner of the network in runs of one size; only one thread may use it at a time."""

    def __init__(
        self, gpu: Gpu, enqueue: Enqueue, outputs: tuple[str, ...], run_nodes: int, graphs: bool
    ) -> None:
        """Reserve the memory; if `graphs` is true, capture each buffer's run as a CUDA graph."""
        self.gpu, self.enqueue, self.outputs, self.run_nodes = gpu, enqueue, outputs, run_nodes
        self.copying, self.computing = gpu.stream(), gpu.stream()
        self.buffers = [self._buffer() for _ in range(BUFFERS)]
        for buffer in self.buffers if graphs else []:
            buffer.graph = gpu.captured(self.computing, lambda b=buffer: self._enqueue(b))

    def run(self, crops: Crops) -> dict[str, np.ndarray]:
        """Score crops in order.

        Every run has the same size, so that a node's score does not depend on the number of
        nodes. A short last run repeats its first node until it is full.

        Args:
            crops: Crops in HU, shape (node, 16, 64, 64).

        Returns:
            Every output by name, float32, shape (node,).
        """
        results = {name: np.empty(len(crops), np.float32) for name in self.outputs}
        under_way: deque[tuple[Buffer, slice]] = deque()
        for number, start in enumerate(range(0, len(crops), self.run_nodes)):
            if len(under_way) == BUFFERS:
                self._collect(*under_way.popleft(), results)
            part, buffer = slice(start, start + self.run_nodes), self.buffers[number % BUFFERS]
            self._begin(buffer, crops[part])
            under_way.append((buffer, part))
        for buffer, part in under_way:
            self._collect(buffer, part, results)
        return results

    def _begin(self, buffer: Buffer, crops: Crops) -> None:
        hu = buffer.host[INPUT]
        hu[: len(crops)], hu[len(crops) :] = crops, crops[0]
        self.gpu.copy_in(buffer.device[INPUT], hu, self.copying)
        self.gpu.record(buffer.copied, self.copying)
        self.gpu.wait(buffer.copied, self.computing)
        if buffer.graph is None:
            self._enqueue(buffer)
        else:
            self.gpu.launch(buffer.graph, self.computing)
        for name in self.outputs:
            self.gpu.copy_out(buffer.host[name], buffer.device[name], self.computing)
        self.gpu.record(buffer.done, self.computing)

    def _collect(self, buffer: Buffer, part: slice, results: dict[str, np.ndarray]) -> None:
        """Wait for a run and copy its outputs to `results`; after that its buffer is free."""
        self.gpu.synchronise(buffer.done)
        for name, values in results.items():
            wanted = values[part]
            wanted[:] = buffer.host[name][: len(wanted)]

    def _enqueue(self, buffer: Buffer) -> None:
        self.enqueue(buffer.device, self.computing)

    def _buffer(self) -> Buffer:
        shapes = {INPUT: (self.run_nodes, *SPEC.crop_vox)}
        shapes |= {name: (self.run_nodes,) for name in self.outputs}
        host = {name: self.gpu.pinned(shape) for name, shape in shapes.items()}
        device = {name: self.gpu.device(array.nbytes) for name, array in host.items()}
        return Buffer(host, device, self.gpu.event(), self.gpu.event())
