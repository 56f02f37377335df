"""List, find, choose and verify the engines of this machine.

Engines are shipped in the package or imported into a folder of the user. Nothing is printed
here; every function returns values.
"""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

from db import engines as engine_rows
from engines import bundle as bundles
from engines import layer_compare, load, parity, plans
from engines.bundle import MANIFEST, Bundle
from engines.errors import EngineError
from engines.layer_compare import Layer
from engines.manifest import caution
from engines.protocol import Engine
from lnscore.scoring import default_engine
from lnscore.scoring.default_engine import FIX, DefaultEngine

SHIPPED = Path(bundles.__file__).parent / "bundles"
DEMO = "demo"
Place = Literal["shipped", "imported"]


@dataclass(frozen=True, kw_only=True)
class ListedEngine:
    """One engine of the list.

    Attributes:
        name: Name of the engine's folder.
        place: Whether the engine is shipped or imported.
        path: Folder of the bundle.
        trained: Whether the engine is trained; None if its manifest cannot be read.
        created: Time at which the bundle was made; None if its manifest cannot be read.
        problem: Why the engine cannot be used; None if it can.
        phantom: Whether the engine was trained on phantoms.
        default: Whether the engine is the promoted default.
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
        """Why the engine's scores have no meaning for patients; empty if they may have one."""
        return caution(trained=bool(self.trained), phantom=self.phantom)


@dataclass(frozen=True, kw_only=True)
class GoldenCheck:
    """Result of scoring the golden inputs with one back end and precision.

    Attributes:
        backend: Name of the back end.
        precision: Precision of the graph.
        outcome: `passed`, `failed`, or `absent` if the back end cannot run here.
        reason: Description of the back end, or what is missing or wrong.
        figures: Differences from the golden outputs; None if the engine did not pass.
        layers: Layers that lose the most precision, if half precision failed.
    """

    backend: str
    precision: str
    outcome: Literal["passed", "failed", "absent"]
    reason: str
    figures: parity.Parity | None
    layers: tuple[Layer, ...] = ()


@dataclass(frozen=True)
class ChosenEngine:
    """The engine to score with, and why it was chosen."""

    bundle: Bundle
    why: str


def list_engines(home: Path) -> list[ListedEngine]:
    """List every engine, shipped ones first; only their manifests are read.

    Args:
        home: Folder of imported engines; it need not exist.
    """
    default = _default_name(home)
    return [
        _listed(path, place, default)
        for place, root in roots(home)
        for path in sorted(root.iterdir() if root.is_dir() else [])
        if path.is_dir() and not path.name.startswith(".")
    ]


def show(name: str, home: Path) -> Bundle:
    """Find an engine by name and verify every file of it.

    Raises:
        EngineError: E11 there is no such engine; E01, E03 to E08 it cannot be used.
    """
    for _, root in roots(home):
        # The name is compared with the folders that exist, so a name with `..` finds nothing.
        if root.is_dir() and name in (path.name for path in root.iterdir() if path.is_dir()):
            return bundles.read(root / name)
    known = ", ".join(row.name for row in list_engines(home)) or "there is none"
    raise EngineError(
        "E11", f"engine '{name}'", f"one of: {known}", "Import it with `lnscore engine import`."
    )


def choose(wanted: str | None, home: Path) -> ChosenEngine:
    """Return the engine of a name or in a folder; without a name, the default engine.

    Args:
        wanted: Name of an engine, folder of a bundle, or `auto` (or None). With `auto` the
            promoted default is chosen. If none was promoted, it is the only trained engine that
            was imported (one trained on phantoms only if none was trained on patients). If
            there is none, it is the shipped engine.
        home: Folder of imported engines.

    Raises:
        EngineError: E11 there is no such engine; E17 several engines are trained; E19 the
            default cannot be used; E01, E03 to E08 the bundle cannot be used.
    """
    if wanted is None or wanted == load.AUTO:
        default = default_engine.read(home)
        if default is None:
            return _only_trained(list_engines(home))
        return _chosen(promoted(default, home), "the promoted default")
    if (Path(wanted) / MANIFEST).is_file():
        return ChosenEngine(bundles.read(Path(wanted)), "the folder asked for")
    return ChosenEngine(show(wanted, home), "asked for")


