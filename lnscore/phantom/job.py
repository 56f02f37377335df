"""`lnscore phantom`: make a cohort, as DICOM in a folder or as patches in a database."""

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

from lnscore.errors import EXIT_DONE, Refusal
from lnscore.phantom.cohorts import plan_cohort, plan_paper
from lnscore.phantom.difficulty import ENOUGH, Difficulty, Sample, assess
from lnscore.phantom.options import PhantomOptions
from lnscore.phantom.patients import PatientPlan, draw_patient
from lnscore.workers import Limits, Workers

Task = TypeVar("Task")
Result = TypeVar("Result")


@dataclass(frozen=True, kw_only=True)
class PhantomSummary:
    """The summary of a cohort that was made.

    Attributes:
        place: Folder or database of the cohort.
        patients: Number of patients.
        positive: Number of malignant nodes.
        negative: Number of benign nodes.
        images: Number of CT images written; 0 if the patches went directly into a database.
        difficulty: How difficult it is to separate malignant from benign nodes; None for a
            small cohort.
        advice: Next command for the user.
        exit_code: Exit code of the command.
    """

    place: str
    patients: int
    positive: int
    negative: int
    images: int
    difficulty: Difficulty | None
    advice: str
    exit_code: int = EXIT_DONE

    def lines(self) -> list[str]:
        """Return the summary as a few lines of text."""
        images = f", {self.images} CT images" if self.images else ""
        first = (
            f"{self.patients} phantom patients{images}, {self.positive + self.negative} nodes "
            f"({self.positive} malignant) in {self.place}"
        )
        figures = self.difficulty.lines() if self.difficulty else ()
        return [first, *figures, self.advice]

    def as_dict(self) -> dict[str, Any]:
        """Return the summary for `--json`."""
        return asdict(self)


def run(options: PhantomOptions, jobs: int) -> PhantomSummary:
    """Make a cohort; exactly one of `out` and `direct` is given.

    Raises:
        Refusal: See `write_dicom` and `fill`.
        DatabaseError: See `fill`.
    """
    if options.out is not None:
        return write_dicom(options.out, options.patients, options.seed, jobs)
    share = options.share if options.like_paper else None
    return fill(options.direct or "", options.patients, options.seed, jobs, like_paper=share)


def write_dicom(out: Path, patients: int, seed: int, jobs: int) -> PhantomSummary:
    """Write a cohort as DICOM: a folder with CT and SEG for each patient, and two tables.

    Args:
        out: New or empty folder, for `PH0001/`..., `pathology.csv` and `truth.csv`.
        patients: Number of patients.
        seed: Seed of the cohort; the same seed gives the same bytes.
        jobs: Number of worker processes.

    Raises:
        Refusal: H01, the folder is not empty; or a worker failed.
    """
    from lnscore.phantom.patient_folder import PatientToWrite, write_patient
    from lnscore.phantom.tables import write_pathology, write_truth

    if out.exists() and any(out.iterdir()):
        raise Refusal(
            "H01", f"files in {out}", "a new or empty folder", "Name another, or empty it."
        )
    out.mkdir(parents=True, exist_ok=True)
    plans = plan_cohort(patients, seed)
    measured = _tells(plans)
    tasks = [PatientToWrite(plan, out, measured) for plan in plans]
    written = list(_in_workers(write_patient, tasks, jobs))
    images = sum(one.images for one in written)
    samples = [sample for one in written for sample in one.samples]
    cohort = [draw_patient(plan) for plan in plans]
    write_pathology(cohort, out / "pathology.csv")
    write_truth(cohort, out / "truth.csv")
    return _made(str(out), plans, samples, f"Next: lnscore ingest {out}", images)


def fill(
    direct: str, patients: int, seed: int, jobs: int, *, like_paper: float | None = None
) -> PhantomSummary:
    """Store the patches of a cohort directly in a database, with labels and pathology.

    Args:
        direct: SQLite file or database URL; the database is made if it does not exist.
        patients: Number of patients; not used with `like_paper`.
        seed: Seed of the cohort; nothing is added if the cohort of this seed is already there.
        jobs: Number of worker processes.
        like_paper: Share of the paper's 310 labelled and 742 unlabelled patients to make; None
            for a cohort of `patients`.

    Raises:
        Refusal: A setting is missing, or a worker failed.
        DatabaseError: The database cannot be used, or another run holds its lock.
    """
    from db import audit, runs, studies
    from db.lock import writer_lock
    from db.patchstore import PatchStore
    from db.session import open_database
    from lnscore import settings as settings_module
    from lnscore.phantom import filling
    from lnscore.phantom.records import make_patient
    from lnscore.pseudonym import open_pseudonyms
    from lnscore.version import version

    settings = settings_module.load(direct)
    plans = plan_cohort(patients, seed) if like_paper is None else plan_paper(seed, like_paper)
    samples: list[Sample] = []
    with writer_lock(settings.db), open_database(settings.db, create=True) as database:
        store = PatchStore(settings.store_root)
        with database.begin() as session:
            known = studies.any_patient(session)
            run_id = runs.start(session, "phantom", sys.argv[1:], version())
            audit.record(session, settings_module.actor(), "phantom", f"run {run_id}")
        pseudonyms = open_pseudonyms(settings.secret_path, create=not known)
        tasks = list(filling.tasks(plans, pseudonyms))
        for made in _in_workers(make_patient, tasks, jobs):
            filling.store(database, store, run_id, made)
            samples += made.samples
        summary = _made(direct, plans, samples, f"Next: lnscore score --pending --db {direct}")
        with database.begin() as session:
            runs.finish(session, run_id, summary.exit_code, summary.as_dict())
    return summary


def _made(
    place: str, plans: list[PatientPlan], samples: list[Sample], advice: str, images: int = 0
) -> PhantomSummary:
    return PhantomSummary(
        place=place,
        patients=len(plans),
        positive=sum(plan.positive for plan in plans),
        negative=sum(plan.negative for plan in plans),
        images=images,
        difficulty=assess(samples),
        advice=advice,
    )


def _tells(plans: list[PatientPlan]) -> bool:
    """Return whether the cohort is large enough to measure its difficulty."""
    return sum(p.positive for p in plans) >= ENOUGH and sum(p.negative for p in plans) >= ENOUGH


def _in_workers(
    function: Callable[[Task], Result], tasks: Sequence[Task], jobs: int
) -> Iterator[Result]:
    """Yield the results in the order of the tasks; the first failure ends the job."""
    from lnscore.console import progress

    with Workers(Limits(jobs=jobs)) as workers, progress("making phantoms", "patients") as advance:
        for count, done in enumerate(workers.map(function, tasks), start=1):
            if done.refusal is not None:
                raise done.refusal
            assert done.value is not None
            advance(count, len(tasks))
            yield done.value
