"""Read the nodes that training and evaluation use, one record each."""

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from db.schema import Label, LymphNode, PatchFile, Patient, Series, StationRow, Study
from db.scores import SCORABLE


@dataclass(frozen=True, kw_only=True)
class CohortNode:
    """One node of a current series revision: its patient, its patch and its measurements.

    Attributes:
        patient_id: `patient.id`; nodes of one patient are not independent.
        patient_key: Pseudonym of the patient, the same in every database of the site.
        has_mask: False if the node was given as a point.
        station: Station as `SYSTEM:CODE`, empty if the node has none.
        slice_mm: Slice spacing of the CT; None if unknown.
        manufacturer: Manufacturer of the scanner, empty if unknown.
    """

    node_id: int
    tracking_uid: str
    patient_id: int
    patient_key: str
    study_uid: str
    series_id: int
    patch_file_sha256: str
    masks_sha256: str | None
    patch_index: int
    spec_hash: str
    has_mask: bool
    short_axis_mm: float | None
    long_axis_mm: float | None
    volume_mm3: float | None
    station: str
    slice_mm: float | None
    manufacturer: str = ""


def nodes(session: Session) -> list[CohortNode]:
    """Return all nodes of current, usable revisions, sorted by study, series and patch index."""
    query = (
        select(LymphNode, Series, Study.study_uid, Patient, PatchFile, StationRow)
        .join(Series, LymphNode.series_id == Series.id)
        .join(Study, Series.study_id == Study.id)
        .join(Patient, Study.patient_id == Patient.id)
        .join(PatchFile, Series.patch_file_id == PatchFile.id)
        .outerjoin(StationRow, LymphNode.station_id == StationRow.id)
        .where(Series.status.in_(SCORABLE))
        .order_by(Study.id, Series.id, LymphNode.patch_index)
    )
    return [_node(*row) for row in session.execute(query)]


def labels(session: Session, reader: str) -> dict[int, int]:
    """Return the labels of one reader by node id: 1 malignant, 0 benign."""
    query = select(Label.lymph_node_id, Label.value).where(Label.reader == reader)
    return {node_id: value for node_id, value in session.execute(query)}


def readers(session: Session) -> Iterator[str]:
    """Return the names of the readers who have labelled nodes, sorted."""
    return iter(session.scalars(select(Label.reader).distinct().order_by(Label.reader)))


def _node(
    node: LymphNode,
    series: Series,
    study_uid: str,
    patient: Patient,
    file: PatchFile,
    station: StationRow | None,
) -> CohortNode:
    return CohortNode(
        node_id=node.id,
        tracking_uid=node.tracking_uid,
        patient_id=patient.id,
        patient_key=patient.pseudo_key,
        study_uid=study_uid,
        series_id=series.id,
        patch_file_sha256=file.sha256,
        masks_sha256=file.masks_sha256,
        patch_index=node.patch_index,
        spec_hash=file.spec_hash,
        has_mask=node.mask_sha256 is not None,
        short_axis_mm=node.short_axis_mm,
        long_axis_mm=node.long_axis_mm,
        volume_mm3=node.volume_mm3,
        station=f"{station.system}:{station.code}" if station else "",
        slice_mm=_slice_mm(series),
        manufacturer=str((series.facts or {}).get("Manufacturer") or ""),
    )


def _slice_mm(series: Series) -> float | None:
    """Return the slice spacing: the length of the first column of the affine."""
    affine = (series.geometry or {}).get("affine")
    return None if affine is None else sum(row[0] ** 2 for row in affine[:3]) ** 0.5
