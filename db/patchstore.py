"""The patch store: `.npy` files of patches and masks, named by their SHA-256."""

import hashlib
import io
import os
import threading
from pathlib import Path

import numpy as np

from db.errors import DatabaseError
from ground import whole_files

_HEADERS = threading.Lock()
"""Lock that lets one thread at a time read the header of an `.npy` file.

Python 3.11 parses the header with a recursion depth that all threads share. If two threads parse
at once, this can raise a SystemError (seen once in several thousand tests).
"""


class PatchStore:
    """A folder of patch and mask files.

    A file gets its name only when it is complete, and the database row that names it is written
    after that. Equal content has the same name, so that a repeated run adds no second file.
    """

    def __init__(self, root: Path) -> None:
        """Use the folder `root`; the first write makes it."""
        self.root = root

    def write(self, patches: np.ndarray, masks: np.ndarray | None) -> tuple[str, str | None]:
        """Store the patches of one series revision and their masks.

        Args:
            patches: Patches in HU, int16, shape (node, z, y, x).
            masks: Masks, occupancy 0-255, uint8, same shape; None if no node has a mask.

        Returns:
            SHA-256 of the patch file and of the mask file.

        Raises:
            DatabaseError: D15 the folder cannot be written.
            ValueError: An array has the wrong type or shape.
        """
        _check("patches", patches, np.dtype(np.int16), patches.shape)
        if masks is not None:
            _check("masks", masks, np.dtype(np.uint8), patches.shape)
        try:
            return self._store(patches), None if masks is None else self._store(masks)
        except OSError as error:
            raise DatabaseError(
                "D15",
                f"the patch store {self.root} cannot be written ({error.strerror})",
                "a folder with room, writable for this user",
                "Make room or correct the permissions, then run again.",
            ) from error

    def patches(self, sha256: str) -> np.ndarray:
        """Open the patches of one file: HU, int16, shape (node, z, y, x).

        The array is memory-mapped and read-only.

        Raises:
            DatabaseError: D16 there is no such file; D17 it is damaged.
        """
        return self._open(sha256, np.dtype(np.int16))

    def masks(self, sha256: str) -> np.ndarray:
        """Open the masks of one file: occupancy 0-255, uint8, otherwise like `patches`."""
        return self._open(sha256, np.dtype(np.uint8))

    def verify(self, sha256: str) -> None:
        """Read a file and compare its SHA-256 with its name.

        Raises:
            DatabaseError: D16 there is no such file; D17 its content has changed.
        """
        path = self._existing(sha256)
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != sha256:
            raise _damaged(path, f"has SHA-256 {found}")

    def path(self, sha256: str) -> Path:
        """Return the path of the file with this SHA-256; the file need not exist."""
        return self.root / sha256[:2] / f"{sha256}.npy"

    def _store(self, array: np.ndarray) -> str:
        array = np.ascontiguousarray(array)
        header, body = _header(array), array.view(np.uint8).data
        digest = hashlib.sha256(header)
        digest.update(body)
        sha256 = digest.hexdigest()
        path = self.path(sha256)
        if path.exists() and path.stat().st_size == len(header) + array.nbytes:
            return sha256
        for folder in (self.root, path.parent, self._unfinished):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with whole_files.replacing(path, mode=0o600, unfinished_in=self._unfinished) as file:
            file.write(header)
            file.write(body)
        _sync_folder(path.parent)
        return sha256

    @property
    def _unfinished(self) -> Path:
        return self.root / "unfinished"

    def _existing(self, sha256: str) -> Path:
        path = self.path(sha256)
        if not path.is_file():
            raise DatabaseError(
                "D16",
                f"the patch store has no {path}",
                "the file that the database names",
                "Restore the folder beside the database, or ingest the study again.",
            )
        return path

    def _open(self, sha256: str, dtype: np.dtype) -> np.ndarray:
        path = self._existing(sha256)
        try:
            with _HEADERS:
                array = np.load(path, mmap_mode="r", allow_pickle=False)
        except (ValueError, EOFError, OSError) as error:
            raise _damaged(path, f"cannot be read ({error})") from error
        if array.dtype != dtype or array.ndim != 4:
            raise _damaged(path, f"holds {array.dtype} of {array.ndim} axes")
        return array


def _check(name: str, array: np.ndarray, dtype: np.dtype, shape: tuple[int, ...]) -> None:
    if array.dtype != dtype or array.ndim != 4 or array.shape != shape or not array.size:
        raise ValueError(
            f"{name} are {array.dtype} of shape {array.shape}; wanted {dtype} of shape "
            "(node, z, y, x), the same for patches and masks"
        )


def _header(array: np.ndarray) -> bytes:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, np.lib.format.header_data_from_array_1_0(array))
    return header.getvalue()


def _sync_folder(folder: Path) -> None:
    if os.name != "posix":
        return  # Windows cannot open folders
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _damaged(path: Path, what: str) -> DatabaseError:
    return DatabaseError(
        "D17",
        f"the patch file {path} {what}",
        "the bytes that were written",
        "Restore it from a backup, or remove it and ingest the study again.",
    )