def promoted(default: DefaultEngine, home: Path) -> Bundle:
    """Return the bundle of the default engine.

    Raises:
        EngineError: E19 it is not on this machine, or another engine has its name; E01, E03 to
            E08 it cannot be used.
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


def _default_name(home: Path) -> DefaultEngine | None:
    """Return the default engine; None if there is none or its file cannot be read.

    A fault of that file must not stop the list of engines.
    """
    try:
        return default_engine.read(home)
    except EngineError:
        return None


def _chosen(bundle: Bundle, why: str) -> ChosenEngine:
    """Add to the reason a caution about the engine's scores, if there is one."""
    doubt = bundle.manifest.caution
    return ChosenEngine(bundle, f"{why}, which is {doubt}" if doubt else why)


def _only_trained(rows: list[ListedEngine]) -> ChosenEngine:
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
    return ChosenEngine(shipped, f"no trained engine is here; the shipped one is {state}")


def verify(name: str, home: Path, backend: str = load.AUTO) -> list[GoldenCheck]:
    """Score the golden inputs with every precision of the bundle, on one back end or on all.

    Args:
        name: Name of an engine, or folder of a bundle.
        home: Folder of imported engines.
        backend: The only back end to check, or `auto` for all.

    Raises:
        EngineError: E11 there is no such engine; E01, E03 to E08 it cannot be used at all.
    """
    bundle = choose(name, home).bundle
    return [
        _check(bundle, known, precision, state)
        for known, state in load.availability().items()
        if backend in (load.AUTO, known)
        for precision in bundle.manifest.models
    ]


def roots(home: Path) -> list[tuple[Place, Path]]:
    """Return the folders of engines, that of the shipped engines first."""
    return [("shipped", SHIPPED), ("imported", home)]


def _listed(path: Path, place: Place, default: DefaultEngine | None) -> ListedEngine:
    try:
        manifest = bundles.read_manifest(path)
    except EngineError as error:
        return ListedEngine(
            name=path.name, place=place, path=path, trained=None, created=None, problem=str(error)
        )
    problem = None
    if manifest.name != path.name:
        problem = f"the folder is '{path.name}', the engine in it '{manifest.name}'"
    is_default = default is not None and default.matches(Bundle(path, manifest))
    return ListedEngine(
        name=path.name,
        place=place,
        path=path,
        trained=manifest.trained,
        created=manifest.created,
        problem=problem,
        phantom=manifest.phantom,
        default=is_default,
    )


def _check(bundle: Bundle, backend: str, precision: str, state: load.Availability) -> GoldenCheck:
    if not state:
        return GoldenCheck(
            backend=backend,
            precision=precision,
            outcome="absent",
            reason=state.reason,
            figures=None,
        )
    try:
        engine = load.load(bundle, backend, precision)  # pyright: ignore[reportArgumentType]
        return GoldenCheck(
            backend=backend,
            precision=precision,
            outcome="passed",
            reason=engine.reason,
            figures=parity.gate(bundle, engine),
        )
    except EngineError as error:
        outcome = "absent" if error.code == plans.NONE_YET else "failed"
        lossy = outcome == "failed" and precision == "fp16"
        layers = tuple(layer_compare.worst(bundle)) if lossy else ()
        return GoldenCheck(
            backend=backend,
            precision=precision,
            outcome=outcome,
            reason=str(error),
            figures=None,
            layers=layers,
        )


def engine_record(engine: Engine) -> engine_rows.EngineRecord:
    """Return the engine's row: everything that determines its scores."""
    manifest = engine.bundle.manifest
    return engine_rows.EngineRecord(
        name=manifest.name,
        weights_sha256=manifest.weights_sha256,
        config_hash=manifest.config_hash,
        spec_hash=manifest.patch.hash,
        backend=engine.backend,
        precision=engine.precision,
        model_sha256=manifest.models[engine.precision].sha256,
        trained=manifest.trained,
        manifest=manifest.model_dump(mode="json"),
    )
