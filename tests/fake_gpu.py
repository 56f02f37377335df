"""CUDA's runtime without a GPU: queued work is done as late as the order of streams allows.

Nothing else can show, without a GPU, that no buffer is used while it is under way. Work is done
when the host waits for it, and the streams are served in a drawn order: a missing wait reads
what is not there yet, or what was overwritten.
"""

import random
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np


@dataclass
class FakeStream:
    queue: deque = field(default_factory=deque)


@dataclass
class FakeEvent:
    recorded: int = 0
    reached: int = 0


class FakeGpu:
    """See `engines.gpu_pipeline.Gpu`; addresses are keys of `memory`."""

    def __init__(self, seed: int = 0) -> None:
        self.random, self.memory, self.streams = random.Random(seed), {}, []
        self.pinned_arrays, self.launched, self.capturing = 0, 0, None

    def device(self, size_bytes: int) -> int:
        address = 1000 + len(self.memory)
        self.memory[address] = np.full(size_bytes // 4, np.nan, np.float32)
        return address

    def pinned(self, shape: tuple[int, ...]) -> np.ndarray:
        self.pinned_arrays += 1
        return np.full(shape, np.nan, np.float32)

    def stream(self) -> FakeStream:
        self.streams.append(FakeStream())
        return self.streams[-1]

    def event(self) -> FakeEvent:
        return FakeEvent()

    def copy_in(self, device: int, host: np.ndarray, stream: FakeStream) -> None:
        self.queue(stream, lambda: np.copyto(self.memory[device], host.ravel()))

    def copy_out(self, host: np.ndarray, device: int, stream: FakeStream) -> None:
        self.queue(stream, lambda: np.copyto(host.ravel(), self.memory[device][: host.size]))

    def record(self, event: FakeEvent, stream: FakeStream) -> None:
        event.recorded += 1
        number = event.recorded
        self.queue(stream, lambda: setattr(event, "reached", number))

    def wait(self, event: FakeEvent, stream: FakeStream) -> None:
        number = event.recorded
        stream.queue.append(lambda: event.reached >= number)

    def synchronise(self, event: FakeEvent) -> None:
        number = event.recorded
        while event.reached < number:
            self.step()

    def captured(self, stream: FakeStream, work: Callable[[], None]) -> list:
        work()
        while stream.queue:
            self.step()
        self.capturing = []
        work()
        graph, self.capturing = self.capturing, None
        return graph

    def launch(self, graph: list, stream: FakeStream) -> None:
        self.launched += 1
        for work in graph:
            self.queue(stream, work)

    def queue(self, stream: FakeStream, work: Callable[[], object]) -> None:
        if self.capturing is not None:
            self.capturing.append(work)
        else:
            stream.queue.append(lambda: (work(), True)[1])

    def step(self) -> None:
        """One piece of work of any stream that is not held back."""
        busy = [stream for stream in self.streams if stream.queue]
        self.random.shuffle(busy)
        for stream in busy:
            if stream.queue[0]():
                stream.queue.popleft()
                return
        raise AssertionError("every stream waits for another")


def network(gpu: FakeGpu, nodes: int) -> Callable[[Mapping[str, int], FakeStream], None]:
    """A network whose fused output is the mean HU of each node and its logit the largest."""

    def enqueue(addresses: Mapping[str, int], stream: FakeStream) -> None:
        def run() -> None:
            hu = gpu.memory[addresses["hu"]].reshape(nodes, -1)
            gpu.memory[addresses["fused"]][:] = hu.mean(axis=1)
            gpu.memory[addresses["fused_logit"]][:] = hu.max(axis=1)

        gpu.queue(stream, run)

    return enqueue
