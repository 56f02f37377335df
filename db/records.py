"""Records that other packages hand to the database.

They are plain values, so that a worker process needs no SQL library.
"""

from dataclasses import dataclass, field
from typing import Any, Literal, get_args

Neoadjuvant = Literal["none", "chemo", "chemoradio", "unknown"]
NEOADJUVANT: tuple[str, ...] = get_args(Neoadjuvant)
"""Allowed values for the therapy before the surgery."""


@dataclass(frozen=True)
class PatientRecord:
    """Pseudonymous facts of one patient."""

    pseudo_key: str
    sex: str = ""
    birth_year: int | None = None
    identity_check: str | None = None


@dataclass(frozen=True)
class StudyRecord:
    """One study and its patient."""

    patient: PatientRecord
    study_uid: str
    study_date: str | None = None
    accession_hmac: str | None = None


@dataclass(frozen=True)
class InstanceRecord:
    """One CT image file."""

    sop_uid: str
    sha256: str
    path: str


@dataclass(frozen=True, kw_only=True)
class AnnotationRecord:
    """One mask or point file."""

    format: str
    sha256: str
    path: str
    uid: str | None = None
    for_uid: str | None = None
    details: dict[str, Any] | None = None


@dataclass(frozen=True)
class StationKey:
    """A station as `(system, version, code)`; a number alone is not unique."""

    system: str
    version: str
    code: str


@dataclass(frozen=True, kw_only=True)
class NodeRecord:
    """One lymph node and where its patch is stored; the field names hold the units."""

    annotation_sha256: str
    tracking_uid: str
    label: str
    centroid_mm: tuple[float, float, float]
    patch_index: int
    patch_sha256: str
    patch_affine: list[list[float]]
    padded_fraction: float
    bbox_vox: list[list[int]] | None = None
    volume_mm3: float | None = None
    short_axis_mm: float | None = None
    long_axis_mm: float | None = None
    station: StationKey | None = None
    station_source: str = "unassigned"
    station_candidates: list[dict[str, Any]] | None = None
    mask_sha256: str | None = None
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class PatchFileRecord:
    """One patch file in the patch store and its mask file."""

    sha256: str
    masks_sha256: str | None
    node_count: int
    spec_version: int
    spec_hash: str


@dataclass(frozen=True, kw_only=True)
class SeriesRecord:
    """One revision of one CT series with everything that belongs to it."""

    study: StudyRecord
    series_uid: str
    status: str
    content_sha256: str
    for_uid: str | None = None
    code: str | None = None
    reason: str | None = None
    geometry: dict[str, Any] | None = None
    facts: dict[str, Any] | None = None
    patch_file: PatchFileRecord | None = None
    instances: list[InstanceRecord] = field(default_factory=list)
    annotations: list[AnnotationRecord] = field(default_factory=list)
    nodes: list[NodeRecord] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class RefusedRecord:
    """One thing that was refused, with the reason.

    Attributes:
        sha256: SHA-256 of the file, or of the content of the series.
        scope: What was refused: `file`, `archive`, `series`, `mask` or `study`.
        code: Error code, listed in `docs/errors.md`.
        found: What was found.
        wanted: What was expected instead.
        fix: What the user can do.
        path: Path where it was found.
        study_uid: StudyInstanceUID, if known.
        series_uid: SeriesInstanceUID, if known.
        detail: Traceback, if the error was unexpected.
    """

    sha256: str
    scope: str
    code: str
    found: str
    wanted: str
    fix: str
    path: str
    study_uid: str | None = None
    series_uid: str | None = None
    detail: str | None = None
