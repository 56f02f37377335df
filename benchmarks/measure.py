"""Measure time and peak memory of whole processes.

Contestants run in turn, so that changes of the machine's speed affect all of them.
"""

import contextlib
import os
import statistics
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Measured:
    """All runs of one contestant."""

    wall_s: list[float] = field(default_factory=list)
    peak: float = 0.0
    """Largest resident memory of any process, MB."""

    @property
    def median_s(self) -> float:
        """Median wall-clock time, s."""
        return statistics.median(self.wall_s)


Contestants = dict[str, Callable[[bool], tuple[float, float]]]
"""Function by name that runs a contestant once; it returns seconds and peak MB.

Its argument says whether to measure the peak.
"""


def run_process(command: list[str], *, watch: bool = False) -> tuple[float, float]:
    """Run a command and measure its time and, with `watch`, its peak memory.

    If the command prints a number, this is used as the time, because it has timed its own loop.
    Measuring the memory costs a little time; it is done in the round that is not counted.

    Returns:
        Seconds, and the peak of the largest process in MB (0 without `watch`).
    """
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
    peaks = _Peaks(process.pid) if watch else None
    printed = process.communicate()[0]
    wall_s = time.perf_counter() - started
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command, printed)
    return _own_time(printed) or wall_s, peaks.largest_mb() if peaks else 0.0


class _Peaks:
    """Monitor of the peak resident memory of every process of a session (Linux; 0 elsewhere)."""

    def __init__(self, session: int) -> None:
        self._session, self._kb, self._ended = session, 0, threading.Event()
        # A daemon thread, so that it cannot run for ever if a run fails.
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def largest_mb(self) -> float:
        """Stop monitoring and return the largest peak in MB."""
        self._ended.set()
        self._thread.join()
        return self._kb / 1024

    def _watch(self) -> None:
        while not self._ended.wait(0.03):
            for status in Path("/proc").glob("[0-9]*/status"):
                with contextlib.suppress(OSError, ProcessLookupError):
                    if os.getsid(int(status.parent.name)) == self._session:
                        self._kb = max(self._kb, _high_water_kb(status.read_text()))


def _high_water_kb(status: str) -> int:
    lines = [line for line in status.splitlines() if line.startswith("VmHWM")]
    return int(lines[0].split()[1]) if lines else 0


def _own_time(printed: str) -> float | None:
    try:
        return float(printed)
    except ValueError:
        return None


def in_turn(contestants: Contestants, runs: int) -> dict[str, Measured]:
    """Run all contestants in turn: A B C, A B C, ...

    In the first round the memory is measured; its time is not counted. `runs` rounds follow.
    """
    results = {name: Measured() for name in contestants}
    for turn in range(runs + 1):
        for name, once in contestants.items():
            wall_s, peak_mb = once(turn == 0)
            if turn:
                results[name].wall_s.append(wall_s)
            else:
                results[name].peak = peak_mb
    return results


def machine() -> str:
    """Return the processor, its cores, the memory and the Python version, as text."""
    import platform

    cpuinfo, meminfo = Path("/proc/cpuinfo"), Path("/proc/meminfo")
    model = platform.processor() or platform.machine()
    if cpuinfo.exists():
        names = [line for line in cpuinfo.read_text().splitlines() if "model name" in line]
        model = names[0].split(":")[1].strip() if names else model
    memory = ""
    if meminfo.exists():
        memory = f", {int(meminfo.read_text().split()[1]) / 1048576:.0f} GiB"
    return f"{model}, {os.cpu_count()} cores{memory}, Python {platform.python_version()}"
