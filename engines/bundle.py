"""Read and check a bundle: a folder with a manifest, ONNX graphs and golden inputs.

A bundle is an engine on disk. Nothing in it is executed: a runtime reads the graphs as data, and
the golden inputs are plain arrays. Every file is hashed before its bytes are used.
"""

import hashlib
import io
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from engines.back_ends import Precision
from engines.errors import EngineError
from engines.graph import check_graph
from engines.manifest import VERSION, File, Manifest
from engines.patch import SPEC
from engines.scores import Scores, check_patches
from engines.shapes import Patches

MANIFEST = "manifest.json"
PLANS = "plans"
MAX_MANIFEST_BYTES = 1 << 20
MAX_GOLDEN_BYTES = 256 << 20
# fmt: off
MAY_RUN_CODE = frozenset((
    ".pt", ".pth", ".ckpt", ".bin", ".pkl", ".pickle", ".joblib", ".dill", ".npy",
    ".py", ".pyc", ".pyd", ".so", ".dll", ".dylib", ".exe", ".jar",
    ".sh", ".bat", ".cmd", ".ps1", ".plan", ".engine", ".trt",
))
# fmt: on


@dataclass(frozen=True)
class Golden:
    """Golden inputs, and the scores that torch computed for them in float32."""

    patches: Patches
    expected: Scores


@dataclass(frozen=True)
class Bundle:
    """A bundle on disk; `read` checks all of its files.

    Attributes:
        path: Folder of the bundle.
        manifest: Content of its `manifest.json`.
    """

    path: Path
    manifest: Manifest

    @property
    def name(self) -> str:
        """The engine's name."""
        return self.manifest.name

    @property
    def files(self) -> list[File]:
        """Every file that the manifest names."""
        manifest = self.manifest
        card = [] if manifest.card is None else [manifest.card]
        return [manifest.golden, *manifest.models.values(), *card]

    @property
    def plans(self) -> Path:
        """Folder of the plans that were built on this machine (never shipped, never imported)."""
        return self.path / PLANS

    def model_bytes(self, precision: Precision) -> bytes:
        """Read one graph and check its hash.

        Raises:
            EngineError: E01 the file is missing; E03 its hash is wrong; E14 the bundle has no
                graph of this precision.
        """
        models = self.manifest.models
        if precision not in models:
            raise EngineError(
                "E14",
                f"precision {precision}",
                f"one of {', '.join(models)} in engine '{self.name}'",
                "Choose one of these.",
            )
        return read_file(self.path, models[precision])

    def golden(self) -> Golden:
        """Read the golden inputs.

        Raises:
            EngineError: E01 the file is missing; E03 its hash is wrong; E04 it does not hold
                the right arrays; E08 its patches are not int16 HU of the right shape.
        """
        return _golden(read_file(self.path, self.manifest.golden), self.name)


def read(path: Path) -> Bundle:
    """Read a bundle and check every file that its manifest names.

    Args:
        path: Folder of the bundle.

    Returns:
        The bundle.

    Raises:
        EngineError: The first of E01 and E03 to E08 that applies.
    """
    bundle = Bundle(path, read_manifest(path))
    _refuse_code(path)
    theirs = bundle.manifest.patch.hash
    if theirs != SPEC.hash:
        raise EngineError(
            "E06",
            f"engine '{bundle.name}' made for patch specification {theirs}",
            f"{SPEC.hash} (version {SPEC.version})",
            "Export the engine again with this version of lnscore.",
        )
    for precision in bundle.manifest.models:
        check_graph(bundle.model_bytes(precision), bundle.name)
    bundle.golden()
    if bundle.manifest.card is not None:
        read_file(path, bundle.manifest.card)
    return bundle


def read_manifest(path: Path) -> Manifest:
    """Read `manifest.json` alone; nothing else of the bundle is checked.

    Raises:
        EngineError: E01 there is no manifest; E04 it is too large, has another version, or is
            not a manifest.
    """
    from pydantic import ValidationError

    file = path / MANIFEST
    if not file.is_file():
        raise EngineError(
            "E01", f"no {MANIFEST} in '{path.name}'", "an engine bundle", "Check the path."
        )
    fix = "Export or import the engine again."
    if file.stat().st_size > MAX_MANIFEST_BYTES:
        raise EngineError("E04", f"{MANIFEST} of {file.stat().st_size} bytes", "at most 1 MiB", fix)
    try:
        return Manifest.model_validate_json(file.read_bytes())
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        if where == "manifest_version":
            found = f"manifest version {first['input']!r}"
            raise EngineError("E04", found, f"version {VERSION}", "Update lnscore.") from error
        raise EngineError("E04", f"{MANIFEST}: {where or 'text'}", first["msg"], fix) from error


def read_file(path: Path, named: File) -> bytes:
    """Read a file that the manifest names, and check its hash.

    Raises:
        EngineError: E01 the file is missing; E03 its hash is wrong.
    """
    file = path / named.file
    fix = "Export or import the engine again."
    if not file.is_file():
        raise EngineError("E01", f"no {named.file} in '{path.name}'", "every named file", fix)
    data = file.read_bytes()
    sha256 = hashlib.sha256(data).hexdigest()
    if sha256 != named.sha256:
        raise EngineError(
            "E03", f"{named.file} with SHA-256 {sha256[:16]}…", f"{named.sha256[:16]}…", fix
        )
    return data


def _refuse_code(path: Path) -> None:
    for file in sorted(path.rglob("*")):
        if file.parent == path / PLANS:
            continue  # plans, which this machine built itself
        if file.suffix.lower() in MAY_RUN_CODE:
            raise EngineError(
                "E05",
                f"'{file.name}' in the bundle, a file that can run code when it is loaded",
                "ONNX graphs, golden.npz and a manifest",
                "Delete the file, or get the engine from its maker again.",
            )


def _golden(data: bytes, name: str) -> Golden:
    def damaged(found: str) -> EngineError:
        return EngineError(
            "E04",
            f"golden inputs of engine '{name}': {found}",
            "arrays patches, fused, fused_logit and, for two streams, local and global",
            "Export or import the engine again.",
        )

    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
        if size > MAX_GOLDEN_BYTES:
            raise damaged(f"{size} bytes unpacked")
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            named = dict(arrays)
    except (ValueError, OSError, zipfile.BadZipFile) as error:
        raise damaged(str(error)) from error
    patches = named.pop("patches", None)
    if patches is None or not {"fused", "fused_logit"} <= set(named):
        raise damaged(f"arrays {', '.join(sorted(named))}")
    check_patches(patches)
    for key, value in named.items():
        if value.shape != patches.shape[:1] or value.dtype != np.float32:
            raise damaged(f"{key} of type {value.dtype} and shape {value.shape}")
    expected = Scores(named["fused"], named.get("local"), named.get("global"), named["fused_logit"])
    return Golden(patches, expected)
