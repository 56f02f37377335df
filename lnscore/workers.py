"""Run tasks on files from outside in worker processes with limits on memory and time.

A worker that crashes, hangs or runs out of memory loses only its own task. Tasks depend on
their argument alone; the driver does all writing.

If the platform has a fork server, it loads the readers once, and every worker, including the
replacement of a dead one, starts in milliseconds; on other platforms workers are spawned. This
module imports little, so that the server can start before the driver loads its own libraries.
"""

import gc
import multiprocessing
import os
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import TimeoutError as TimedOut
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.context import BaseContext
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from lnscore.errors import Refusal

if TYPE_CHECKING:
    from pebble import ProcessExpired, ProcessFuture

Task = TypeVar("Task")
Result = TypeVar("Result")

SINGLE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
ITK_THREADS = "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"
PRELOADED = ["lnscore.ingest.preloaded"]


def start_server() -> BaseContext:
    """Start the fork server, if there is one, and return the context that starts workers."""
    # Workers run in parallel with one thread each; this must be set before libraries load.
    for name in (*SINGLE_THREAD, ITK_THREADS):
        os.environ.setdefault(name, "1")
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    from multiprocessing import forkserver

    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    forkserver.ensure_running()
    return context


@contextmanager
def no_collection() -> Iterator[None]:
    """Switch off garbage collection while libraries load.

    There is no garbage then, and the collection would take a tenth of the time.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@dataclass(frozen=True)
class Limits:
    """Limits of the worker processes.

    Attributes:
        jobs: Number of worker processes.
        memory_mb: Address space of each worker in MB; applied on POSIX systems only.
        timeout_s: Longest wall-clock time of one task in seconds.
    """

    jobs: int = 1
    memory_mb: int = 4096
    timeout_s: float = 300.0


@dataclass(frozen=True)
class TaskResult(Generic[Task, Result]):
    """One task and its result: a value, or a refusal (with traceback after an unexpected error)."""

    task: Task
    value: Result | None = None
    refusal: Refusal | None = None
    traceback: str | None = None


class Workers:
    """A pool of limited worker processes; use it as a context manager."""

    def __init__(self, limits: Limits) -> None:
        """Create the pool; the worker processes start with the first task."""
        from pebble import ProcessPool

        self.limits = limits
        self._pool = ProcessPool(
            max_workers=limits.jobs,
            context=start_server(),
            initializer=_limit_memory,
            initargs=[limits.memory_mb],
        )

    def __enter__(self) -> "Workers":
        """Return the pool."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop the workers; tasks that still run are dropped when leaving by an error."""
        if error is None:
            self._pool.close()
        else:
            self._pool.stop()
        self._pool.join()

    def map(
        self, function: Callable[[Task], Result], tasks: Iterable[Task]
    ) -> Iterator[TaskResult[Task, Result]]:
        """Run `function` on every task and yield the results in the order of the tasks.

        Only a limited number of tasks runs ahead, so that results do not fill the memory.

        Args:
            function: Function that can be imported by name; it raises Refusal for input that it
                refuses.
            tasks: Picklable arguments.

        Yields:
            One `TaskResult` for each task.
        """
        ahead = 2 * self.limits.jobs + 1
        running: deque[tuple[Task, ProcessFuture]] = deque()
        for task in tasks:
            future = self._pool.schedule(function, args=[task], timeout=self.limits.timeout_s)
            running.append((task, future))
            if len(running) >= ahead:
                yield self._wait(*running.popleft())
        while running:
            yield self._wait(*running.popleft())

    def _wait(self, task: Task, future: "ProcessFuture") -> TaskResult[Task, Any]:
        from pebble import ProcessExpired

        try:
            return TaskResult(task, value=future.result())
        except Refusal as refusal:
            return TaskResult(task, refusal=refusal)
        except TimedOut:
            return TaskResult(task, refusal=_too_slow(self.limits))
        except ProcessExpired as death:
            return TaskResult(task, refusal=_died(death))
        except MemoryError:
            return TaskResult(task, refusal=_too_large(self.limits))
        except Exception as error:  # noqa: BLE001 - one study's error must not stop the others
            return TaskResult(task, refusal=_unforeseen(error), traceback=_remote_traceback(error))


def _limit_memory(memory_mb: int) -> None:
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # only the driver reacts to Ctrl-C
    if sys.platform != "win32":
        import resource

        limit = memory_mb * 1024 * 1024
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _too_slow(limits: Limits) -> Refusal:
    return Refusal(
        "W01",
        f"no result after {limits.timeout_s:g} s",
        "a study that is read within this time",
        "Look at the files, or raise LNSCORE_TIMEOUT_S.",
    )


def _died(death: "ProcessExpired") -> Refusal:
    return Refusal(
        "W02",
        f"the worker process ended with code {death.exitcode}",
        "a file that does not crash the decoders",
        "The files are suspect: export them again, or look at them outside the hospital's network.",
    )


def _too_large(limits: Limits) -> Refusal:
    return Refusal(
        "W03",
        f"more than {limits.memory_mb} MB of memory needed",
        "a study that fits into this memory",
        "The files are suspect; raise LNSCORE_WORKER_MEMORY_MB if the study is truly that large.",
    )


def _unforeseen(error: Exception) -> Refusal:
    return Refusal(
        "W04",
        f"an unexpected {type(error).__name__}",
        "no error",
        "This is a defect of lnscore: `lnscore status --refused` shows the traceback to report.",
    )


def _remote_traceback(error: Exception) -> str:
    import traceback

    return "".join(traceback.format_exception(error))[-8000:]
