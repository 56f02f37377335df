"""What a bundle says of the cohort that it was trained on: counts, never a patient."""

from typing import Any

import numpy as np

from trainer.data.cohort import UNLABELLED, Cohort

PHANTOM_SCANNER = "lnscore phantom"
"""Manufacturer of every series that `lnscore phantom` makes."""

FILE = "cohort.json"


def summary(cohort: Cohort, split: str) -> dict[str, Any]:
    """Counts of a cohort.

    One phantom is enough for `phantom`: figures on a mixed cohort are not about patients.

    Args:
        cohort: Every node that training sees.
        split: Name of the division of patients in the database.
    """
    index, hidden = cohort.labelled, np.flatnonzero(cohort.labels == UNLABELLED)
    patients = cohort.patients
    labelled = set(patients[index].tolist())
    slices = [node.slice_mm for node in cohort.nodes if node.slice_mm is not None]
    phantoms = {n.patient_id for n in cohort.nodes if n.manufacturer == PHANTOM_SCANNER}
    return {
        "patients": len(labelled),
        "nodes": len(index),
        "positives": int((cohort.labels == 1).sum()),
        "unlabelled_patients": len(set(patients.tolist()) - labelled),
        "unlabelled_nodes": len(hidden),
        "phantom": bool(phantoms),
        "phantom_patients": len(phantoms),
        "slice_mm": _range(slices),
        "split": split,
    }


def _range(values: list[float]) -> dict[str, float] | None:
    if not values:
        return None
    low, middle, high = np.percentile(values, [0, 50, 100])
    return {"least": round(low, 3), "median": round(middle, 3), "largest": round(high, 3)}
