"""`lnscore engine`: which engines there are, what they state, whether they work here.

Engines are shipped in the package or imported into a folder of the user. Nothing is printed
here; every function gives values.
"""

import hashlib
import os
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

from engines import bundle as bundles
from engines import layer_compare, load, parity, plans
from engines.bundle import MANIFEST, Bundle
from engines.errors import EngineError
from engines.layer_compare import Layer
from engines.manifest import caution
from lnscore import default_engine
from lnscore.default_engine import FIX, Default

SHIPPED = Path(bundles.__file__).parent / "bundles"
DEMO = "demo"
Place = Literal["shipped", "imported"]

MAX_FILES = 64
MAX_UNPACKED_BYTES = 2 << 30


@dataclass(frozen=True)
class Listed:
    """One engine of the list; `problem` says why it cannot be used, if so.

    Attributes:
        phantom: Whether it was trained on phantoms.
        default: Whether it was promoted.
    """

    name: str
    place: Place
    path: Path
    trained: bool | None
    created: datetime | None
    problem: str | None
    phantom: bool = False
    default: bool = False

    @property
    def caution(self) -> str:
        """Why its scores mean nothing; empty where they may mean something."""
        return caution(trained=bool(self.trained), phantom=self.phantom)


@dataclass(frozen=True)
class Checked:
    """One back end and precision against the golden inputs.

    Attributes:
        figures: None where it did not run.
        outcome: `passed`, `failed`, or `absent` where the back end cannot run here.
        reason: Which back end it is, what is missing, or what was wrong.
        layers: Those that lose most, where half precision failed.
    """

    backend: str
    precision: str
    outcome: Literal["passed", "failed", "absent"]
    reason: str
    figures: parity.Parity | None
    layers: tuple[Layer, ...] = ()


@dataclass(frozen=True)
class Chosen:
    """The engine to score with, and why this one."""

    bundle: Bundle
    why: str


@dataclass(frozen=True)
class Imported:
    """An imported engine; `new` is false where the same one was already there."""

    bundle: Bundle
    new: bool


def list_engines(home: Path) -> list[Listed]:
    """Every engine, shipped ones first; their manifests are read, their files are not.

    Args:
        home: Folder of imported engines; need not exist.
    """
    default = _default_name(home)
    return [
        _listed(path, place, default)
        for place, root in _roots(home)
        for path in sorted(root.iterdir() if root.is_dir() else [])
        if path.is_dir() and not path.name.startswith(".")
    ]


def show(name: str, home: Path) -> Bundle:
    """Find an engine by name and verify every file of it.

    Raises:
        EngineError: E11 no such engine; E01 to E07 it cannot be used.
    """
    for _, root in _roots(home):
        # Compared with what is there: a name with `..` in it leads nowhere.
        if root.is_dir() and name in (path.name for path in root.iterdir() if path.is_dir()):
            return bundles.read(root / name)
    known = ", ".join(row.name for row in list_engines(home)) or "there is none"
    raise EngineError(
        "E11", f"engine '{name}'", f"one of: {known}", "Import it with `lnscore engine import`."
    )


def choose(wanted: str | None, home: Path) -> Chosen:
    """The engine of that name or in that folder; without a name, the default.

    Args:
        wanted: A name, a bundle's folder, or `auto` (also None): the promoted default; where
            none was promoted the only trained engine that was imported, phantoms' after
            patients'; where there is none, the shipped one.
        home: Folder of imported engines.

    Raises:
        EngineError: E11 no such engine; E17 several are trained; E19 the default cannot be used;
            E01 to E07 it cannot be used.
    """
    if wanted is None or wanted == load.AUTO:
        default = default_engine.read(home)
        if default is None:
            return _only_trained(list_engines(home))
        return _chosen(promoted(default, home), "the promoted default")
    if (Path(wanted) / MANIFEST).is_file():
        return Chosen(bundles.read(Path(wanted)), "the folder asked for")
    return Chosen(show(wanted, home), "asked for")


def promoted(default: Default, home: Path) -> Bundle:
    """The default engine's bundle.

    Raises:
        EngineError: E19 it is not here, or another has its name; E01 to E07 it cannot be used.
    """
    try:
        bundle = show(default.name, home)
    except EngineError as error:
        if error.code != "E11":
            raise
        found = f"no engine '{default.name}', which is the default"
        raise EngineError("E19", found, "the engine that was promoted", FIX) from error
    default_engine.check(default, bundle)
    return bundle


def _default_name(home: Path) -> Default | None:
    """The default, as far as it can be read: a list shows what is there."""
    try:
        return default_engine.read(home)
    except EngineError:
        return None


def _chosen(bundle: Bundle, why: str) -> Chosen:
    """With the reason, whatever must be known of its scores."""
    doubt = bundle.manifest.caution
    return Chosen(bundle, f"{why}, which is {doubt}" if doubt else why)


