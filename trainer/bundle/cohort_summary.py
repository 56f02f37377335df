"""Summarise the training cohort for a bundle: counts only, nothing about single patients."""

from typing import Any

import numpy as np

from trainer.data.cohort import UNLABELLED, Cohort

PHANTOM_SCANNER = "lnscore phantom"
"""Manufacturer in every series that `lnscore phantom` makes."""

FILE = "cohort.json"


def summary(cohort: Cohort, split: str) -> dict[str, Any]:
    """Count patients and nodes of a cohort.

    `phantom` is True if there is a single phantom: figures on a mixed cohort do not apply to
    patients.

    Args:
        cohort: Cohort with every node that training uses.
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
