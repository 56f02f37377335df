"""A study database of phantom patients whose truth is known, small enough to train on."""

import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from db import audit, runs
from db.patchstore import PatchStore
from db.session import open_database
from lnscore import settings
from lnscore.cli.app import app
from lnscore.phantom import filling
from lnscore.phantom.patients import PatientPlan
from lnscore.phantom.records import make_patient
from lnscore.pseudonym import open_pseudonyms
from made_once import made_once

LABELLED, HIDDEN = 16, 6


def phantoms_of_the_command(factory: pytest.TempPathFactory) -> Path:
    """24 labelled patients that `lnscore phantom` draws; not to be changed, copy it."""

    def make(folder: Path) -> None:
        words = ("phantom", "--patients", "24", "--seed", "3", "--direct", folder / "a.db")
        done = CliRunner().invoke(app, [str(word) for word in words])
        assert done.exit_code == 0, (done.output, done.exception)

    return made_once(factory, "phantoms-of-the-command", make) / "a.db"


def filled(factory: pytest.TempPathFactory) -> Path:
    """The database that `fill` makes; not to be changed, copy it."""
    return made_once(factory, "filled", lambda folder: fill(folder / "study.db")) / "study.db"


def copy_of(database: Path, folder: Path) -> Path:
    """The same database at another place, with its patches."""
    folder.mkdir()
    for path in database.parent.iterdir():
        if path.name.startswith(database.name) and not path.name.endswith(".lock"):
            copy = shutil.copytree if path.is_dir() else shutil.copy2
            copy(path, folder / path.name)
    return folder / database.name


def fill(location: Path) -> None:
    """Sixteen labelled patients, six without labels; two benign nodes each, one malignant."""
    place = settings.load(str(location))
    plans = [PatientPlan(3, n, 2, 1, n <= LABELLED) for n in range(1, LABELLED + HIDDEN + 1)]
    with open_database(place.db, create=True) as database:
        store = PatchStore(place.store_root)
        with database.begin() as session:
            run_id = runs.start(session, "phantom", [], "test")
            audit.record(session, "test", "phantom", "test")
        pseudonyms = open_pseudonyms(place.secret_path, create=True)
        for task in filling.tasks(plans, pseudonyms):
            filling.store(database, store, run_id, make_patient(task))
