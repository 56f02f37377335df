"""`lnscore engine`: which engines there are, what they state, whether they work here.

Engines are shipped in the package or imported into a folder of the user. Nothing is printed
here; every function gives values.
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


@dataclass(frozen=True, kw_only=True)
class GoldenCheck:
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
class ChosenEngine:
    """The engine to score with, and why this one."""

    bundle: Bundle
    why: str


def list_engines(home: Path) -> list[ListedEngine]:
    """Every engine, shipped ones first; their manifests are read, their files are not.

    Args:
        home: Folder of imported engines; need not exist.
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
        EngineError: E11 no such engine; E01 to E07 it cannot be used.
    """
    for _, root in roots(home):
        # Compared with what is there: a name with `..` in it leads nowhere.
        if root.is_dir() and name in (path.name for path in root.iterdir() if path.is_dir()):
            return bundles.read(root / name)
    known = ", ".join(row.name for row in list_engines(home)) or "there is none"
    raise EngineError(
        "E11", f"engine '{name}'", f"one of: {known}", "Import it with `lnscore engine import`."
    )


def choose(wanted: str | None, home: Path) -> ChosenEngine:
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
        return ChosenEngine(bundles.read(Path(wanted)), "the folder asked for")
    return ChosenEngine(show(wanted, home), "asked for")


def promoted(default: DefaultEngine, home: Path) -> Bundle:
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


def _default_name(home: Path) -> DefaultEngine | None:
    """The default, as far as it can be read: a list shows what is there."""
    try:
        return default_engine.read(home)
    except EngineError:
        return None


def _chosen(bundle: Bundle, why: str) -> ChosenEngine:
    """With the reason, whatever must be known of its scores."""
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


def roots(home: Path) -> list[tuple[Place, Path]]:
    """Where engines are, the shipped ones first."""
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
    """The engine's row: everything that shapes its scores."""
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
