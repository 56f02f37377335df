"""A study database of phantom patients whose truth is known, small enough to train on."""

from pathlib import Path

from db import audit, runs
from db.patchstore import PatchStore
from db.session import open_database
from lnscore import settings
from lnscore.phantom import filling
from lnscore.phantom.patients import PatientPlan
from lnscore.phantom.records import make_patient
from lnscore.pseudonym import open_pseudonyms

LABELLED, HIDDEN = 16, 6


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
