"""Text files of a report: each appears whole or not at all, and only when its bytes change."""

from collections.abc import Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path

from ground import whole_files
from lnscore.errors import Refusal

HEAD_BYTES = 4096


@contextmanager
def replacing(path: Path, encoding: str = "utf-8") -> Iterator[TextIOWrapper]:
    """Open a text file that takes its name at the end of the block.

    After an error, or where the bytes are the same as before, the old file stays as it is.

    Args:
        path: The file; its folder is made.
        encoding: `utf-8-sig` for what spreadsheets open.

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
    """Write a whole text file, as `replacing`."""
    with replacing(path) as file:
        file.write(text)


def head(path: Path) -> str:
    """The first characters of a file; empty where there is none."""
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
            "a folder with room, writable for this user, and no program that holds the file",
            "Close it, make room, or give another --out; then run again.",
        ) from error