def _only_trained(rows: list[Listed]) -> Chosen:
    imported = [row for row in rows if row.place == "imported" and row.problem is None]
    every = [row for row in imported if row.trained]
    trained = [row for row in every if not row.phantom] or every
    if len(trained) > 1:
        raise EngineError(
            "E17",
            f"{len(trained)} trained engines: {', '.join(row.name for row in trained)}",
            "the name of one",
            "Choose one with --engine, or promote one.",
        )
    if trained:
        return _chosen(bundles.read(trained[0].path), "the only trained engine here")
    shipped = bundles.read(SHIPPED / DEMO)
    state = shipped.manifest.caution or "trained"
    return Chosen(shipped, f"no trained engine is here; the shipped one is {state}")


def verify(name: str, home: Path, backend: str = load.AUTO) -> list[Checked]:
    """Score the golden inputs with every precision of the bundle, on every back end or one.

    Args:
        name: An engine's name, or a bundle's folder.
        home: Folder of imported engines.
        backend: The only back end to check, or `auto` for all.

    Raises:
        EngineError: E11 no such engine; E01 to E07 it cannot be used at all.
    """
    bundle = choose(name, home).bundle
    return [
        _check(bundle, known, precision, state)
        for known, state in load.availability().items()
        if backend in (load.AUTO, known)
        for precision in bundle.manifest.models
    ]


def import_bundle(source: Path, home: Path, sha256: str | None = None) -> Imported:
    """Copy a bundle into `home`, verified first, all or nothing.

    Only the files that its manifest names are copied: never a plan, whose loading runs code.

    Args:
        source: The bundle's folder, or a zip archive of it.
        home: Folder of imported engines; made where it is missing.
        sha256: What its maker states: SHA-256 of the archive, or of a folder's manifest
            (which holds the hashes of all the rest).

    Returns:
        The bundle in its new place.

    Raises:
        EngineError: E01 to E07, E09, E10 the bundle is unusable; E12 another engine has its
            name; E13 the archive is refused.
    """
    _check_sha256(source, sha256)
    with _as_folder(source) as folder:
        bundle = bundles.read(folder)
        there = _of_same_name(bundle, home)
        if there is not None:
            return Imported(there, new=False)
        # By the graph itself: another back end might load a plan that came with the bundle.
        parity.gate(bundle, load.load(bundle, "onnx"))
        return Imported(_copy(bundle, home), new=True)


def _roots(home: Path) -> list[tuple[Place, Path]]:
    return [("shipped", SHIPPED), ("imported", home)]


def _listed(path: Path, place: Place, default: Default | None) -> Listed:
    try:
        manifest = bundles.read_manifest(path)
    except EngineError as error:
        return Listed(path.name, place, path, None, None, str(error))
    problem = None
    if manifest.name != path.name:
        problem = f"the folder is '{path.name}', the engine in it '{manifest.name}'"
    is_default = default is not None and default.matches(Bundle(path, manifest))
    facts = (manifest.trained, manifest.created, problem, manifest.phantom)
    return Listed(path.name, place, path, *facts, default=is_default)


def _check(bundle: Bundle, backend: str, precision: str, state: load.Availability) -> Checked:
    if not state:
        return Checked(backend, precision, "absent", state.reason, None)
    try:
        engine = load.load(bundle, backend, precision)  # pyright: ignore[reportArgumentType]
        return Checked(backend, precision, "passed", engine.reason, parity.gate(bundle, engine))
    except EngineError as error:
        outcome = "absent" if error.code == plans.NONE_YET else "failed"
        lossy = outcome == "failed" and precision == "fp16"
        layers = tuple(layer_compare.worst(bundle)) if lossy else ()
        return Checked(backend, precision, outcome, str(error), None, layers)


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
    """The bundle's folder; an archive is unpacked for as long as the block lasts."""
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
                archive.extract(entry, folder)  # stops at the declared size: a lie fails the CRC
    except (zipfile.BadZipFile, RuntimeError, NotImplementedError, EOFError) as error:
        raise refuse(str(error), "a plain zip archive") from error


def _bundle_root(folder: Path) -> Path:
    """The unpacked folder, or the only folder in it where the archive holds the folder."""
    inside = list(folder.iterdir())
    if not (folder / MANIFEST).exists() and len(inside) == 1 and inside[0].is_dir():
        return inside[0]
    return folder


def _of_same_name(bundle: Bundle, home: Path) -> Bundle | None:
    for _, root in _roots(home):
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
        bundles.read(made)  # what was copied, not what was looked at
        made.chmod(0o755)  # mkdtemp makes it private
        os.replace(made, home / bundle.name)
    finally:
        shutil.rmtree(made, ignore_errors=True)
    return bundles.read(home / bundle.name)
