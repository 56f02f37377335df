"""Write the text files of a report: each file complete or not at all, only if its bytes change."""

from collections.abc import Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path

from ground import whole_files
from lnscore.errors import Refusal

HEAD_BYTES = 4096


@contextmanager
def replacing(path: Path, encoding: str = "utf-8") -> Iterator[TextIOWrapper]:
    """Open a text file that replaces the old file at the end of the block.

    After an error, or if the bytes are the same as before, the old file stays as it is.

    Args:
        path: Path of the file; its folder is created.
        encoding: Text encoding; `utf-8-sig` for files that spreadsheet programs open.

    Raises:
        Refusal: R02, the folder or the file cannot be written.
    """
    with _refusing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_files.replacing(path, keep_equal=True) as file:
            text = TextIOWrapper(file, encoding, newline="")
            yield text
            text.flush()
            text.detach()


def write(path: Path, text: str) -> None:
    """Write a whole text file with `replacing`."""
    with replacing(path) as file:
        file.write(text)


def head(path: Path) -> str:
    """Return the first 4096 bytes of a file as text; empty if it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(HEAD_BYTES).decode("utf-8", "replace")
    except OSError:
        return ""


@contextmanager
def _refusing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Refusal(
            "R02",
            f"{path} cannot be written ({error.strerror or error})",
            "a writable folder with free space, and no other program that has the file open",
            "Close the file, free disk space, or give another --out; then run again.",
        ) from error
