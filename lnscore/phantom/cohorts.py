"""Plan the patients of a cohort: the number of benign and malignant nodes of each."""

import numpy as np

from lnscore.phantom.patients import PatientPlan

COHORT_STREAM = 0
NEGATIVE_PER_PATIENT = 8.0
INVOLVED, POSITIVE_PER_INVOLVED = 0.6, 2.5

PAPER_LABELLED = (310, 3447, 188)
"""Number of patients, of negative and of positive nodes (paper Sec. 3.1)."""
PAPER_UNLABELLED = (742, 6326)
"""Number of patients and of nodes; the paper does not state how many are malignant."""


def plan_cohort(patients: int, seed: int) -> list[PatientPlan]:
    """Plan a cohort with more metastases than the paper's, for demonstrations and tests."""
    rng = np.random.default_rng([seed, COHORT_STREAM])
    negative = 2 + rng.poisson(NEGATIVE_PER_PATIENT - 2, patients)
    involved = rng.uniform(size=patients) < INVOLVED
    involved[0] = True  # even a cohort of one patient has a metastasis
    positive = involved * (1 + rng.poisson(POSITIVE_PER_INVOLVED - 1, patients))
    return [
        PatientPlan(seed, number, int(b), int(m))
        for number, (b, m) in enumerate(zip(negative, positive, strict=True), start=1)
    ]


def plan_paper(seed: int, share: float = 1.0) -> list[PatientPlan]:
    """Plan the paper's cohort: 310 labelled patients, then 742 whose labels stay hidden.

    Args:
        seed: Seed of the cohort.
        share: Part of the paper's patients and nodes to plan, 0 < share <= 1; each count is
            rounded.
    """
    rng = np.random.default_rng([seed, COHORT_STREAM])
    patients, negative, positive = (round(share * count) for count in PAPER_LABELLED)
    plans = _spread(rng, seed, (1, patients), (negative, positive), labelled=True)
    hidden, nodes = (round(share * count) for count in PAPER_UNLABELLED)
    malignant = round(nodes * positive / (negative + positive))
    counts = nodes - malignant, malignant
    return plans + _spread(rng, seed, (patients + 1, hidden), counts, labelled=False)


def _spread(
    rng: np.random.Generator,
    seed: int,
    numbers: tuple[int, int],
    counts: tuple[int, int],
    *,
    labelled: bool,
) -> list[PatientPlan]:
    """Distribute exactly `counts` nodes unevenly; every patient gets at least one benign node."""
    first, patients = numbers
    negative = 1 + _share(rng, counts[0] - patients, rng.gamma(4.0, size=patients))
    involved = rng.uniform(size=patients) < counts[1] / patients / POSITIVE_PER_INVOLVED
    positive = _share(rng, counts[1], involved * rng.gamma(2.0, size=patients))
    return [
        PatientPlan(seed, first + i, int(negative[i]), int(positive[i]), labelled)
        for i in range(patients)
    ]


def _share(rng: np.random.Generator, total: int, weights: np.ndarray) -> np.ndarray:
    return rng.multinomial(total, weights / weights.sum())
