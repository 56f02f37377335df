"""Lock of a run's folder, so that only one training writes to it.

The operating system releases the lock when the process ends, however it ends.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from trainer.errors import TrainerError
from trainer.runs.directory import LOCK, refuse_foreign
from trainer.steps.distributed import Ranks


@contextmanager
def held(root: Path, ranks: Ranks) -> Iterator[None]:
    """Lock a run's folder with all its folds; of several processes only the first takes the lock.

    Args:
        root: Folder `runs/NAME`; it is created if missing.
        ranks: Rank of this process and number of processes.

    Raises:
        TrainerError: T10 the folder holds something other than a run; T14 another training has
            locked it (there is no waiting).
    """
    if not ranks.writes:
        yield
        return
    refuse_foreign(root)
    root.mkdir(parents=True, exist_ok=True)
    lock = FileLock(root / LOCK, mode=0o600)
    try:
        lock.acquire(blocking=False)
    except Timeout as error:
        raise TrainerError(
            "T14",
            f"another training holds {root}",
            "one training of a run at a time",
            "Wait for it to end, or give this one another --name; nothing was changed.",
        ) from error
    try:
        yield
    finally:
        lock.release()
