"""All tables of the study database, with their unique constraints and checks.

The tables are STRICT on SQLite; PostgreSQL uses the same models. There is no column for a patient's
name, a birth date or an accession number.
"""

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from db.columns import CleanText, Finite, JsonText, UtcTime
from db.records import NEOADJUVANT

SERIES_STATUS = ("waiting", "ready", "scored", "quarantined", "superseded")
ANNOTATION_FORMATS = ("SEG", "RTSTRUCT", "NIFTI", "NRRD", "POINTS", "PHANTOM")
STATION_SOURCES = ("explicit", "overlap", "nearest", "unassigned")
FINDING_STATUS = ("positive", "negative", "not_sampled", "indeterminate")
RELATIONS = ("equal", "narrower", "broader", "overlaps")
PARTS = ("train", "validation", "test", "unlabelled")


def _one_of(column: str, values: tuple[str, ...]) -> CheckConstraint:
    quoted = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({quoted})", name=f"{column}_known")


STRICT = {"sqlite_strict": True}

HEAD = "0003"
"""Schema revision of these models; a test checks that it is the newest migration."""


class Base(DeclarativeBase):
    """Base class of the models; it names constraints, so that migrations can drop them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(column_0_label)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: ClassVar = {
        str: CleanText(),
        float: Finite(),
        datetime: UtcTime(),
        dict[str, Any]: JsonText(),
        list[Any]: JsonText(),
    }


class Patient(Base):
    """One patient, identified only by a pseudonymous key."""

    __tablename__ = "patient"
    __table_args__ = (_one_of("sex", ("F", "M", "O", "")), STRICT)

    id: Mapped[int] = mapped_column(primary_key=True)
    pseudo_key: Mapped[str] = mapped_column(unique=True)
    """HMAC-SHA-256 of issuer and PatientID with the local secret, hex."""
    sex: Mapped[str] = mapped_column(default="")
    birth_year: Mapped[int | None]
    identity_check: Mapped[str | None]
    """HMAC of the birth date; it shows if two people have the same PatientID."""
    studies: Mapped[list["Study"]] = relationship(back_populates="patient")


class Study(Base):
    """One DICOM study."""

    __tablename__ = "study"
    __table_args__ = (STRICT,)

    id: Mapped[int] = mapped_column(primary_key=True)
    patient_id: Mapped[int] = mapped_column(ForeignKey("patient.id"), index=True)
    study_uid: Mapped[str] = mapped_column(unique=True)
    study_date: Mapped[str | None]
    """ISO date; null if the date in the header was unusable."""
    accession_hmac: Mapped[str | None]
    created_at: Mapped[datetime]
    patient: Mapped[Patient] = relationship(back_populates="studies")
    series: Mapped[list["Series"]] = relationship(back_populates="study")


class PatchFile(Base):
    """One `.npy` file of patches in the patch store, and its file of masks if there is one."""

    __tablename__ = "patch_file"
    __table_args__ = (CheckConstraint("node_count > 0", name="node_count_positive"), STRICT)

    id: Mapped[int] = mapped_column(primary_key=True)
    sha256: Mapped[str] = mapped_column(unique=True)
    masks_sha256: Mapped[str | None]
    node_count: Mapped[int]
    spec_version: Mapped[int]
    spec_hash: Mapped[str]
    created_at: Mapped[datetime]


class Series(Base):
    """One revision of one CT series with the masks that belong to it.

    If a series is sent again with other content, or a mask has changed, a new revision is added.
    The old revision and its scores are superseded. Nothing is deleted.
    """

    __tablename__ = "series"
    __table_args__ = (
        UniqueConstraint("series_uid", "revision"),
        _one_of("status", SERIES_STATUS),
        CheckConstraint("revision >= 1", name="revision_from_1"),
        Index(
            "ix_series_one_current",
            "series_uid",
            unique=True,
            sqlite_where=text("status != 'superseded'"),
            postgresql_where=text("status != 'superseded'"),
        ),
        STRICT,
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    study_id: Mapped[int] = mapped_column(ForeignKey("study.id"), index=True)
    series_uid: Mapped[str]
    """SeriesInstanceUID, with `#2`, `#3` ... if one series held several acquisitions."""
    revision: Mapped[int]
    status: Mapped[str] = mapped_column(index=True)
    code: Mapped[str | None]
    """Error code that says why the series waits or was quarantined."""
    reason: Mapped[str | None]
    for_uid: Mapped[str | None]
    geometry: Mapped[dict[str, Any] | None]
    """Affine (4x4, voxel z y x to LPS mm), shape (z y x) and flags."""
    facts: Mapped[dict[str, Any] | None]
    """Scanner, kernel, kV, slice thickness, for an audit; nothing personal."""
    content_sha256: Mapped[str]
    """SHA-256 over the instances, the masks and the options that affect the patches."""
    patch_file_id: Mapped[int | None] = mapped_column(ForeignKey("patch_file.id"), index=True)
    run_id: Mapped[int | None] = mapped_column(ForeignKey("run.id"))
    created_at: Mapped[datetime]
    study: Mapped[Study] = relationship(back_populates="series")
    patch_file: Mapped[PatchFile | None] = relationship()
    nodes: Mapped[list["LymphNode"]] = relationship(back_populates="series")


class Instance(Base):
    """One CT image file of a series revision."""

    __tablename__ = "instance"
    __table_args__ = (UniqueConstraint("series_id", "sop_uid"), STRICT)

    id: Mapped[int] = mapped_column(primary_key=True)
    series_id: Mapped[int] = mapped_column(ForeignKey("series.id"))
    sop_uid: Mapped[str]
    sha256: Mapped[str] = mapped_column(index=True)
    path: Mapped[str]


class Annotation(Base):
    """One mask or point file from which nodes were read."""

    __tablename__ = "annotation"
    __table_args__ = (
        UniqueConstraint("series_id", "sha256"),
        _one_of("format", ANNOTATION_FORMATS),
        STRICT,
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    series_id: Mapped[int] = mapped_column(ForeignKey("series.id"))
    format: Mapped[str]
    sha256: Mapped[str]
    path: Mapped[str]
    uid: Mapped[str | None]
    for_uid: Mapped[str | None]
    details: Mapped[dict[str, Any] | None]


class StationRow(Base):
    """One station as `(system, version, code)`; a number alone is not unique."""

    __tablename__ = "station"
    __table_args__ = (UniqueConstraint("system", "version", "code"), STRICT)

    id: Mapped[int] = mapped_column(primary_key=True)
    system: Mapped[str]
    version: Mapped[str]
    code: Mapped[str]
    meaning: Mapped[str] = mapped_column(default="")


class StationAlias(Base):
    """Another way to write a station within its system."""

    __tablename__ = "station_alias"
    __table_args__ = (UniqueConstraint("station_id", "alias"), STRICT)

    id: Mapped[int] = mapped_column(primary_key=True)
    station_id: Mapped[int] = mapped_column(ForeignKey("station.id"))
    alias: Mapped[str]


class StationCrosswalk(Base):
    """Relation of a station of one system to one of another; used only on request."""

    __tablename__ = "station_crosswalk"
    __table_args__ = (
        UniqueConstraint("name", "from_station_id", "to_station_id"),
        _one_of("relation", RELATIONS),
        STRICT,
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    from_station_id: Mapped[int] = mapped_column(ForeignKey("station.id"))
    to_station_id: Mapped[int] = mapped_column(ForeignKey("station.id"))
    relation: Mapped[str]
    source: Mapped[str]


class LymphNode(Base):
    """One lymph node of a series revision and where its patch is stored."""

    __tablename__ = "lymph_node"
    __table_args__ = (
        UniqueConstraint("series_id", "tracking_uid"),
        UniqueConstraint("series_id", "patch_index"),
        _one_of("station_source", STATION_SOURCES),
        CheckConstraint("volume_mm3 > 0", name="volume_positive"),
        CheckConstraint("patch_index >= 0", name="patch_index_from_0"),
        CheckConstraint("padded_fraction BETWEEN 0 AND 1", name="padded_fraction_range"),
        CheckConstraint("(short_axis_mm IS NULL) = (long_axis_mm IS NULL)", name="axes_together"),
        CheckConstraint("short_axis_mm BETWEEN 0 AND long_axis_mm", name="axes_ordered"),
        STRICT,
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    series_id: Mapped[int] = mapped_column(ForeignKey("series.id"))
    annotation_id: Mapped[int] = mapped_column(ForeignKey("annotation.id"), index=True)
    tracking_uid: Mapped[str] = mapped_column(index=True)
    """Tracking UID from the SEG, or UUIDv5 of (series UID, mask hash, label)."""
    label: Mapped[str]
    centroid_x_mm: Mapped[float]
    centroid_y_mm: Mapped[float]
    centroid_z_mm: Mapped[float]
    bbox_vox: Mapped[list[Any] | None]
    """[[z0, y0, x0], [z1, y1, x1]] in CT voxels, end exclusive; null for a point."""
    volume_mm3: Mapped[float | None]
    short_axis_mm: Mapped[float | None]
    long_axis_mm: Mapped[float | None]
    station_id: Mapped[int | None] = mapped_column(ForeignKey("station.id"), index=True)
    station_source: Mapped[str] = mapped_column(default="unassigned")
    station_candidates: Mapped[list[Any] | None]
    """[{"system", "code", "overlap"}], largest overlap first."""
    mask_sha256: Mapped[str | None]
    warnings: Mapped[list[Any] | None]
    """Codes of warnings that a reader should know about this node."""
    patch_index: Mapped[int]
    patch_sha256: Mapped[str]
    """SHA-256 of the bytes of this node's patch."""
    patch_affine: Mapped[list[Any]]
    """4x4, patch voxel z y x to LPS mm (a snapped patch has the slice spacing of the CT)."""
    padded_fraction: Mapped[float]
    series: Mapped[Series] = relationship(back_populates="nodes")
    station: Mapped[StationRow | None] = relationship()
    scores: Mapped[list["Score"]] = relationship(back_populates="node")


