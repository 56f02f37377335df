"""Draw phantom patients: anatomy, scan and nodes, from the cohort's seed and the patient number."""

import uuid
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from lnscore.phantom.anatomy import Chest, draw_chest
from lnscore.phantom.lymph_nodes import Cues, draw_traits
from lnscore.phantom.node_field import PhantomNode, draw_form
from lnscore.phantom.places import PLACES, PRESSED_MM, Place, find_room
from lnscore.phantom.scanners import HABITS, Acquisition, draw_scan

CUES = Cues()
NAMESPACE = uuid.UUID("6a1f2c34-5d0e-5c7b-9a53-0d0a1c5e7f10")
FIRST_DAY = date(2019, 1, 7)
REACH_MM = 70.0  # decay length of the spread of metastases from the tumour along z
STATION_TRIES = 6
NOISE_STREAM, PATIENT_STREAM, SURGERY_STREAM, NAME_STREAM = 0, 1, 2, 3


@dataclass(frozen=True)
class PatientPlan:
    """Plan of one patient in a cohort.

    Attributes:
        seed: Seed of the cohort.
        number: Number of the patient, from 1.
        negative: Number of benign nodes.
        positive: Number of malignant nodes.
        labelled: Whether radiologists labelled the nodes.
    """

    seed: int
    number: int
    negative: int
    positive: int
    labelled: bool = True


@dataclass(frozen=True)
class PhantomPatient:
    """One complete phantom patient: plan, anatomy, scan and nodes."""

    plan: PatientPlan
    chest: Chest
    scan: Acquisition
    nodes: tuple[PhantomNode, ...]

    @property
    def patient_id(self) -> str:
        """PatientID; the same in two cohorts of different seeds."""
        return patient_id(self.plan.number)

    @property
    def sex(self) -> str:
        """`M` or `F`."""
        return sex(self.plan.number)

    @property
    def birth_date(self) -> str:
        """Birth date as DICOM writes it, YYYYMMDD."""
        return birth_date(self.plan.number)

    @property
    def study_day(self) -> date:
        """Day of the CT; computed from the patient number, never from the clock."""
        return FIRST_DAY + timedelta(days=3 * self.plan.number)

    def uid(self, what: str) -> str:
        """Return a DICOM UID that is unique to this seed, patient and `what`."""
        text = f"{self.plan.seed}/{self.plan.number}/{what}"
        return f"2.25.{uuid.uuid5(NAMESPACE, text).int}"

    def stream(self, what: int) -> np.random.Generator:
        """Return a separate random generator for one purpose."""
        return np.random.default_rng([self.plan.seed, self.plan.number, what])


def patient_id(number: int) -> str:
    """Return the PatientID of the patient with this number."""
    return f"PH{number:04d}"


def sex(number: int) -> str:
    """Return `M` or `F`; two of three patients are men."""
    return "MF"[number % 3 == 0]


def birth_date(number: int) -> str:
    """Return the birth date as YYYYMMDD, computed from the number alone."""
    return f"{1940 + number % 40}{1 + number % 12:02d}{1 + number % 28:02d}"


def draw_patient(plan: PatientPlan, cues: Cues = CUES) -> PhantomPatient:
    """Draw the patient of a plan; equal plans give equal patients."""
    rng = np.random.default_rng([plan.seed, plan.number, PATIENT_STREAM])
    scan = draw_scan(rng, HABITS[(plan.number - 1) % len(HABITS)])
    low_mm = scan.habit.span_mm[0] + 40
    places = [place for place in PLACES if place.box_mm[4] >= low_mm]
    chest = draw_chest(rng, tumour_mm=float(rng.uniform(max(-150, low_mm), 60)))
    kinds = rng.permutation([False] * plan.negative + [True] * plan.positive)
    involved = _involved(rng, places, chest.tumour_mm, plan.positive)
    nodes: list[PhantomNode] = []
    for malignant in kinds.tolist():
        nodes.append(
            _draw_node(rng, malignant, involved if malignant else places, (chest, nodes), cues)
        )
    return PhantomPatient(plan, chest, scan, tuple(nodes))


def _involved(
    rng: np.random.Generator, places: list[Place], tumour_mm: float, positive: int
) -> list[Place]:
    """Draw the few stations with metastases; stations near the tumour are more probable."""
    near = [p.weight * np.exp(-abs(p.middle_mm - tumour_mm) / REACH_MM) for p in places]
    count = min(1 + int(rng.binomial(max(positive - 1, 0), 0.45)), len(places))
    chosen = rng.choice(len(places), count, replace=False, p=np.array(near) / np.sum(near))
    return [places[index] for index in chosen]


def _draw_node(
    rng: np.random.Generator,
    malignant: bool,
    places: list[Place],
    body: tuple[Chest, list[PhantomNode]],
    cues: Cues,
) -> PhantomNode:
    chest, others = body
    traits = draw_traits(rng, malignant, cues)
    weights = np.array([place.weight for place in places])
    best: tuple[Place, tuple[float, float, float], float] | None = None
    for _ in range(STATION_TRIES):
        place = places[rng.choice(len(places), p=weights / weights.sum())]
        centre, free_mm = find_room(rng, place, traits.semi_axes_mm, chest, others)
        if best is None or free_mm > best[2]:
            best = place, centre, free_mm
        if free_mm >= PRESSED_MM:
            break
    assert best is not None
    form = draw_form(rng)
    return PhantomNode(
        number=len(others) + 1,
        station=best[0].code,
        malignant=malignant,
        traits=traits,
        centre_mm=best[1],
        form=form,
    )
