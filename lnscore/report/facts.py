"""`study.json`: everything a report says of one study, with a published schema.

These models are the one form that the CSV, the JSON and the pages are made from.
`lnscore/data/study.schema.json` is generated from them; a test keeps it current.
"""

import json
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

SCHEMA_VERSION = "1.3"
"""The first number rises when a reader of the old form would fail or misread."""

NOTICE = "Research use only. Not a medical device. AI output, unverified."

Status = Literal["scored", "partly scored", "not scored", "no nodes", "waiting", "refused", "empty"]


class Frozen(BaseModel):
    """A value; unknown fields are refused."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
        json_schema_serialization_defaults_required=True,  # every field is always written
    )


class StationFacts(Frozen):
    """A lymph-node station: never a bare number."""

    system: str
    version: str
    code: str
    meaning: str


class CandidateFacts(Frozen):
    """A station that the node's mask overlaps."""

    system: str
    code: str
    overlap: float | None = None
    """Part of the node inside the station, 0-1."""


class ReportedPoint(Frozen):
    """A threshold of an engine with what it reached on the engine's own test set."""

    name: str
    threshold: float | None = None
    sensitivity: float | None = None
    specificity: float | None = None


class EngineFacts(Frozen):
    """An engine that has scored this study; the newest comes first."""

    key: str
    """12 hex digits over weights, configuration, patch rules, back end and precision."""
    name: str
    backend: str
    precision: str
    trained: bool
    """False for a demonstration engine: its numbers mean nothing."""
    phantom: bool
    """True where it was trained on phantoms: its numbers mean nothing for patients."""
    weights_sha256: str
    config_hash: str
    spec_hash: str
    operating_points: list[ReportedPoint]

    @property
    def meaningful(self) -> bool:
        """Whether its numbers may mean something for a patient."""
        return self.trained and not self.phantom

    @property
    def doubt(self) -> str:
        """Why they mean nothing, in a word or three; empty where they may."""
        return "" if self.meaningful else "trained on phantoms" if self.trained else "untrained"


class ScoreFacts(Frozen):
    """What one engine says of one node."""

    engine: str
    """Key of the engine."""
    probability: float = Field(ge=0, le=1)
    """Of metastasis, fused head, raw."""
    calibrated_probability: float | None = Field(default=None, ge=0, le=1)
    local_probability: float | None = Field(default=None, ge=0, le=1)
    global_probability: float | None = Field(default=None, ge=0, le=1)
    calls: dict[str, bool]
    """Operating point to call: true is positive."""
    scored_at: str
    """UTC, ISO 8601."""
    patch_sha256: str
    """Of the patch that was scored."""


class FlagFacts(Frozen):
    """Something a reader should know about a node."""

    code: str
    meaning: str


class StationStatusFacts(Frozen):
    """What pathology says of a node or a station, and why."""

    status: Literal["malignant", "benign", "unknown"]
    """A station that no report names is unknown, not benign."""
    rule: str
    """As in docs/pathology.md."""
    weak: bool
    """Malignant only as one of several stations of a merged or overlapping group."""
    excluded: list[str]
    """P09, P10: left out of training."""


class NodeFacts(Frozen):
    """One lymph node; nodes are sorted by the newest engine's probability, highest first."""

    number: int
    """Place in the study, from 1."""
    tracking_uid: str
    series_uid: str
    label: str
    """The segment's name in the mask."""
    kind: Literal["mask", "point"]
    centroid_mm: tuple[float, float, float]
    """LPS x, y, z."""
    volume_mm3: float | None
    short_axis_mm: float | None
    long_axis_mm: float | None
    station: StationFacts | None
    """Null: unassigned."""
    station_source: Literal["explicit", "overlap", "nearest", "unassigned"]
    station_candidates: list[CandidateFacts]
    padded_fraction: float = Field(ge=0, le=1)
    """Part of the patch that lies outside the scan."""
    flags: list[FlagFacts]
    patch_sha256: str
    scores: list[ScoreFacts]
    """Newest engine first; empty: not scored yet."""
    pathology: StationStatusFacts | None = None
    """Null: the patient has no pathology report here."""


class SeriesFacts(Frozen):
    """One CT series in its current revision."""

    series_uid: str
    revision: int
    status: Literal["waiting", "ready", "scored", "quarantined"]
    node_count: int
    slice_mm: float | None
    flags: list[FlagFacts]
    facts: dict[str, Any]
    """Scanner, kernel, kV and the like, as ingest stored them."""


