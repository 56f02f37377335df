"""Read the positions of the nodes of current revisions, to match a reader's points with them."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from db.reading import CURRENT
from db.schema import LymphNode, Series, Study


@dataclass(frozen=True)
class NodePlace:
    """Position of one node.

    Attributes:
        node_id: `lymph_node.id`.
        tracking_uid: Tracking UID, unique within its series but not always in the database.
        centroid_mm: Centroid, x y z in LPS mm, in the frame of reference of its series.
    """

    node_id: int
    tracking_uid: str
    centroid_mm: tuple[float, float, float]


@dataclass(frozen=True)
class SeriesPlaces:
    """The current revision of one series and its nodes.

    Attributes:
        study_uid: StudyInstanceUID.
        series_uid: SeriesInstanceUID, with `#2` ... if one series held several acquisitions.
        for_uid: UID of its frame of reference, if known.
        geometry: Content of the column `series.geometry`.
        nodes: The nodes, in the order of their patches.
    """

    study_uid: str
    series_uid: str
    for_uid: str | None
    geometry: dict[str, Any] | None
    nodes: tuple[NodePlace, ...]


def current(session: Session) -> list[SeriesPlaces]:
    """Read all current series with their nodes, with two statements."""
    nodes: dict[int, list[NodePlace]] = {}
    columns = (LymphNode.series_id, LymphNode.id, LymphNode.tracking_uid)
    centroid = (LymphNode.centroid_x_mm, LymphNode.centroid_y_mm, LymphNode.centroid_z_mm)
    query = select(*columns, *centroid).join(Series, LymphNode.series_id == Series.id)
    order = (LymphNode.series_id, LymphNode.patch_index)
    for series_id, node_id, uid, *place_mm in session.execute(
        query.where(CURRENT).order_by(*order)
    ):
        x, y, z = place_mm
        nodes.setdefault(series_id, []).append(NodePlace(node_id, uid, (x, y, z)))
    facts = (Series.id, Study.study_uid, Series.series_uid, Series.for_uid, Series.geometry)
    series = select(*facts).join(Study, Series.study_id == Study.id).where(CURRENT)
    return [
        SeriesPlaces(study_uid, series_uid, for_uid, geometry, tuple(nodes.get(series_id, ())))
        for series_id, study_uid, series_uid, for_uid, geometry in session.execute(
            series.order_by(Series.id)
        )
    ]
