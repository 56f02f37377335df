"""One training at a time in a run's folder: a lock that the kernel drops when its holder dies."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from trainer.errors import TrainerError
from trainer.runs.directory import LOCK, refuse_foreign
from trainer.steps.distributed import Ranks


@contextmanager
def held(root: Path, ranks: Ranks) -> Iterator[None]:
    """Hold a run's folder, all folds of it; of several processes the first does.

    Args:
        root: `runs/NAME`; made where it is missing.
        ranks: This process among all.

    Raises:
        TrainerError: T10 the folder holds something else; T14, at once, another training
            holds it.
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
