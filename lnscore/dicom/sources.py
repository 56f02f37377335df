"""List input files: folders, single files, zip archives, DICOMDIRs. No DICOM image is parsed here.

Links are followed only to files inside the same folder. Archives and DICOMDIRs are opened in a
worker process (`unpack`, `list_dicomdir`), because they come from others and may be harmful.
"""

import hashlib
import lzma
import os
import stat
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lnscore.errors import Refusal

MAX_ENTRIES = 200_000
MAX_UNPACKED_BYTES = 64 << 30
MAX_GROWTH = 200  # a DICOM series compresses two- to twentyfold
FREE_GROWTH_BYTES = 1 << 30
CHUNK_BYTES = 1 << 20
DAMAGED = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, NotImplementedError, EOFError)
"""Errors that a damaged zip archive raises, depending on how its files were packed.

In addition, bzip2 raises an OSError without a number, and zipfile raises a RuntimeError if it
needs a password.
"""


@dataclass(frozen=True)
class SourceFile:
    """One file: the path to read it from, and the name by which the user knows it."""

    path: str
    shown: str


@dataclass(frozen=True)
class FoundFiles:
    """Files found under the given paths.

    Attributes:
        files: Files to be read as DICOM, sorted.
        archives: Zip files.
        dicomdirs: DICOMDIR files given by name.
        notes: Messages about links and folders that were not followed, with the reason.
    """

    files: list[SourceFile] = field(default_factory=list)
    archives: list[SourceFile] = field(default_factory=list)
    dicomdirs: list[SourceFile] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def find(paths: Sequence[Path]) -> FoundFiles:
    """List every file under `paths`, each once, in a stable order.

    Raises:
        Refusal: F10, a path does not exist.
    """
    found, seen = FoundFiles(), set[str]()
    for path in paths:
        if not path.exists():
            raise Refusal("F10", f"no file or folder '{path}'", "one that exists", "Check it.")
        if path.is_dir():
            for file, real in _walk(path, found.notes):
                _add(found, seen, file, real, named=False)
        else:
            _add(found, seen, path, os.path.realpath(path), named=True)
    return found


def _add(found: FoundFiles, seen: set[str], file: Path, real: str, *, named: bool) -> None:
    if real in seen:
        return
    seen.add(real)
    source = SourceFile(real, str(file))
    if file.suffix.lower() == ".zip" or (named and zipfile.is_zipfile(file)):
        found.archives.append(source)
    elif named and file.name.upper() == "DICOMDIR":
        found.dicomdirs.append(source)
    else:
        found.files.append(source)


def _walk(root: Path, notes: list[str]) -> Iterator[tuple[Path, str]]:
    """Yield every regular file and its resolved path; each folder is resolved only once."""
    top = os.path.realpath(root)

    def unreadable(error: OSError) -> None:
        notes.append(f"{error.filename}: {error.strerror}")

    for folder, folders, names in os.walk(root, onerror=unreadable):
        folders.sort()
        here = os.path.realpath(folder)
        for name in sorted(names):
            file, real = Path(folder, name), os.path.join(here, name)
            mode = file.lstat().st_mode
            if stat.S_ISREG(mode):
                yield file, real
            elif stat.S_ISLNK(mode):
                real = os.path.realpath(file)
                if inside(real, top) and os.path.isfile(real):
                    yield file, real
                else:
                    notes.append(f"{file}: a link out of the folder, not followed")


def sha256_of(path: str) -> str:
    """Return the SHA-256 of a file's bytes, hex."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def inside(real: str, top: str) -> bool:
    """Return whether a resolved path lies under a resolved folder."""
    return os.path.commonpath([real, top]) == top


@dataclass(frozen=True)
class Unpacking:
    """A worker's task: an archive and the folder to unpack it into."""

    archive: SourceFile
    folder: str


