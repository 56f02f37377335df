"""`lnscore phantom`: a cohort as DICOM in a folder, or as patches in a database."""

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
    """What was made, and where.

    Attributes:
        place: Folder or database.
        patients: Patients.
        positive: Malignant nodes.
        negative: Benign nodes.
        images: CT images written; 0 for patches straight into a database.
        difficulty: How hard the nodes are to tell apart; None for a small cohort.
        advice: What to do next.
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
        """What happened, in a few lines."""
        images = f", {self.images} CT images" if self.images else ""
        first = (
            f"{self.patients} phantom patients{images}, {self.positive + self.negative} nodes "
            f"({self.positive} malignant) in {self.place}"
        )
        figures = self.difficulty.lines() if self.difficulty else ()
        return [first, *figures, self.advice]

    def as_dict(self) -> dict[str, Any]:
        """The same for `--json`."""
        return asdict(self)


def run(options: PhantomOptions, jobs: int) -> PhantomSummary:
    """Make a cohort; exactly one of `out` and `direct` is given.

    Raises:
        Refusal: As `write_dicom` and `fill` do.
        DatabaseError: As `fill` does.
    """
    if options.out is not None:
        return write_dicom(options.out, options.patients, options.seed, jobs)
    share = options.share if options.like_paper else None
    return fill(options.direct or "", options.patients, options.seed, jobs, like_paper=share)


def write_dicom(out: Path, patients: int, seed: int, jobs: int) -> PhantomSummary:
    """Write a cohort as DICOM: a folder a patient with CT and SEG, and two tables.

    Args:
        out: New or empty folder; gets `PH0001/`..., `pathology.csv`, `truth.csv`.
        patients: How many.
        seed: The same seed gives the same bytes.
        jobs: Worker processes.

    Raises:
        Refusal: H01, the folder holds something; or what a worker met.
    """
    from lnscore.phantom.tables import write_pathology, write_truth

    if out.exists() and any(out.iterdir()):
        raise Refusal(
            "H01", f"files in {out}", "a new or empty folder", "Name another, or empty it."
        )
    out.mkdir(parents=True, exist_ok=True)
    plans = plan_cohort(patients, seed)
    tasks = [(plan, out, _tells(plans)) for plan in plans]
    images, samples = 0, []
    for written, sampled in _in_workers(_write_patient, tasks, jobs):
        images, samples = images + written, samples + sampled
    cohort = [draw_patient(plan) for plan in plans]
    write_pathology(cohort, out / "pathology.csv")
    write_truth(cohort, out / "truth.csv")
    return _made(str(out), plans, samples, f"Next: lnscore ingest {out}", images)


def fill(
    direct: str, patients: int, seed: int, jobs: int, *, like_paper: float | None = None
) -> PhantomSummary:
    """Put a cohort's patches straight into a database, with labels and pathology.

    Args:
        direct: SQLite file or database URL; made where there is none.
        patients: How many; not used with `like_paper`.
        seed: The same seed adds nothing a second time.
        jobs: Worker processes.
        like_paper: This share of the paper's 310 labelled and 742 unlabelled patients.

    Raises:
        Refusal: A setting is missing; or what a worker met.
        DatabaseError: The database cannot be used, or another run holds it.
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
    """Whether the cohort is large enough for figures of its difficulty."""
    return sum(p.positive for p in plans) >= ENOUGH and sum(p.negative for p in plans) >= ENOUGH


def _write_patient(task: tuple[PatientPlan, Path, bool]) -> tuple[int, list[Sample]]:
    """One patient's folder; the number of CT images in it, and its nodes measured."""
    from lnscore.phantom.dicom_ct import write_ct
    from lnscore.phantom.dicom_seg import write_seg
    from lnscore.phantom.direct import cut_nodes
    from lnscore.phantom.records import samples_of
    from lnscore.phantom.render import paint_nodes

    plan, out, measured = task
    patient = draw_patient(plan)
    folder = out / patient.patient_id
    painted = paint_nodes(patient.nodes, patient.scan.slices)
    headers = write_ct(patient, painted, folder / "CT")
    write_seg(patient, painted, headers, folder / "nodes.dcm")
    samples = samples_of(patient, cut_nodes(patient)) if measured else []
    return len(headers) + patient.scan.habit.localizer, samples


def _in_workers(
    function: Callable[[Task], Result], tasks: Sequence[Task], jobs: int
) -> Iterator[Result]:
    """Results in the order of the tasks; the first failure ends the job."""
    from lnscore.console import progress

    with Workers(Limits(jobs=jobs)) as workers, progress("making phantoms", "patients") as advance:
        for count, done in enumerate(workers.map(function, tasks), start=1):
            if done.refusal is not None:
                raise done.refusal
            assert done.value is not None
            advance(count, len(tasks))
            yield done.value
