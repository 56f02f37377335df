"""The pathology report of a phantom patient, with the dirt of real ones.

A station's status follows from its nodes. On top of that surgeons leave stations out,
reports leave rows out, and some specimens hold two stations.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from lnscore.phantom.patients import SURGERY_STREAM, PhantomPatient
from lnscore.phantom.places import PLACES

NOT_SAMPLED, MISSING, MERGED = 0.06, 0.08, 0.15
"""Chance of a station with nodes, of a row, of a pair of neighbours."""
EMPTY_SAMPLED = 0.45  # chance that a station without a node on CT was sampled all the same
MORE_FOUND = 1.5  # small nodes that only the pathologist sees, mean per station
PAIRS = (("2R", "4R"), ("2L", "4L"), ("8U", "8M"), ("16", "17"), ("18", "20"))


@dataclass(frozen=True)
class ReportLine:
    """One line of the report.

    Attributes:
        stations: AJCC8 codes; more than one where a specimen held several.
        status: `positive`, `negative` or `not_sampled`.
        examined: Nodes looked at; None where not sampled.
        positive: Of these with metastasis.
    """

    stations: tuple[str, ...]
    status: str
    examined: int | None = None
    positive: int | None = None


@dataclass(frozen=True)
class Surgery:
    """One report.

    Attributes:
        report_id: Its own number.
        surgery_day: When.
        report_day: A few days later.
        neoadjuvant: Always `none`: therapy between CT and surgery would change the nodes.
        lines: What it says of the stations.
    """

    report_id: str
    surgery_day: date
    report_day: date
    neoadjuvant: str
    lines: tuple[ReportLine, ...]


def operate(patient: PhantomPatient) -> Surgery:
    """The report of a patient; the same for the same patient."""
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
