"""Convert a phantom patient to rows of the study database: series, nodes, labels and report."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from db.pathology import FindingRecord, ReportRecord
from db.records import AnnotationRecord, NodeRecord, PatientRecord, SeriesRecord, StudyRecord
from engines.patch import SPEC
from engines.shapes import Masks, Patches
from lnscore.nodes.measuring import mask_sha256
from lnscore.phantom.difficulty import Sample, measurements
from lnscore.phantom.direct import CutNode, cut_nodes, scan_grid
from lnscore.phantom.lymph_nodes import log_likelihood_ratio
from lnscore.phantom.patients import CUES, PatientPlan, PhantomPatient, draw_patient
from lnscore.phantom.places import SYSTEM
from lnscore.phantom.surgery import operate
from lnscore.stations.stated import parse_station

PHANTOM_VERSION = 1
"""Version of the phantom; increase it when an equal plan gives different patches than before."""


@dataclass(frozen=True)
class PatientToFill:
    """One patient to make: the plan and the pseudonymous patient record."""

    plan: PatientPlan
    patient: PatientRecord


@dataclass(frozen=True, kw_only=True)
class FilledPatient:
    """One patient, ready to be stored.

    Attributes:
        record: Series record; its patch file is not yet written.
        patches: HU of every node, shape (node, 18, 80, 80).
        masks: Occupancy of every node, same shape.
        malignant: True label by tracking UID.
        labelled: Whether a radiologist labelled the nodes.
        report: Report of surgery and pathology.
        samples: Data from which the difficulty of the cohort is computed.
    """

    record: SeriesRecord
    patches: Patches
    masks: Masks
    malignant: dict[str, bool]
    labelled: bool
    report: ReportRecord
    samples: list[Sample]


def make_patient(task: PatientToFill) -> FilledPatient:
    """Draw, render, cut and describe one patient."""
    patient = draw_patient(task.plan)
    cuts = cut_nodes(patient)
    return FilledPatient(
        record=_series(patient, task.patient, cuts),
        patches=np.stack([cut.patch.hu for cut in cuts]),
        masks=np.stack([_occupancy(cut) for cut in cuts]),
        malignant={patient.uid(f"node/{cut.node.number}"): cut.node.malignant for cut in cuts},
        labelled=task.plan.labelled,
        report=_report(patient, task.patient.pseudo_key),
        samples=samples_of(patient, cuts),
    )


def samples_of(patient: PhantomPatient, cuts: Sequence[CutNode]) -> list[Sample]:
    """Return the samples of one patient for `difficulty.assess`."""
    return [
        Sample(
            patient.plan.number,
            cut.node.malignant,
            log_likelihood_ratio(cut.node.traits, CUES),
            measurements(cut.patch.hu, _occupancy(cut)),
        )
        for cut in cuts
    ]


def _occupancy(cut: CutNode) -> np.ndarray:
    if cut.patch.occupancy is None:
        raise ValueError(f"node {cut.node.number} has no outline")
    return cut.patch.occupancy


def _series(patient: PhantomPatient, who: PatientRecord, cuts: Sequence[CutNode]) -> SeriesRecord:
    grid, habit = scan_grid(patient), patient.scan.habit
    source = f"phantom/{PHANTOM_VERSION}/{SPEC.hash}/{json.dumps(asdict(patient.plan))}"
    content = hashlib.sha256(source.encode()).hexdigest()
    return SeriesRecord(
        study=StudyRecord(who, grid.study_uid, patient.study_day.isoformat()),
        series_uid=grid.series_uid,
        status="ready",
        content_sha256=content,
        for_uid=grid.for_uid,
        geometry={
            "affine": grid.geometry.affine.tolist(),
            "shape": list(grid.geometry.shape),
            "flags": [],
        },
        facts={
            "Manufacturer": "lnscore phantom",
            "ManufacturerModelName": habit.model,
            "ConvolutionKernel": habit.kernel,
            "SliceThickness": f"{habit.spacing_mm:g}",
        },
        annotations=[
            AnnotationRecord(format="PHANTOM", sha256=content, path=f"phantom:{patient.patient_id}")
        ],
        nodes=[_node(cut, index, content) for index, cut in enumerate(cuts)],
    )


def _node(cut: CutNode, index: int, annotation_sha256: str) -> NodeRecord:
    measured, patch, region = cut.measured, cut.patch, cut.region
    return NodeRecord(
        annotation_sha256=annotation_sha256,
        tracking_uid=str(region.tracking_uid),
        label=region.label,
        centroid_mm=measured.centroid_mm,
        patch_index=index,
        patch_sha256=hashlib.sha256(patch.hu.tobytes()).hexdigest(),
        patch_affine=patch.affine.tolist(),
        padded_fraction=patch.padded_fraction,
        bbox_vox=measured.bbox_vox,
        volume_mm3=measured.volume_mm3,
        short_axis_mm=measured.short_axis_mm,
        long_axis_mm=measured.long_axis_mm,
        station=measured.station,
        station_source=measured.station_source,
        mask_sha256=mask_sha256(region),
        warnings=sorted(measured.warnings),
    )


def _report(patient: PhantomPatient, patient_key: str) -> ReportRecord:
    surgery = operate(patient)
    findings = tuple(
        FindingRecord(
            stations=tuple(parse_station(f"{SYSTEM}:{code}") for code in line.stations),
            status=line.status,
            source_row=row,
            n_examined=line.examined,
            n_positive=line.positive,
        )
        for row, line in enumerate(surgery.lines, start=1)
    )
    text = json.dumps([asdict(finding) for finding in findings], sort_keys=True)
    return ReportRecord(
        patient_key=patient_key,
        report_id=surgery.report_id,
        report_date=surgery.report_day.isoformat(),
        source_sha256=hashlib.sha256(text.encode()).hexdigest(),
        findings=findings,
        surgery_date=surgery.surgery_day.isoformat(),
        neoadjuvant=surgery.neoadjuvant,
    )
