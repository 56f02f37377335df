"""The [train] extra: a command that needs it says so before anything else."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata

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
        missing = missing_libraries()
        if not missing:
            raise
        raise Refusal(
            "T29",
            f"not installed: {', '.join(missing)}",
            "the libraries of the trainer",
            "Install them with: pip install 'lnscore[train]'",
        ) from error


def missing_libraries() -> list[str]:
    """Return the distributions of the [train] extra that are not installed here."""
    required = [one for one in metadata.requires("lnscore") or () if IN_TRAIN(one)]
    named = [re.split(r"[^\w.-]", one)[0] for one in required]
    return [name for name in named if not _is_installed(name)]


IN_TRAIN = re.compile(r"extra == .train.").search
"""Whether a requirement, as the metadata state it, belongs to the [train] extra."""


def _is_installed(distribution: str) -> bool:
    try:
        metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return False
    return True
