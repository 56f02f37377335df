"""The [train] extra: a command that needs it says so before anything else."""

from collections.abc import Iterator
from contextlib import contextmanager

from lnscore import requirements
from lnscore.errors import Refusal


@contextmanager
def train_extra() -> Iterator[None]:
    """Say how to install what an import inside this block lacks.

    Raises:
        Refusal: T29, a library of the [train] extra is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        missing = requirements.missing("train")
        if not missing:
            raise
        raise Refusal(
            "T29",
            f"not installed: {', '.join(missing)}",
            "the libraries of the trainer",
            "Install them with: pip install 'lnscore[train]'",
        ) from error