class PathologyReport(Base):
    """One version of a surgical pathology report; a newer one supersedes it, both are kept."""

    __tablename__ = "pathology_report"
    __table_args__ = (
        UniqueConstraint(
            *("patient_key", "report_id", "source_sha256", "content_sha256"),
            name="uq_pathology_report_version",
        ),
        _one_of("neoadjuvant", NEOADJUVANT),
        STRICT,
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    patient_key: Mapped[str] = mapped_column(index=True)
    """Same key as `patient.pseudo_key`; the patient may be added later."""
    report_id: Mapped[str]
    report_date: Mapped[str]
    surgery_date: Mapped[str | None]
    neoadjuvant: Mapped[str] = mapped_column(default="unknown")
    source_sha256: Mapped[str]
    """SHA-256 of the file from which the report was read."""
    content_sha256: Mapped[str | None]
    """SHA-256 over the content of the report; null if version 0.1 wrote it."""
    superseded_by_id: Mapped[int | None] = mapped_column(ForeignKey("pathology_report.id"))
    created_at: Mapped[datetime]


class FindingRow(Base):
    """One finding of a report: for one station, or several that were sent as one specimen."""

    __tablename__ = "finding"
    __table_args__ = (
        UniqueConstraint("report_id", "source_row", "source_column"),
        _one_of("status", FINDING_STATUS),
        CheckConstraint(
            "n_examined >= 0 AND n_positive BETWEEN 0 AND n_examined", name="counts_ordered"
        ),
        STRICT,
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    report_id: Mapped[int] = mapped_column(ForeignKey("pathology_report.id"), index=True)
    n_examined: Mapped[int | None]
    n_positive: Mapped[int | None]
    status: Mapped[str]
    source_row: Mapped[int]
    source_column: Mapped[str] = mapped_column(default="")


class FindingStation(Base):
    """Link between a finding and one of its stations."""

    __tablename__ = "finding_station"
    __table_args__ = (STRICT,)

    finding_id: Mapped[int] = mapped_column(ForeignKey("finding.id"), primary_key=True)
    station_id: Mapped[int] = mapped_column(ForeignKey("station.id"), primary_key=True)


class EngineRow(Base):
    """One engine that has scored: weights, configuration, patch rules, back end, precision."""

    __tablename__ = "engine"
    __table_args__ = (
        UniqueConstraint(
            *("weights_sha256", "config_hash", "spec_hash", "backend", "precision"),
            name="uq_engine_identity",
        ),
        CheckConstraint("trained IN (0, 1)", name="trained_binary"),
        STRICT,
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(index=True)
    weights_sha256: Mapped[str]
    config_hash: Mapped[str]
    spec_hash: Mapped[str]
    backend: Mapped[str]
    precision: Mapped[str]
    model_sha256: Mapped[str]
    trained: Mapped[int]
    """1, or 0 for an untrained demonstration engine."""
    manifest: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]


class RunRow(Base):
    """One run of a command that writes: command line, machine, times, engine and result."""

    __tablename__ = "run"
    __table_args__ = (STRICT,)

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str]
    argv: Mapped[list[Any]]
    version: Mapped[str]
    host: Mapped[str]
    started_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]
    exit_code: Mapped[int | None]
    engine_id: Mapped[int | None] = mapped_column(ForeignKey("engine.id"))
    engine_reason: Mapped[str | None]
    summary: Mapped[dict[str, Any] | None]


