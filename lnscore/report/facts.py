"""The facts of one study in a report, as models with a published schema (`study.json`).

The CSV tables, the JSON files and the pages are all made from these models.
`lnscore/data/study.schema.json` is generated from them; a test checks that it is current. The
docstrings here are the descriptions in that schema.
"""

import json
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

SCHEMA_VERSION = "1.3"
"""The first number increases when a program for the old form would fail or misread the file."""

NOTICE = "Research use only. Not a medical device. AI output, unverified."

Status = Literal["scored", "partly scored", "not scored", "no nodes", "waiting", "refused", "empty"]


class Frozen(BaseModel):
    """An immutable model that refuses unknown fields."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
        json_schema_serialization_defaults_required=True,  # every field is always written
    )


class StationFacts(Frozen):
    """A lymph node station; its code is never given without its system."""

    system: str
    version: str
    code: str
    meaning: str


class CandidateFacts(Frozen):
    """A station that the node's mask overlaps."""

    system: str
    code: str
    overlap: float | None = None
    """Fraction of the node's volume that lies inside the station, 0-1."""


class ReportedPoint(Frozen):
    """An operating point: a threshold, with what it reached on the engine's own test set."""

    name: str
    threshold: float | None = None
    sensitivity: float | None = None
    specificity: float | None = None


class EngineFacts(Frozen):
    """An engine that has scored this study; the newest comes first."""

    key: str
    """12 hex digits: a hash of weights, configuration, patch specification, back end, precision."""
    name: str
    backend: str
    precision: str
    trained: bool
    """False for an untrained demonstration engine, whose probabilities have no meaning."""
    phantom: bool
    """True if it was trained on phantoms; its probabilities have no meaning for patients."""
    weights_sha256: str
    config_hash: str
    spec_hash: str
    operating_points: list[ReportedPoint]

    @property
    def meaningful(self) -> bool:
        """Whether the engine was trained on patients, so that its probabilities have a meaning."""
        return self.trained and not self.phantom

    @property
    def doubt(self) -> str:
        """Why the probabilities have no meaning for patients; empty if they may have one."""
        return "" if self.meaningful else "trained on phantoms" if self.trained else "untrained"


class ScoreFacts(Frozen):
    """The score of one node by one engine."""

    engine: str
    """Key of the engine."""
    probability: float = Field(ge=0, le=1)
    """Probability of metastasis: the raw output of the fused head."""
    calibrated_probability: float | None = Field(default=None, ge=0, le=1)
    local_probability: float | None = Field(default=None, ge=0, le=1)
    global_probability: float | None = Field(default=None, ge=0, le=1)
    calls: dict[str, bool]
    """Call of the node by operating point; true is positive."""
    scored_at: str
    """Time of the score, UTC, ISO 8601."""
    patch_sha256: str
    """SHA-256 of the patch that was scored."""


class FlagFacts(Frozen):
    """A remark about a node or a series."""

    code: str
    meaning: str


class StationStatusFacts(Frozen):
    """Status of a node or a station by pathology, and the rule that gave it."""

    status: Literal["malignant", "benign", "unknown"]
    """A station that no report names is unknown, not benign."""
    rule: str
    """Name of the rule in docs/pathology.md."""
    weak: bool
    """True if it is malignant only as one of several stations, at least one of them malignant."""
    excluded: list[str]
    """Codes of the reasons (P09, P10) for which training leaves it out."""


class NodeFacts(Frozen):
    """One lymph node; nodes are sorted by the newest engine's probability, highest first."""

    number: int
    """Number of the node in the study, from 1."""
    tracking_uid: str
    series_uid: str
    label: str
    """Name of the segment in the mask."""
    kind: Literal["mask", "point"]
    centroid_mm: tuple[float, float, float]
    """Centroid in the LPS system, x, y, z."""
    volume_mm3: float | None
    short_axis_mm: float | None
    long_axis_mm: float | None
    station: StationFacts | None
    """Station of the node; null if none is assigned."""
    station_source: Literal["explicit", "overlap", "nearest", "unassigned"]
    station_candidates: list[CandidateFacts]
    padded_fraction: float = Field(ge=0, le=1)
    """Fraction of the patch that lies outside the scan, 0-1."""
    flags: list[FlagFacts]
    patch_sha256: str
    scores: list[ScoreFacts]
    """Scores by engine, the newest engine first; empty if the node is not scored yet."""
    pathology: StationStatusFacts | None = None
    """Status by pathology; null if the database has no pathology report of the patient."""


class SeriesFacts(Frozen):
    """One CT series in its current revision."""

    series_uid: str
    revision: int
    status: Literal["waiting", "ready", "scored", "quarantined"]
    node_count: int
    slice_mm: float | None
    flags: list[FlagFacts]
    facts: dict[str, Any]
    """Scanner, kernel, kV and similar facts, as ingest stored them."""


