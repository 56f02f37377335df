"""Make the pathology report of a phantom patient, with the gaps of real reports.

The status of a station follows from its nodes. As in reality, surgeons do not sample some stations,
reports omit some rows, and some specimens hold two stations.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from lnscore.phantom.patients import SURGERY_STREAM, PhantomPatient
from lnscore.phantom.places import PLACES

NOT_SAMPLED, MISSING, MERGED = 0.06, 0.08, 0.15
"""Probability that a station with nodes is not sampled, a row is missing, a pair is merged."""
EMPTY_SAMPLED = 0.45  # probability that a station without a node on CT is sampled nevertheless
MORE_FOUND = 1.5  # mean number, per station, of small nodes that only the pathologist sees
PAIRS = (("2R", "4R"), ("2L", "4L"), ("8U", "8M"), ("16", "17"), ("18", "20"))


@dataclass(frozen=True)
class ReportLine:
    """One line of the report.

    Attributes:
        stations: AJCC8 codes; more than one if a specimen held several stations.
        status: `positive`, `negative` or `not_sampled`.
        examined: Number of examined nodes; None if not sampled.
        positive: Number of examined nodes with metastasis; None if not sampled.
    """

    stations: tuple[str, ...]
    status: str
    examined: int | None = None
    positive: int | None = None


@dataclass(frozen=True)
class Surgery:
    """One report of surgery and pathology.

    Attributes:
        report_id: Id of the report.
        surgery_day: Day of the surgery.
        report_day: Day of the report, a few days after the surgery.
        neoadjuvant: Always `none`: therapy between CT and surgery would change the nodes.
        lines: Findings of the stations.
    """

    report_id: str
    surgery_day: date
    report_day: date
    neoadjuvant: str
    lines: tuple[ReportLine, ...]


def operate(patient: PhantomPatient) -> Surgery:
    """Make the report of a patient; the same patient always gives the same report."""
    rng = patient.stream(SURGERY_STREAM)
    day = patient.study_day + timedelta(days=int(rng.integers(5, 40)))
    lines = tuple(line for line in _lines(patient, rng) if rng.uniform() >= MISSING)
    return Surgery(
        f"R{patient.patient_id}",
        day,
        day + timedelta(days=int(rng.integers(4, 12))),
        "none",
        lines,
    )


def _lines(patient: PhantomPatient, rng: np.random.Generator) -> Iterator[ReportLine]:
    merged = [pair for pair in PAIRS if rng.uniform() < MERGED]
    done = {code for pair in merged for code in pair}
    singles = [(place.code,) for place in PLACES if place.code not in done]
    for stations in [*singles, *merged]:
        yield from _line(patient, stations, rng)


def _line(
    patient: PhantomPatient, stations: tuple[str, ...], rng: np.random.Generator
) -> Iterator[ReportLine]:
    seen = [node for node in patient.nodes if node.station in stations]
    small, luck = int(rng.poisson(MORE_FOUND)), rng.uniform()
    examined, positive = len(seen) + small, sum(node.malignant for node in seen)
    if seen and luck < NOT_SAMPLED:
        yield ReportLine(stations, "not_sampled")
    elif examined and (seen or luck < EMPTY_SAMPLED):
        yield ReportLine(stations, "positive" if positive else "negative", examined, positive)
