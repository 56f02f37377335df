"""The checks of `lnscore doctor` on disks, database, secret, patch files and engines.

They change nothing: an older database is reported, but not migrated.
"""

import os
import shutil
import sqlite3
import stat
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from db import audit, migrate, schema, sqlite_file, studies
from db.errors import DatabaseError
from db.location import Location, locate
from db.patchstore import PatchStore
from db.session import Database, connected, open_database, rephrased
from engines import load
from engines.errors import EngineError
from lnscore.doctor.machine import Check
from lnscore.errors import Refusal
from lnscore.pseudonym import open_pseudonyms
from lnscore.scoring import engine_choice
from lnscore.settings import Settings

DISK_FAIL_GB, DISK_WARN_GB = 0.5, 5.0


def check_place(settings: Settings) -> Iterator[Check]:
    """Check the database, its disk, and the files that belong to it."""
    try:
        place, store = locate(settings.db), settings.store_root
    except (DatabaseError, Refusal) as error:
        yield _failed("database", error)
        return
    if place.path is not None:
        yield _disk("disk of the database", place.path)
        yield _wal(place.path)
    yield _disk("disk of the patches", store)
    yield from _check_database(place, settings)


EVERYWHERE = "onnx"
"""The back end that every installation has; the others are for a GPU or a little more speed."""


def check_engines(settings: Settings) -> Iterator[Check]:
    """Run the golden inputs of every engine on every back end."""
    for backend, state in load.availability().items():
        if not state and backend == EVERYWHERE:
            fix = "Install lnscore again: every machine needs this one."
            yield Check(f"back end {backend}", "fail", state.reason, fix)
        elif not state:
            yield Check(f"back end {backend}", "ok", f"optional, not here: {state.reason}")
    for row in engine_choice.list_engines(settings.engine_home):
        yield _engine(row, settings)
    yield _without_a_name(settings)


def _disk(name: str, path: Path) -> Check:
    whole = path.absolute()
    folder = next(place for place in (whole, *whole.parents) if place.is_dir())
    free_gb = shutil.disk_usage(folder).free / 1e9
    found = f"{free_gb:.1f} GB free at {folder}"
    if free_gb < DISK_FAIL_GB:
        return Check(name, "fail", found, "Free some space: a study takes up to about 10 MB.")
    if free_gb < DISK_WARN_GB:
        return Check(name, "warn", found, "Free some space before you ingest many studies.")
    return Check(name, "ok", found)


def _wal(path: Path) -> Check:
    """Try SQLite's write-ahead log in the folder itself, as nothing else shows that it works."""
    name = "folder of the database"
    try:
        sqlite_file.check_place(path)
        with (
            tempfile.TemporaryDirectory(dir=path.parent, prefix=".lnscore-") as folder,
            closing(sqlite3.connect(Path(folder, "try.db"))) as connection,
        ):
            (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
    except (DatabaseError, OSError, sqlite3.Error) as error:
        return _failed(name, error)
    if mode != "wal":
        fix = "Put the database on a local disk."
        return Check(name, "fail", f"SQLite cannot keep its log in {path.parent}", fix)
    return Check(name, "ok", f"{path.parent} can be written and keeps SQLite's log")


def _check_database(place: Location, settings: Settings) -> Iterator[Check]:
    try:
        revision = _revision(place)
        if revision is None:
            found = f"none at {place.shown} yet"
            yield Check("database", "ok", found, "`lnscore ingest` makes it.")
            return
        migrate.refuse_unknown(revision, place.shown)
        if revision != schema.HEAD:
            found = f"{place.shown} has schema {revision}, this version has {schema.HEAD}"
            yield Check("database", "warn", found, "The next command backs it up and updates it.")
            return
        with closing(open_database(settings.db)) as database:
            yield from _check_content(database, revision, settings)
    except DatabaseError as error:
        yield _failed("database", error)


def _revision(place: Location) -> str | None:
    if place.path is not None:
        return sqlite_file.revision_in(place.path)
    with rephrased(place.shown), connected(place) as connection:
        return migrate.server_revision(connection, place.shown)


def _check_content(database: Database, revision: str, settings: Settings) -> Iterator[Check]:
    yield Check("database", "ok", f"{database.location}, schema {revision}")
    with database.read() as session:
        files = studies.patch_files(session)
        knows_patients = studies.any_patient(session)
        try:
            yield Check("audit log", "ok", f"{audit.verify(session)} entries, unbroken")
        except DatabaseError as error:
            yield _failed("audit log", error)
    yield _patch_files(files, PatchStore(settings.store_root))
    yield _secret(settings.secret_path, knows_patients)


def _patch_files(files: set[str], store: PatchStore) -> Check:
    missing = sorted(sha256 for sha256 in files if not store.path(sha256).is_file())
    if not missing:
        return Check("patch files", "ok", f"all {len(files)} are in {store.root}")
    return Check(
        "patch files",
        "fail",
        f"{len(missing)} of {len(files)} are not in {store.root}, the first is {missing[0]}",
        "Restore the folder beside the database, or ingest the studies again.",
    )


def _secret(path: Path, knows_patients: bool) -> Check:
    if not path.exists() and not knows_patients:
        return Check("secret", "ok", f"none at {path} yet", "The first ingest makes it.")
    try:
        open_pseudonyms(path, create=False)
    except Refusal as error:
        return _failed("secret", error)
    mode = stat.S_IMODE(path.stat().st_mode)
    if os.name == "posix" and mode & 0o077:
        fix = f"Let only its owner read it: chmod 600 '{path}'."
        return Check("secret", "warn", f"{path} has mode {mode:04o}, others can read it", fix)
    return Check("secret", "ok", f"{path}, readable by its owner only")


def _without_a_name(settings: Settings) -> Check:
    """Check which engine scores if none is named."""
    try:
        chosen = engine_choice.choose(None, settings.engine_home)
    except EngineError as error:
        return _failed("engine without --engine", error)
    return Check("engine without --engine", "ok", f"{chosen.bundle.name}: {chosen.why}")


def _engine(row: engine_choice.ListedEngine, settings: Settings) -> Check:
    name = f"engine {row.name}"
    if row.problem is not None:
        return Check(name, "fail", row.problem, "Import the engine again, or delete its folder.")
    try:
        checked = engine_choice.verify(row.name, settings.engine_home)
    except EngineError as error:
        return _failed(name, error)
    failed = [one.reason for one in checked if one.outcome == "failed"]
    passed = [f"{one.backend} {one.precision}" for one in checked if one.outcome == "passed"]
    if failed or not passed:
        found = "; ".join(failed) or "no back end can run here"
        return Check(name, "fail", found, f"See `lnscore engine verify {row.name}`.")
    state = row.caution or "trained"
    return Check(name, "ok", f"reproduces its golden outputs ({', '.join(passed)}); {state}")


def _failed(name: str, error: Exception) -> Check:
    if isinstance(error, DatabaseError | EngineError | Refusal):
        found = f"{error.code}: {error.found}; wanted {error.wanted}"
        return Check(name, "fail", found, error.fix)
    return Check(name, "fail", str(error), "Correct the folder's permissions, or use another.")
