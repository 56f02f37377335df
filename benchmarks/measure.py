"""Time and peak memory of whole processes, run in turn so that drift hits all alike."""

import os
import statistics
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass
class Measured:
    """All runs of one contestant."""

    wall_s: list[float] = field(default_factory=list)
    peak_mb: list[float] = field(default_factory=list)

    @property
    def median_s(self) -> float:
        """Median wall-clock time."""
        return statistics.median(self.wall_s)

    @property
    def peak(self) -> float:
        """Largest resident size of any process of any run, MB."""
        return max(self.peak_mb)


def run_process(command: list[str]) -> tuple[float, float]:
    """Wall-clock seconds, and the peak of the largest process in the tree, MB (Linux).

    A command that prints a number of seconds is taken at its word: it timed its own loop.
    """
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    printed = process.stdout.read() if process.stdout else ""
    _, status, usage = os.wait4(process.pid, 0)
    wall_s = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command, printed)
    return _own_time(printed) or wall_s, usage.ru_maxrss / 1024


def _own_time(printed: str) -> float | None:
    try:
        return float(printed)
    except ValueError:
        return None


def in_turn(
    contestants: dict[str, Callable[[], tuple[float, float]]], runs: int
) -> dict[str, Measured]:
    """One warm-up round, then `runs` rounds: A B C, A B C, ..."""
    results = {name: Measured() for name in contestants}
    for turn in range(runs + 1):
        for name, once in contestants.items():
            wall_s, peak_mb = once()
            if turn:
                results[name].wall_s.append(wall_s)
                results[name].peak_mb.append(peak_mb)
    return results


def machine() -> str:
    """The processor, its cores and the memory, as the tables state them."""
    import platform
    from pathlib import Path

    cpuinfo, meminfo = Path("/proc/cpuinfo"), Path("/proc/meminfo")
    model = platform.processor() or platform.machine()
    if cpuinfo.exists():
        names = [line for line in cpuinfo.read_text().splitlines() if "model name" in line]
        model = names[0].split(":")[1].strip() if names else model
    memory = ""
    if meminfo.exists():
        memory = f", {int(meminfo.read_text().split()[1]) / 1048576:.0f} GiB"
    return f"{model}, {os.cpu_count()} cores{memory}, Python {platform.python_version()}"
