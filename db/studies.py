"""Store studies, series and nodes from ingest, one series revision at a time."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from db import identity, schema
from db.records import (
    NodeRecord,
    PatchFileRecord,
    PatientRecord,
    SeriesRecord,
    StationKey,
    StudyRecord,
)
from db.scores import SCORABLE


@dataclass(frozen=True)
class AddedSeries:
    """Result of adding a series: a first revision, no change, or one more revision."""

    series_id: int
    outcome: Literal["new", "same", "revised"]
    node_count: int


@dataclass(frozen=True)
class UsableSeries:
    """The stored content of a current, usable series.

    Attributes:
        content_sha256: SHA-256 over everything that the series was made from.
        files: SHA-256 of its patch file and of its mask file; empty if it has no nodes.
    """

    content_sha256: str
    files: frozenset[str]


def add_series(session: Session, record: SeriesRecord, run_id: int) -> AddedSeries:
    """Add a series with everything that belongs to it, unless it is stored already.

    The same content with the same status (waiting, quarantined, usable) is the same revision.
    Otherwise a new revision is added: the current one becomes `superseded` and keeps its nodes
    and scores.

    Args:
        session: The caller's transaction.
        record: The complete series.
        run_id: The run that adds it.

    Returns:
        The id and the number of nodes of the current revision, and what was done.

    Raises:
        IdentityConflict: D12, D13 or D14; nothing was written.
        ValueError: A node names an annotation that the record does not have.
    """
    known = record.study.patient
    patient = identity.find_patient(session, known.pseudo_key, known.identity_check)
    study = identity.find_study(session, record.study.study_uid, patient)
    current = identity.find_current_series(session, record.series_uid, study)
    if current is not None and _is_same(current, record):
        return AddedSeries(current.id, "same", len(current.nodes))
    revision = 1 if current is None else current.revision + 1
    if current is not None:
        current.status = "superseded"
        session.flush()  # before the new row: the schema allows only one current revision
    now = datetime.now(UTC)
    patient = _write_patient(session, patient, known)
    study = study or _write_study(session, patient, record.study, now)
    series = _write_series(session, study, record, revision, run_id, now)
    _write_content(session, series.id, record)
    return AddedSeries(series.id, "new" if current is None else "revised", len(record.nodes))


def usable_series(session: Session, study_uid: str) -> dict[str, UsableSeries]:
    """Return every current, usable series of a study, by series UID.

    Refused and waiting series are left out, so that every run reads them again: a newer version
    may accept them.
    """
    table, file = schema.Series, schema.PatchFile
    query = (
        select(table.series_uid, table.content_sha256, file.sha256, file.masks_sha256)
        .join(schema.Study)
        .outerjoin(file, table.patch_file_id == file.id)
        .where(schema.Study.study_uid == study_uid, table.status.in_(SCORABLE))
    )
    return {
        series_uid: UsableSeries(content, frozenset(filter(None, files)))
        for series_uid, content, *files in session.execute(query)
    }


def patch_files(session: Session) -> set[str]:
    """Return the SHA-256 of the patch file and of the mask file of every current, usable series."""
    file = schema.PatchFile
    query = (
        select(file.sha256, file.masks_sha256)
        .join(schema.Series, schema.Series.patch_file_id == file.id)
        .where(schema.Series.status.in_(SCORABLE))
    )
    return {sha256 for row in session.execute(query) for sha256 in row if sha256 is not None}


def located_studies(
    session: Session, study_uid: str | None = None
) -> list[tuple[int, str, str | None, str]]:
    """Return id, UID, date and patient's pseudonymous key of all studies or of one.

    The studies are sorted by UID.
    """
    query = (
        select(
            schema.Study.id,
            schema.Study.study_uid,
            schema.Study.study_date,
            schema.Patient.pseudo_key,
        )
        .join(schema.Patient, schema.Study.patient_id == schema.Patient.id)
        .order_by(schema.Study.study_uid)
    )
    if study_uid is not None:
        query = query.where(schema.Study.study_uid == study_uid)
    return [(row[0], row[1], row[2], row[3]) for row in session.execute(query)]


def patients_with_studies(session: Session) -> set[str]:
    """Return the pseudonymous keys of the patients that have a study."""
    query = select(schema.Patient.pseudo_key).join(
        schema.Study, schema.Study.patient_id == schema.Patient.id
    )
    return set(session.scalars(query))


def any_patient(session: Session) -> bool:
    """Return whether the database holds any patient or any pathology report."""
    known = schema.Patient.id, schema.PathologyReport.id
    return any(session.scalar(select(column).limit(1)) is not None for column in known)


def station_ids(session: Session, keys: Iterable[StationKey]) -> dict[StationKey, int]:
    """Return the id of every station; add those that are missing."""
    table = schema.StationRow
    ids = {}
    for key in sorted(set(keys), key=lambda key: (key.system, key.version, key.code)):
        found = session.scalar(select(table.id).filter_by(**asdict(key)))
        if found is None:
            station = table(**asdict(key), meaning="")
            session.add(station)
            session.flush()
            found = station.id
        ids[key] = found
    return ids


def _is_same(current: schema.Series, record: SeriesRecord) -> bool:
    verdict = "ready" if current.status == "scored" else current.status
    return current.content_sha256 == record.content_sha256 and verdict == record.status


def _write_patient(
    session: Session, patient: schema.Patient | None, record: PatientRecord
) -> schema.Patient:
    if patient is None:
        patient = schema.Patient(**asdict(record))
        session.add(patient)
    else:  # a later header may fill empty fields; known values stay
        patient.sex = patient.sex or record.sex
        patient.birth_year = patient.birth_year or record.birth_year
        patient.identity_check = patient.identity_check or record.identity_check
    session.flush()
    return patient


def _write_study(
    session: Session, patient: schema.Patient, record: StudyRecord, now: datetime
) -> schema.Study:
    study = schema.Study(
        patient_id=patient.id,
        study_uid=record.study_uid,
        study_date=record.study_date,
        accession_hmac=record.accession_hmac,
        created_at=now,
    )
    session.add(study)
    session.flush()
    return study


def _write_series(
    session: Session,
    study: schema.Study,
    record: SeriesRecord,
    revision: int,
    run_id: int,
    now: datetime,
) -> schema.Series:
    series = schema.Series(
        study_id=study.id,
        series_uid=record.series_uid,
        revision=revision,
        status=record.status,
        code=record.code,
        reason=record.reason,
        for_uid=record.for_uid,
        geometry=record.geometry,
        facts=record.facts,
        content_sha256=record.content_sha256,
        patch_file_id=_patch_file_id(session, record.patch_file, now),
        run_id=run_id,
        created_at=now,
    )
    session.add(series)
    session.flush()
    return series


def _patch_file_id(session: Session, record: PatchFileRecord | None, now: datetime) -> int | None:
    if record is None:
        return None
    table = schema.PatchFile
    found = session.scalar(select(table.id).filter_by(sha256=record.sha256))
    if found is not None:
        return found
    file = table(**asdict(record), created_at=now)
    session.add(file)
    session.flush()
    return file.id


def _write_content(session: Session, series_id: int, record: SeriesRecord) -> None:
    """Write instances, annotations and nodes; plain inserts are much faster than ORM objects."""
    of_series = {"series_id": series_id}
    if record.instances:
        rows = [vars(item) | of_series for item in record.instances]
        session.execute(insert(schema.Instance), rows)
    annotation_ids = {}
    for item in record.annotations:
        annotation = schema.Annotation(**vars(item), **of_series)
        session.add(annotation)
        session.flush()
        annotation_ids[item.sha256] = annotation.id
    if record.nodes:
        stations = station_ids(session, (n.station for n in record.nodes if n.station))
        rows = [_node_row(n, annotation_ids, stations) | of_series for n in record.nodes]
        session.execute(insert(schema.LymphNode), rows)


def _node_row(
    node: NodeRecord, annotation_ids: dict[str, int], stations: dict[StationKey, int]
) -> dict[str, Any]:
    if node.annotation_sha256 not in annotation_ids:
        raise ValueError(f"node {node.tracking_uid} is of no annotation of its series")
    row = dict(vars(node))
    x, y, z = row.pop("centroid_mm")
    row |= {"centroid_x_mm": x, "centroid_y_mm": y, "centroid_z_mm": z}
    row["annotation_id"] = annotation_ids[row.pop("annotation_sha256")]
    station = row.pop("station")
    row["station_id"] = None if station is None else stations[station]
    return row
