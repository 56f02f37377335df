"""Make an engine from a finished training: export, import and register it in the database."""

import re
from dataclasses import dataclass
from pathlib import Path

from db import audit
from db import engines as engine_rows
from db.errors import DatabaseError
from db.lock import writer_lock
from db.session import open_database
from engines import bundle as bundles
from engines import load
from engines.bundle import MANIFEST, Bundle
from engines.errors import EngineError
from lnscore.engine_commands import importing
from lnscore.errors import LOCKED
from lnscore.scoring import engine_choice
from lnscore.scoring.engine_choice import engine_record
from lnscore.settings import Settings, actor

FOLDER = "engine"
"""Name of the bundle's folder in the folder of the run."""

NAME_LENGTH = 64


@dataclass(frozen=True)
class TrainedEngine:
    """An engine that was made from a run.

    Attributes:
        bundle: Bundle in the folder of imported engines.
        why: Why the weights of this fold were chosen.
        notes: Notes for the user, in sentences.
    """

    bundle: Bundle
    why: str
    notes: tuple[str, ...]

    def lines(self) -> list[str]:
        """Return the engine's fold, figures and notes as a few lines of text."""
        manifest = self.bundle.manifest
        cohort = manifest.cohort or {}
        first = f"engine {manifest.name} made from fold {cohort.get('fold')} ({self.why})"
        figures = [
            f"AUROC {manifest.metrics[name].value:.3f} {where}"
            for name, where in (
                ("test_auroc", "held out"),
                ("cross_validated_auroc", "out of fold"),
                ("cross_validated_short_axis_auroc", "by the short axis alone"),
            )
            if name in manifest.metrics
        ]
        caution = [f"engine {manifest.name} is {manifest.caution}"] if manifest.caution else []
        return [first, ", ".join(figures), *caution, *self.notes]


def engine_name(run: str) -> str:
    """Return an engine's name for a run's: lower case, with hyphens for other characters."""
    return re.sub(r"[^a-z0-9._-]+", "-", run.lower()).strip("-._")[:NAME_LENGTH] or "engine"


def refuse_taken(name: str, home: Path, run: Path) -> None:
    """Refuse a name that another engine has; this is checked before the long training.

    Raises:
        EngineError: E12 another engine has the name.
    """
    known = {row.name: row for row in engine_choice.list_engines(home)}
    if name in known and not _is_of(run, known[name].path):
        raise EngineError(
            "E12",
            f"another engine named '{name}'",
            "a name that is free",
            "Give the run another --name, delete the old engine's folder, or pass --no-engine.",
        )


def make_engine(run: Path, settings: Settings) -> TrainedEngine:
    """Export the best fold of a finished run, import the bundle and register it.

    If it is called again for the same run, nothing new is made.

    Raises:
        TrainerError: No bundle can be made from the run or its network.
        EngineError: The bundle does not work here, or its name is taken.
        DatabaseError: The database cannot be used.
    """
    from trainer.bundle import from_run

    finished = from_run.read_run(run)
    choice = from_run.best_fold(finished)
    folder = run / FOLDER
    if not (folder / MANIFEST).is_file():
        from_run.make_bundle(finished, choice, engine_name(run.name), folder)
    imported = importing.import_bundle(folder, settings.engine_home).bundle
    notes = _register(imported, settings)
    if (card := imported.manifest.card) is not None:
        notes.append(f"The model card is {imported.path / card.file}.")
    return TrainedEngine(imported, choice.why, tuple(notes))


def _register(bundle: Bundle, settings: Settings) -> list[str]:
    """Store the engine's row and an audit row, and return notes.

    If another run holds the lock, there is a note and no error: a long training must not fail
    at its end.
    """
    record = engine_record(load.load(bundle, "onnx"))
    run = (bundle.manifest.cohort or {}).get("run")
    details = {"weights": record.weights_sha256, "run": run}
    try:
        with (
            writer_lock(settings.db, create=False),
            open_database(settings.db) as database,
            database.begin() as session,
        ):
            engine_rows.register(session, record)
            audit.record(session, actor(), "train", f"engine {bundle.name}", details)
    except DatabaseError as error:
        if error.code != LOCKED:
            raise
        return [f"not in the database yet ({error.found}): the same command with --resume adds it"]
    return []


def _is_of(run: Path, engine: Path) -> bool:
    """Return whether an engine is the one that was made from this run."""
    made = run / FOLDER
    try:
        return bundles.read_manifest(made) == bundles.read_manifest(engine)
    except EngineError:
        return False
