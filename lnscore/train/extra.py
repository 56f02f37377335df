"""Check for the [train] extra: the libraries that only training and evaluation need."""

from collections.abc import Iterator
from contextlib import contextmanager

from lnscore import requirements
from lnscore.errors import Refusal

OURS = ("lnscore", "trainer", "engines", "db", "ground")


@contextmanager
def train_extra() -> Iterator[None]:
    """Refuse with the command to install, if an import inside this block lacks a library.

    Raises:
        Refusal: T29, a library of the [train] extra is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package in OURS:
            raise
        missing = requirements.missing("train") or [package]
        raise Refusal(
            "T29",
            f"not installed: {', '.join(missing)}",
            "the libraries of the trainer",
            "Install them with: pip install 'lnscore[train]'",
        ) from error