class Problem(Frozen):
    """Something that was not used: it was refused, or it waits for a missing part."""

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
    """Time at which it was last found, UTC, ISO 8601; null if this report found it."""
    tries: int


class FindingFacts(Frozen):
    """One line of a pathology report; the report itself is not named."""

    stations: list[StationFacts]
    """Stations of the specimen; several if they were sent as one specimen."""
    status: Literal["positive", "negative", "not_sampled", "indeterminate"]
    n_examined: int | None
    n_positive: int | None
    report_date: str
    surgery_date: str | None


class StationPathology(Frozen):
    """One station with its pathology, and the nodes on CT that lie there."""

    station: StationFacts
    verdict: StationStatusFacts
    findings: list[FindingFacts]
    """Findings that decide the status."""
    n_examined: int | None
    """Number of nodes examined, over all specimens of this station alone in the report that
    decides; over its shared specimens if only those decide. Null if one gives no number."""
    n_positive: int | None
    """Number of positive nodes in the same specimens."""
    nodes: list[int]
    """Numbers of the nodes that lie in the station."""
    highest: float | None
    """Highest raw probability of these nodes by the newest engine."""
    calls: dict[str, bool]
    """Whether the newest engine calls any of these nodes positive, by operating point."""
    agrees: dict[str, bool]
    """Whether this call agrees with pathology, by operating point, over the nodes that have the
    station's status. Empty if the status is unknown or weak, or training leaves out all nodes."""


class ConflictFacts(Frozen):
    """Two reports that contradict each other about a station; both are kept."""

    station: StationFacts
    won: FindingFacts
    lost: FindingFacts


class ExclusionFacts(Frozen):
    """A reason for which nodes are left out of training."""

    code: str
    text: str
    days: int | None
    """Days from CT to surgery; negative if the CT is later."""
    nodes: int


class OperatingCount(Frozen):
    """Number of nodes and stations that the newest engine calls positive at an operating point."""

    name: str
    positive_nodes: int
    positive_stations: int
    agreeing_stations: int
    compared_stations: int
    """Number of stations that have a certain status and scored nodes that training may use."""


class RollUp(Frozen):
    """Positive nodes and stations of the patient, by pathology and by the newest engine."""

    n_positive: int
    """Number of positive nodes, over all specimens of the reports that decide a station. Each
    specimen is counted once."""
    positive_is_least: bool
    """True if `n_positive` is a minimum: a positive finding without a number counts as one."""
    n_examined: int | None
    """Number of nodes examined in the same specimens, also in those that decide nothing."""
    examined_is_least: bool
    """True if `n_examined` is a minimum, because a specimen gives no number."""
    pn_like: Literal["N0", "N1", "N2", "N3"] | None
    """Category of AJCC8 oesophagus by the number of positive nodes: 0, 1-2, 3-6, 7 and more. Null
    if no node was examined, or if the station system is for other organs. It is not a stage."""
    positive_stations: int
    merged_positive: int
    """Number of positive specimens of several stations; at least one of these is positive."""
    negative_stations: int
    engine: str | None
    """Key of the newest engine."""
    scored_nodes: int
    expected_positive: float | None
    """Sum of the calibrated probabilities; null if the engine has no calibration."""
    at: list[OperatingCount]


class PathologyFacts(Frozen):
    """Surgical pathology of the patient, joined to the nodes of this study."""

    stations: list[StationPathology]
    roll_up: RollUp
    without_node: list[FindingFacts]
    """Positive findings none of whose stations has a node in the masks."""
    without_station: list[int]
    """Numbers of the nodes that have no station."""
    other_systems: list[str]
    """Station systems of findings in which no node has a station; they are not joined."""
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
    """12 hex digits made from the StudyInstanceUID; also the name of the study's folder."""
    study_uid: str
    study_date: str | None
    status: Status
    engines: list[EngineFacts]
    series: list[SeriesFacts]
    nodes: list[NodeFacts]
    problems: list[Problem]
    pathology: PathologyFacts | None = None
    """Pathology; null if the database has no pathology report of the patient."""


def text(study: StudyFacts) -> str:
    """Return the study as JSON; the same facts always give the same text."""
    return study.model_dump_json(indent=2) + "\n"


def schema_text() -> str:
    """Return the published JSON Schema of `study.json` (draft 2020-12)."""
    schema = StudyFacts.model_json_schema(mode="serialization")
    head = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:lnscore:study:{SCHEMA_VERSION}",
    }
    return json.dumps(head | schema, indent=2, sort_keys=True) + "\n"
