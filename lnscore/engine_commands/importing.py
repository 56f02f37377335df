"""`lnscore engine import`: copy a bundle from a folder or an archive, completely or not at all.

Nothing is printed here; every function returns values.
"""

import hashlib
import os
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from engines import bundle as bundles
from engines import load, parity
from engines.bundle import MANIFEST, Bundle
from engines.errors import EngineError
from lnscore.dicom.sources import DAMAGED
from lnscore.scoring.engine_choice import roots

MAX_FILES = 64
MAX_UNPACKED_BYTES = 2 << 30


@dataclass(frozen=True)
class ImportedEngine:
    """An imported engine; `new` is false if the same engine was already there."""

    bundle: Bundle
    new: bool


def import_bundle(source: Path, home: Path, sha256: str | None = None) -> ImportedEngine:
    """Verify a bundle and copy it into `home`, completely or not at all.

    Only the files that its manifest names are copied. A plan is never copied, because loading a
    plan can run code.

    Args:
        source: Folder of the bundle, or a zip archive of it.
        home: Folder of imported engines; it is made if it is missing.
        sha256: SHA-256 that the maker of the engine states: of the archive, or of a folder's
            manifest (which holds the hashes of all other files).

    Returns:
        The bundle in its new folder.

    Raises:
        EngineError: E01, E03 to E10 the bundle cannot be used; E12 another engine has its
            name; E13 the archive is refused.
    """
    _check_sha256(source, sha256)
    with _as_folder(source) as folder:
        bundle = bundles.read(folder)
        there = _of_same_name(bundle, home)
        if there is not None:
            return ImportedEngine(there, new=False)
        # `onnx` runs the graph itself; another back end might load a plan from the bundle.
        parity.gate(bundle, load.load(bundle, "onnx"))
        return ImportedEngine(_copy(bundle, home), new=True)


def _check_sha256(source: Path, sha256: str | None) -> None:
    file = source / MANIFEST if source.is_dir() else source
    if not file.is_file():
        raise EngineError(
            "E01", f"no engine at '{source.name}'", "a folder or a zip archive", "Check the path."
        )
    if sha256 is None:
        return
    with file.open("rb") as opened:
        found = hashlib.file_digest(opened, "sha256").hexdigest()
    if found != sha256.lower():
        raise EngineError(
            "E13",
            f"'{file.name}' with SHA-256 {found}",
            sha256.lower(),
            "Get the engine from its maker again; do not use this one.",
        )


@contextmanager
def _as_folder(source: Path) -> Iterator[Path]:
    """Provide the folder of the bundle; an archive is unpacked while the block runs."""
    if source.is_dir():
        yield source
        return
    with tempfile.TemporaryDirectory(prefix="lnscore-engine-") as unpacked:
        _unpack(source, Path(unpacked))
        yield _bundle_root(Path(unpacked))


def _unpack(source: Path, folder: Path) -> None:
    def refuse(found: str, wanted: str) -> EngineError:
        return EngineError(
            "E13", f"'{source.name}': {found}", wanted, "Get the engine from its maker again."
        )

    try:
        with zipfile.ZipFile(source) as archive:
            entries = archive.infolist()
            size = sum(entry.file_size for entry in entries)
            if len(entries) > MAX_FILES or size > MAX_UNPACKED_BYTES:
                found = f"{len(entries)} files of {size} bytes"
                raise refuse(found, f"at most {MAX_FILES} files and {MAX_UNPACKED_BYTES} bytes")
            for entry in entries:
                parts = entry.filename.replace("\\", "/").split("/")
                if ".." in parts or parts[0] == "" or ":" in parts[0]:
                    raise refuse(f"path '{entry.filename}'", "paths inside the archive")
                archive.extract(entry, folder)  # stops at the declared size; a false one fails CRC
    except (*DAMAGED, RuntimeError, OSError) as error:
        if getattr(error, "errno", None) is not None:  # the fault is the disk's, not the archive's
            raise
        raise refuse(str(error), "a plain zip archive") from error


def _bundle_root(folder: Path) -> Path:
    """Return the unpacked folder, or the only folder in it if that holds the bundle."""
    inside = list(folder.iterdir())
    if not (folder / MANIFEST).exists() and len(inside) == 1 and inside[0].is_dir():
        return inside[0]
    return folder


def _of_same_name(bundle: Bundle, home: Path) -> Bundle | None:
    for _, root in roots(home):
        if not (root / bundle.name).is_dir():
            continue
        found = f"another engine named '{bundle.name}'"
        try:
            there = bundles.read(root / bundle.name)
            if there.manifest == bundle.manifest:
                return there
        except EngineError as error:
            found = f"a damaged engine named '{bundle.name}' ({error.code})"
        raise EngineError(
            "E12",
            found,
            "a name that is free",
            "Give the new engine another name when it is exported, or delete the old one.",
        )
    return None


def _copy(bundle: Bundle, home: Path) -> Bundle:
    home.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix=f".{bundle.name}.", dir=home))
    try:
        for file in bundle.files:
            (made / file.file).write_bytes(bundles.read_file(bundle.path, file))
        shutil.copyfile(bundle.path / MANIFEST, made / MANIFEST)
        bundles.read(made)  # check the copy: the source may have changed since it was checked
        made.chmod(0o755)  # mkdtemp makes a folder that only its owner can read
        os.replace(made, home / bundle.name)
    finally:
        shutil.rmtree(made, ignore_errors=True)
    return bundles.read(home / bundle.name)
