"""Write `pathology.csv` (as a registry would send it) and `truth.csv` (true labels and traits)."""

import csv
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lnscore.phantom.dicom_seg import segment_label
from lnscore.phantom.lymph_nodes import log_likelihood_ratio
from lnscore.phantom.patients import CUES, PhantomPatient
from lnscore.phantom.places import SYSTEM
from lnscore.phantom.surgery import operate


def write_pathology(patients: Iterable[PhantomPatient], path: Path) -> None:
    """Write one row in canonical columns for each report line, keyed by PatientID."""
    _write(path, (row for patient in patients for row in _pathology_rows(patient)))


def _pathology_rows(patient: PhantomPatient) -> Iterator[dict[str, Any]]:
    surgery = operate(patient)
    for number, line in enumerate(surgery.lines, start=1):
        yield {
            "patient_key": patient.patient_id,
            "report_id": surgery.report_id,
            "report_date": surgery.report_day.isoformat(),
            "surgery_date": surgery.surgery_day.isoformat(),
            "station_system": SYSTEM,
            "station": "+".join(line.stations),
            "n_examined": line.examined,
            "n_positive": line.positive,
            "status": line.status,
            "neoadjuvant": surgery.neoadjuvant,
            "source_row": number,
        }


def write_truth(patients: Iterable[PhantomPatient], path: Path) -> None:
    """Write one row for each node: true label, generating parameters and log-likelihood ratio."""
    _write(path, (row for patient in patients for row in _truth_rows(patient)))


def _truth_rows(patient: PhantomPatient) -> Iterator[dict[str, Any]]:
    for node in patient.nodes:
        x, y, z = node.centre_mm
        traits = {name: f"{value:.5g}" for name, value in asdict(node.traits).items()}
        yield {
            "patient_id": patient.patient_id,
            "study_uid": patient.uid("study"),
            "series_uid": patient.uid("ct"),
            "tracking_uid": patient.uid(f"node/{node.number}"),
            "label": segment_label(node),
            "station_system": SYSTEM,
            "station": node.station,
            "malignant": int(node.malignant),
            "labelled": int(patient.plan.labelled),
            "x_mm": f"{x:.2f}",
            "y_mm": f"{y:.2f}",
            "z_mm": f"{z:.2f}",
            **traits,
            "log_likelihood_ratio": f"{log_likelihood_ratio(node.traits, CUES):.4f}",
        }


def _write(path: Path, rows: Iterator[dict[str, Any]]) -> None:
    first = next(rows)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(first), lineterminator="\n")
        writer.writeheader()
        writer.writerow(first)
        writer.writerows(rows)
