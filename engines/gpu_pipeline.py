"""Crops through a GPU in runs of one size: two buffers, so that copying hides behind computing.

While one buffer is computed, the next is filled by the processor and copied on a stream of
its own. What runs on the GPU is behind two small protocols, so that the order of all this can
be tested without one.
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
"""Queues one run of the network, given the tensors' addresses, on a stream."""


@runtime_checkable
class Gpu(Protocol):
    """What the pipeline asks of CUDA (see `engines.cuda_memory.Cuda`)."""

    def device(self, size_bytes: int) -> int:
        """Reserve memory on the GPU; its address."""
        ...

    def pinned(self, shape: tuple[int, ...]) -> np.ndarray:
        """Reserve float32 memory of the host that the GPU can reach."""
        ...

    def stream(self) -> Handle:
        """A queue of work of its own."""
        ...

    def event(self) -> Handle:
        """A mark that a stream can be asked to reach."""
        ...

    def copy_in(self, device: int, host: np.ndarray, stream: Handle) -> None:
        """Queue a copy to the GPU."""
        ...

    def copy_out(self, host: np.ndarray, device: int, stream: Handle) -> None:
        """Queue a copy from the GPU."""
        ...

    def record(self, event: Handle, stream: Handle) -> None:
        """Queue the mark."""
        ...

    def wait(self, event: Handle, stream: Handle) -> None:
        """Hold the stream back until another has reached the mark."""
        ...

    def synchronise(self, event: Handle) -> None:
        """Hold the host back until the mark is reached."""
        ...

    def captured(self, stream: Handle, work: Callable[[], None]) -> Handle:
        """What `work` queues, as one graph; it is queued once before, and finished."""
        ...

    def launch(self, graph: Handle, stream: Handle) -> None:
        """Queue a graph."""
        ...


@dataclass
class Buffer:
    """Memory for one run on both sides.

    Attributes:
        host: Pinned arrays, the input's of shape (run_nodes, 16, 64, 64), an output's (run_nodes,).
        device: Addresses of the same on the GPU.
        copied: The input has arrived.
        done: The outputs are back.
        graph: The run as a CUDA graph, or None: it is queued step by step.
    """

    host: dict[str, np.ndarray]
    device: dict[str, int]
    copied: Handle
    done: Handle
    graph: Handle = None


class Pipeline:
    """Runs of one size; not for several threads at once."""

    def __init__(
        self, gpu: Gpu, enqueue: Enqueue, outputs: tuple[str, ...], run_nodes: int, graphs: bool
    ) -> None:
        """Reserve the memory, and capture the graphs where the network allows it."""
        self.gpu, self.enqueue, self.outputs, self.run_nodes = gpu, enqueue, outputs, run_nodes
        self.copying, self.computing = gpu.stream(), gpu.stream()
        self.buffers = [self._buffer() for _ in range(BUFFERS)]
        for buffer in self.buffers if graphs else []:
            buffer.graph = gpu.captured(self.computing, lambda b=buffer: self._enqueue(b))

    def run(self, crops: Crops) -> dict[str, np.ndarray]:
        """Score crops in order.

        The last run is filled up with its first node: every run has the same size, so that a
        node's score does not depend on how many came with it.

        Args:
            crops: HU, shape (node, 16, 64, 64).

        Returns:
            Every output, float32 (node,).
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
        """Wait for a run and take its outputs; its buffer is free then."""
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
