"""`lnscore phantom`: a cohort as DICOM in a folder, or as patches in a database."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

from lnscore.errors import EXIT_DONE, Refusal
from lnscore.phantom.cohorts import plan_cohort
from lnscore.phantom.patients import Plan, draw_patient
from lnscore.workers import Limits, Workers

Task = TypeVar("Task")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Made:
    """What was made, and where.

    Attributes:
        place: Folder or database.
        patients: Patients.
        positive: Malignant nodes.
        negative: Benign nodes.
        images: CT files written; 0 for patches straight into a database.
        difficulty: How hard the cohort is, one line a figure; empty for a small cohort.
        advice: What to do next.
    """

    place: str
    patients: int
    positive: int
    negative: int
    images: int
    difficulty: tuple[str, ...]
    advice: str
    exit_code: int = EXIT_DONE

    def lines(self) -> list[str]:
        """What happened, in a few lines."""
        nodes = self.positive + self.negative
        images = f", {self.images} CT images" if self.images else ""
        first = (
            f"{self.patients} phantom patients{images}, {nodes} nodes "
            f"({self.positive} malignant) in {self.place}"
        )
        return [first, *self.difficulty, self.advice]

    def as_dict(self) -> dict[str, Any]:
        """The same for `--json`."""
        return asdict(self)


def write_dicom(out: Path, patients: int, seed: int, jobs: int) -> Made:
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
    images = sum(_in_workers(_write_patient, [(plan, out) for plan in plans], jobs))
    cohort = [draw_patient(plan) for plan in plans]
    write_pathology(cohort, out / "pathology.csv")
    write_truth(cohort, out / "truth.csv")
    return Made(
        place=str(out),
        patients=patients,
        positive=sum(plan.positive for plan in plans),
        negative=sum(plan.negative for plan in plans),
        images=images,
        difficulty=(),
        advice=f"Next: lnscore ingest {out}",
    )


def _write_patient(task: tuple[Plan, Path]) -> int:
    """One patient's folder; the number of CT images in it."""
    from lnscore.phantom.dicom_ct import write_ct
    from lnscore.phantom.dicom_seg import write_seg
    from lnscore.phantom.render import paint_nodes

    plan, out = task
    patient = draw_patient(plan)
    folder = out / patient.patient_id
    painted = paint_nodes(patient.nodes, patient.scan.slices)
    headers = write_ct(patient, painted, folder / "CT")
    write_seg(patient, painted, headers, folder / "nodes.dcm")
    return len(headers) + patient.scan.habit.localizer


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