class Problem(Frozen):
    """Something that was not used: refused, or waiting for the rest of it."""

    state: Literal["refused", "waiting"]
    scope: Literal["file", "archive", "series", "mask", "study"]
    code: str
    found: str
    wanted: str
    fix: str
    study_uid: str | None
    series_uid: str | None
    sha256: str
    last_seen: str | None
    """UTC, ISO 8601; null: found while this report was made."""
    tries: int


class FindingFacts(Frozen):
    """One line of a pathology report; the report itself is not named."""

    stations: list[StationFacts]
    """Several: they were sent as one specimen."""
    status: Literal["positive", "negative", "not_sampled", "indeterminate"]
    n_examined: int | None
    n_positive: int | None
    report_date: str
    surgery_date: str | None


class StationPathology(Frozen):
    """One station: what pathology says of it, which nodes of the CT lie there."""

    station: StationFacts
    verdict: StationStatusFacts
    findings: list[FindingFacts]
    """Those that decide."""
    n_examined: int | None
    """Of every specimen of this station alone in the report that decided, not only of those
    that decide; of the shared ones where only such decide. Null where one gives no number."""
    n_positive: int | None
    """Of the same specimens."""
    nodes: list[int]
    """Numbers of the nodes."""
    highest: float | None
    """Highest raw probability of these nodes by the newest engine."""
    calls: dict[str, bool]
    """Operating point to whether it calls any of these nodes positive."""
    agrees: dict[str, bool]
    """Operating point to whether that is what pathology says, by the nodes that have the
    station's verdict; empty where it is unknown or weak, or no such node counts for training."""


class ConflictFacts(Frozen):
    """Two reports that contradict each other about a station; both are kept."""

    station: StationFacts
    won: FindingFacts
    lost: FindingFacts


class ExclusionFacts(Frozen):
    """Why nodes are left out of training."""

    code: str
    text: str
    days: int | None
    """From CT to surgery; negative where the CT is the later one."""
    nodes: int


class OperatingCount(Frozen):
    """What the newest engine calls positive at one operating point."""

    name: str
    positive_nodes: int
    positive_stations: int
    agreeing_stations: int
    compared_stations: int
    """Stations with scored nodes of which pathology is sure; not those left out of training."""


class RollUp(Frozen):
    """From nodes over stations to the patient: pathology beside the newest engine."""

    n_positive: int
    """Of every specimen of the reports that decide a station, each once."""
    positive_is_least: bool
    """A positive finding gives no number: it counts as one."""
    n_examined: int | None
    """Of the same specimens, those that decide nothing too."""
    examined_is_least: bool
    pn_like: Literal["N0", "N1", "N2", "N3"] | None
    """AJCC8 oesophagus by the number of positive nodes: 0, 1-2, 3-6, 7 and more. Null where
    no node was examined, or the stations are of a system of other organs. Not a stage."""
    positive_stations: int
    merged_positive: int
    """Positive specimens of several stations: at least one of each is positive."""
    negative_stations: int
    engine: str | None
    """Key of the newest engine."""
    scored_nodes: int
    expected_positive: float | None
    """Sum of the calibrated probabilities; null where the engine has no calibration."""
    at: list[OperatingCount]


class PathologyFacts(Frozen):
    """The patient's surgical pathology, joined to the nodes of this study."""

    stations: list[StationPathology]
    roll_up: RollUp
    without_node: list[FindingFacts]
    """Positive findings none of whose stations has a node in the masks."""
    without_station: list[int]
    """Numbers of nodes."""
    other_systems: list[str]
    """Systems of findings in which no node has a station: not joined."""
    conflicts: list[ConflictFacts]
    exclusions: list[ExclusionFacts]


class StudyFacts(Frozen):
    """One study as the database holds it."""

    format: Literal["lnscore.study"] = "lnscore.study"
    schema_version: Literal["1.3"] = SCHEMA_VERSION
    notice: str = NOTICE
    patient: str
    """First 12 hex digits of the pseudonymous key."""
    study: str
    """12 hex digits made from the StudyInstanceUID: the name of the folder."""
    study_uid: str
    study_date: str | None
    status: Status
    engines: list[EngineFacts]
    series: list[SeriesFacts]
    nodes: list[NodeFacts]
    problems: list[Problem]
    pathology: PathologyFacts | None = None
    """Null: the patient has no pathology report here."""


def text(study: StudyFacts) -> str:
    """The study as JSON: the same facts give the same text."""
    return study.model_dump_json(indent=2) + "\n"


def schema_text() -> str:
    """The published JSON Schema of `study.json` (draft 2020-12)."""
    schema = StudyFacts.model_json_schema(mode="serialization")
    head = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:lnscore:study:{SCHEMA_VERSION}",
    }
    return json.dumps(head | schema, indent=2, sort_keys=True) + "\n"