class Score(Base):
    """Score of one node by one engine; there is at most one row for each pair."""

    __tablename__ = "score"
    __table_args__ = (
        UniqueConstraint("lymph_node_id", "engine_id"),
        CheckConstraint("probability BETWEEN 0 AND 1", name="probability_range"),
        CheckConstraint("local_probability BETWEEN 0 AND 1", name="local_range"),
        CheckConstraint("global_probability BETWEEN 0 AND 1", name="global_range"),
        CheckConstraint("calibrated_probability BETWEEN 0 AND 1", name="calibrated_range"),
        STRICT,
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    lymph_node_id: Mapped[int] = mapped_column(ForeignKey("lymph_node.id"))
    engine_id: Mapped[int] = mapped_column(ForeignKey("engine.id"), index=True)
    run_id: Mapped[int] = mapped_column(ForeignKey("run.id"), index=True)
    probability: Mapped[float]
    """Raw probability from the fused head."""
    local_probability: Mapped[float | None]
    global_probability: Mapped[float | None]
    calibrated_probability: Mapped[float | None]
    """Null if the engine has no calibration."""
    calls: Mapped[dict[str, Any]]
    """0 or 1 for each operating point, by name."""
    patch_sha256: Mapped[str]
    created_at: Mapped[datetime]
    node: Mapped[LymphNode] = relationship(back_populates="scores")
    engine: Mapped[EngineRow] = relationship()


class Label(Base):
    """One reader's label of one node."""

    __tablename__ = "label"
    __table_args__ = (
        UniqueConstraint("lymph_node_id", "reader"),
        CheckConstraint("value IN (0, 1)", name="value_binary"),
        STRICT,
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    lymph_node_id: Mapped[int] = mapped_column(ForeignKey("lymph_node.id"))
    reader: Mapped[str]
    value: Mapped[int]
    source: Mapped[str]
    created_at: Mapped[datetime]


class Split(Base):
    """One division of the patients into folds, for training and evaluation."""

    __tablename__ = "split"
    __table_args__ = (STRICT,)

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    seed: Mapped[int]
    created_at: Mapped[datetime]


class SplitMember(Base):
    """The part of a fold that a patient belongs to.

    The primary key allows only one part per fold. A patient is in the test part of at most one fold
    of a split.
    """

    __tablename__ = "split_member"
    __table_args__ = (
        _one_of("part", PARTS),
        CheckConstraint("fold >= 0", name="fold_from_0"),
        Index(
            "ix_split_member_tests_once",
            "split_id",
            "patient_id",
            unique=True,
            sqlite_where=text("part = 'test'"),
            postgresql_where=text("part = 'test'"),
        ),
        STRICT,
    )

    split_id: Mapped[int] = mapped_column(ForeignKey("split.id"), primary_key=True)
    fold: Mapped[int] = mapped_column(primary_key=True)
    patient_id: Mapped[int] = mapped_column(ForeignKey("patient.id"), primary_key=True)
    part: Mapped[str]


class Quarantine(Base):
    """One thing that was refused: code, what was found, what was wanted, and what to do."""

    __tablename__ = "quarantine"
    __table_args__ = (
        UniqueConstraint("sha256", "code"),
        _one_of("scope", ("file", "archive", "series", "mask", "study")),
        CheckConstraint("tries >= 1", name="tries_from_1"),
        STRICT,
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    sha256: Mapped[str]
    """SHA-256 of the file, or of the content of the series."""
    scope: Mapped[str]
    code: Mapped[str]
    found: Mapped[str]
    wanted: Mapped[str]
    fix: Mapped[str]
    path: Mapped[str]
    study_uid: Mapped[str | None]
    series_uid: Mapped[str | None]
    detail: Mapped[str | None]
    """Traceback, if the error was unexpected."""
    first_seen: Mapped[datetime]
    last_seen: Mapped[datetime]
    tries: Mapped[int]
    resolved_at: Mapped[datetime | None]


class AuditLog(Base):
    """Append-only log of what was done; triggers refuse update and delete."""

    __tablename__ = "audit_log"
    __table_args__ = (STRICT,)

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    at: Mapped[datetime]
    actor: Mapped[str]
    action: Mapped[str]
    object: Mapped[str]
    details: Mapped[dict[str, Any] | None]
    prev_hash: Mapped[str] = mapped_column(unique=True)
    """Hash of the row before; unique, so that only one row can follow it."""
    hash: Mapped[str] = mapped_column(unique=True)
