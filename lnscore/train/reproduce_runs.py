"""Train runs in separate processes: one after the other, or several at once with Dask."""

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lnscore.errors import Refusal

if TYPE_CHECKING:
    from trainer.reproduction.plan import PlannedRun

LOGS = "logs"
NOT_BEGUN = "not started: a run that it starts from failed"


@dataclass(frozen=True)
class Job:
    """A run to train, in a form that can be sent to another process.

    Attributes:
        run: Run to train.
        out: Folder of all runs.
        db: File or URL of the database.
    """

    run: "PlannedRun"
    out: Path
    db: str


@dataclass(frozen=True)
class RunEnd:
    """How a run ended.

    Attributes:
        name: Name of the run.
        said: Error line of its log if it failed, else empty.
    """

    name: str
    last_line: str


def train(job: Job, sources: Sequence[RunEnd], threads: int) -> RunEnd:
    """Train one run in a separate process; its output is written to `logs/NAME.log`.

    Args:
        job: Run to train.
        sources: Ends of the runs that it starts from.
        threads: Number of threads of the process, unless the user has set OMP_NUM_THREADS.
    """
    if any(source.last_line for source in sources):
        return RunEnd(job.run.name, NOT_BEGUN)
    log = job.out / LOGS / f"{job.run.name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-P", "-m", "lnscore", *job.run.arguments(job.out, job.db)]
    with log.open("w", encoding="utf-8") as written:
        code = subprocess.run(
            command,
            stdout=written,
            stderr=subprocess.STDOUT,
            check=False,
            env={"OMP_NUM_THREADS": str(threads)} | dict(os.environ),
        ).returncode
    return RunEnd(job.run.name, "" if code == 0 else _last_line(log, code))


def _last_line(log: Path, code: int) -> str:
    lines = [line for line in log.read_text(encoding="utf-8").splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("error")] or lines[-1:]
    return errors[-1] if errors else f"exit code {code} without any output"


def one_by_one(jobs: Sequence[Job]) -> Iterator[RunEnd]:
    """Train the runs in order; each run uses all cores."""
    ended: dict[str, RunEnd] = {}
    for job in jobs:
        sources = [ended[name] for name in job.run.needs if name in ended]
        ended[job.run.name] = train(job, sources, os.cpu_count() or 1)
        yield ended[job.run.name]


def on_dask(jobs: Sequence[Job], workers: int, cluster: str | None) -> Iterator[RunEnd]:
    """Train several runs at once with Dask; a run waits for those that it starts from.

    Args:
        jobs: Runs in the order in which they are to be trained.
        workers: Number of runs at once on this machine; not used with a cluster.
        cluster: Address of a scheduler whose workers can use the same folders.

    Raises:
        Refusal: T63, the [cluster] extra is missing, or there is no scheduler at the address.
    """
    try:
        from distributed import Client, as_completed
    except ModuleNotFoundError as error:
        raise _refused(
            "the library `distributed` is missing", "pip install 'lnscore[cluster]'"
        ) from error
    threads = max(1, (os.cpu_count() or 1) // workers)
    try:
        client = (
            Client(n_workers=workers, threads_per_worker=1, processes=False, dashboard_address=None)
            if cluster is None
            else Client(cluster, timeout=10)
        )
    except (OSError, ValueError) as error:
        raise _refused(f"no scheduler at {cluster}", "start one with `dask scheduler`") from error
    with client:
        futures = {}
        for place, job in enumerate(jobs):
            sources = [futures[name] for name in job.run.needs if name in futures]
            futures[job.run.name] = client.submit(
                train, job, sources, threads, key=job.run.name, priority=-place, pure=False
            )
        for future in as_completed(futures.values()):
            yield future.result()


def _refused(found: str, advice: str) -> Refusal:
    return Refusal("T63", f"several runs at once, but {found}", "Dask distributed", f"{advice}.")
