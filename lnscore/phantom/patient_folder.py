"""Write the folder of one phantom patient: the CT as DICOM images, and the nodes as a SEG."""

from dataclasses import dataclass
from pathlib import Path

from lnscore.phantom.dicom_ct import write_ct
from lnscore.phantom.dicom_seg import write_seg
from lnscore.phantom.difficulty import Sample
from lnscore.phantom.direct import cut_nodes
from lnscore.phantom.patients import PatientPlan, draw_patient
from lnscore.phantom.records import samples_of
from lnscore.phantom.render import paint_nodes


@dataclass(frozen=True)
class PatientToWrite:
    """One patient to write.

    Attributes:
        plan: Plan of the patient.
        out: Folder of the cohort, in which the patient gets a folder.
        measured: Whether the nodes are measured for the difficulty of the cohort.
    """

    plan: PatientPlan
    out: Path
    measured: bool


@dataclass(frozen=True)
class WrittenPatient:
    """One patient whose folder is written.

    Attributes:
        images: Number of CT images in the folder.
        samples: Data from which the difficulty of the cohort is computed; empty if the nodes were
            not measured.
    """

    images: int
    samples: list[Sample]


def write_patient(task: PatientToWrite) -> WrittenPatient:
    """Draw one patient and write its folder, named after the patient."""
    patient = draw_patient(task.plan)
    folder = task.out / patient.patient_id
    painted = paint_nodes(patient.nodes, patient.scan.slices)
    headers = write_ct(patient, painted, folder / "CT")
    write_seg(patient, painted, headers, folder / "nodes.dcm")
    samples = samples_of(patient, cut_nodes(patient)) if task.measured else []
    return WrittenPatient(len(headers) + patient.scan.habit.localizer, samples)
