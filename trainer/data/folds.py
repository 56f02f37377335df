"""Division of the patients (never of single nodes) into training, validation and test parts.

There are four folds; in each, the labelled patients are divided 60/15/25 (paper Sec. 3.1).
Patients without labels are used for training only, in every fold (ours): so the pathology that
training uses never belongs to a test node.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from math import ceil

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold

from trainer.data.cohort import UNLABELLED, Cohort
from trainer.errors import TrainerError

FOLDS = 4
INNER = 5
"""Parts that the patients outside the test part are divided into; one validates: 15 % of all."""
FEWEST_PATIENTS = 4
"""Minimum number of patients of each class; with fewer, a fold would have none."""

TRAIN, VALIDATION, TEST, UNLABELLED_PART = "train", "validation", "test", "unlabelled"


@dataclass(frozen=True)
class Fold:
    """One fold: the part that each patient belongs to.

    Attributes:
        number: Number of the fold, from 0.
        parts: Part of each patient by patient id: `train`, `validation`, `test`, `unlabelled`.
    """

    number: int
    parts: dict[int, str]

    def nodes(self, cohort: Cohort, part: str) -> np.ndarray:
        """Return the indices of the nodes of a part; in labelled parts only nodes with a label."""
        mine = np.array([self.parts.get(int(patient)) == part for patient in cohort.patients])
        if part != UNLABELLED_PART:
            mine &= cohort.labels != UNLABELLED
        return np.flatnonzero(mine)


def assign(cohort: Cohort, seed: int, folds: int = FOLDS) -> list[Fold]:
    """Divide the patients of a cohort into folds, with similar shares of both classes.

    Args:
        cohort: The cohort; a patient with at least one labelled node is a labelled patient.
        seed: Random seed; the same seed and cohort give the same folds.
        folds: Number of folds; each labelled patient is in the test part of one fold.

    Raises:
        TrainerError: T07 too few patients of a class.
    """
    index = _in_order(cohort)
    labels, patients = cohort.labels[index], cohort.patients[index]
    keys = np.array([cohort.nodes[i].patient_key for i in index])
    _check_classes(labels, patients)
    outer = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    hidden = set(cohort.patients.tolist()) - set(patients.tolist())
    return [
        Fold(
            number,
            _parts(labels, patients, keys, rest, test, seed)
            | dict.fromkeys(sorted(hidden), UNLABELLED_PART),
        )
        for number, (rest, test) in enumerate(outer.split(index, labels, keys))
    ]


def with_fewer_labels(fold: Fold, cohort: Cohort, share: float, seed: int) -> Fold:
    """Return the fold with only a share of its training patients; the others get no part (ours).

    Patients with and without a malignant node keep their proportion; both counts are rounded up.
    A smaller share is a subset of a larger one, so that the shares can form a learning curve. The
    validation and test parts do not change.

    Args:
        fold: The fold.
        cohort: The cohort that was divided into folds.
        share: Share of the training patients to keep, above 0 and up to 1.
        seed: Seed of the choice, which depends on the pseudonyms, not on the database order.
    """
    if share == 1:
        return fold
    turn = {
        int(cohort.patients[i]): _turn(cohort.nodes[i].patient_key, seed) for i in cohort.labelled
    }
    malignant = set(cohort.patients[cohort.labels == 1].tolist())
    training = sorted((p for p, part in fold.parts.items() if part == TRAIN), key=turn.__getitem__)
    left_out: set[int] = set()
    for stratum in ([p for p in training if (p in malignant) == side] for side in (True, False)):
        left_out |= set(stratum[ceil(share * len(stratum)) :])
    parts = {patient: part for patient, part in fold.parts.items() if patient not in left_out}
    return Fold(fold.number, parts)


def _turn(patient_key: str, seed: int) -> str:
    """Return a sort key that shuffles patients, and does not depend on the other patients."""
    return sha256(f"{seed} {patient_key}".encode()).hexdigest()


def _in_order(cohort: Cohort) -> np.ndarray:
    """Return the indices of the labelled nodes, sorted by pseudonym and tracking UID.

    A database that was filled in another order has other ids; the folds must be the same.
    """
    names = [(cohort.nodes[i].patient_key, cohort.nodes[i].tracking_uid) for i in cohort.labelled]
    return cohort.labelled[sorted(range(len(names)), key=names.__getitem__)]


def _parts(
    labels: np.ndarray,
    patients: np.ndarray,
    keys: np.ndarray,
    rest: np.ndarray,
    test: np.ndarray,
    seed: int,
) -> dict[int, str]:
    inner = StratifiedGroupKFold(INNER, shuffle=True, random_state=seed)
    train, validation = next(inner.split(rest, labels[rest], keys[rest]))
    named = (TRAIN, rest[train]), (VALIDATION, rest[validation]), (TEST, test)
    return {int(patient): part for part, nodes in named for patient in patients[nodes]}


def _check_classes(labels: np.ndarray, patients: np.ndarray) -> None:
    for value, name in ((1, "malignant"), (0, "benign")):
        count = len(set(patients[labels == value].tolist()))
        if count < FEWEST_PATIENTS:
            raise TrainerError(
                "T07",
                f"{count} patients with a node labelled {name}",
                f"at least {FEWEST_PATIENTS}, so that every fold has one to test on",
                "Label more patients' nodes.",
            )


def check_fold(
    fold: Fold, cohort: Cohort, parts: Sequence[str] = (TRAIN, VALIDATION, TEST)
) -> None:
    """Check that every labelled part of a fold has both classes.

    Raises:
        TrainerError: T08 a part has no malignant or no benign node.
    """
    for part in parts:
        labels = cohort.labels[fold.nodes(cohort, part)]
        for value, name in ((1, "malignant"), (0, "benign")):
            if not (labels == value).any():
                raise TrainerError(
                    "T08",
                    f"fold {fold.number}: no {name} node in its {part} part ({len(labels)} nodes)",
                    "both classes in every part",
                    "Use another --split-seed, or label more patients' nodes.",
                )