def unpack(task: Unpacking) -> list[SourceFile]:
    """Unpack an archive into numbered files; names from the archive are never used on disk.

    Raises:
        Refusal: F14 a path that leads out of the folder, a link or a password; F15 too much
            data or too many files; F16 a damaged archive, or an archive inside the archive.
    """
    try:
        with zipfile.ZipFile(task.archive.path) as archive:
            entries = [entry for entry in archive.infolist() if not entry.is_dir()]
            for entry in entries:
                _refuse_entry(task.archive.shown, entry)
            limit = _limit(task.archive, len(entries))
            return list(_extract(archive, entries, task, limit))
    except (*DAMAGED, OSError) as error:
        raise Refusal(
            "F16",
            f"an archive that cannot be opened ({error})",
            "a whole zip file",
            "Pack it again.",
        ) from error


def _refuse_entry(archive: str, entry: zipfile.ZipInfo) -> None:
    name = entry.filename.replace("\\", "/")
    leads_out = name.startswith("/") or ".." in name.split("/") or ":" in name.split("/")[0]
    if leads_out or stat.S_ISLNK(entry.external_attr >> 16):
        what = "a path that leads outside" if leads_out else "a link"
        raise Refusal(
            "F14",
            f"{what} in the archive: '{entry.filename[:80]}'",
            "plain files inside the archive",
            "The archive is suspect: ask its sender.",
        )
    if entry.flag_bits & 1:
        raise Refusal(
            "F14",
            "a password on the archive",
            "an archive without a password",
            "Unpack it and ingest the folder.",
        )
    if name.lower().endswith(".zip"):
        raise Refusal(
            "F16",
            f"an archive inside the archive: '{entry.filename[:80]}'",
            "DICOM files",
            "Unpack the outer one and ingest the folder.",
        )


def _limit(archive: SourceFile, entries: int) -> int:
    if entries > MAX_ENTRIES:
        raise Refusal(
            "F15", f"{entries} files", f"at most {MAX_ENTRIES}", "Pack fewer studies into it."
        )
    grown = os.stat(archive.path).st_size * MAX_GROWTH
    return min(MAX_UNPACKED_BYTES, max(FREE_GROWTH_BYTES, grown))


def _extract(
    archive: zipfile.ZipFile, entries: list[zipfile.ZipInfo], task: Unpacking, limit: int
) -> Iterator[SourceFile]:
    written = 0
    for number, entry in enumerate(entries):
        path = os.path.join(task.folder, f"{number:06d}")
        with archive.open(entry) as packed, open(path, "wb") as file:
            while block := packed.read(CHUNK_BYTES):
                written += len(block)
                if written > limit:  # counted while writing: sizes in the archive may be false
                    raise Refusal(
                        "F15",
                        f"more than {limit >> 20} MiB unpacked",
                        "an archive that unpacks to less",
                        "The archive is suspect; unpack it by hand if it is truly that large.",
                    )
                file.write(block)
        yield SourceFile(path, f"{task.archive.shown}!{entry.filename}")


def list_dicomdir(source: SourceFile) -> tuple[list[SourceFile], list[str]]:
    """List the files that a DICOMDIR names; only files inside its own folder are used.

    Returns:
        The files, and a note for every file that is missing or lies outside the folder.

    Raises:
        Refusal: F17, the DICOMDIR cannot be read.
    """
    from pydicom import dcmread

    top = os.path.realpath(os.path.dirname(source.path))
    try:
        records = dcmread(source.path).DirectoryRecordSequence
        named = [record.get("ReferencedFileID") for record in records]
    except Exception as error:
        raise Refusal(
            "F17", f"a DICOMDIR that cannot be read ({error})", "a whole one", "Ingest its folder."
        ) from error
    files, notes = [], []
    for value in named:
        if not value:
            continue
        parts = [value] if isinstance(value, str) else list(value)
        real = os.path.realpath(os.path.join(top, *parts))
        if not inside(real, top):
            notes.append(f"{source.shown}: a name that leads out of the folder, ignored")
        elif not os.path.isfile(real):
            notes.append(f"{source.shown}: {'/'.join(parts)} is missing")
        else:
            shown = os.path.join(os.path.dirname(source.shown), *parts)
            files.append(SourceFile(real, shown))
    return files, notes
