"""Read the scores of two engines for the same nodes, to compare the engines."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session, aliased

from db.reading import CURRENT
from db.schema import EngineRow, LymphNode, Score, Series, StationRow, Study


@dataclass(frozen=True, kw_only=True)
class ScoringEngine:
    """An engine and the number of its stored scores."""

    id: int
    name: str
    backend: str
    precision: str
    weights_sha256: str
    config_hash: str
    spec_hash: str
    manifest: dict[str, Any]
    scores: int


@dataclass(frozen=True, kw_only=True)
class ScorePair:
    """Scores of one node by two engines; None if that engine has not scored the node."""

    study_uid: str
    tracking_uid: str
    short_axis_mm: float | None
    station: str
    first: float | None
    first_calls: dict[str, int] | None
    second: float | None
    second_calls: dict[str, int] | None


def engines(session: Session) -> list[ScoringEngine]:
    """Return all engines of the database, in the order in which they were added."""
    given = (
        select(Score.engine_id, func.count().label("given")).group_by(Score.engine_id).subquery()
    )
    query = (
        select(EngineRow, func.coalesce(given.c.given, 0))
        .outerjoin(given, given.c.engine_id == EngineRow.id)
        .order_by(EngineRow.id)
    )
    return [
        ScoringEngine(
            id=row.id,
            name=row.name,
            backend=row.backend,
            precision=row.precision,
            weights_sha256=row.weights_sha256,
            config_hash=row.config_hash,
            spec_hash=row.spec_hash,
            manifest=row.manifest,
            scores=scores,
        )
        for row, scores in session.execute(query)
    ]


def pairs(
    session: Session, first: int, second: int, study_uid: str | None = None
) -> list[ScorePair]:
    """Return the nodes of current revisions that at least one of two engines has scored.

    Args:
        session: The caller's transaction.
        first: Id of the first engine.
        second: Id of the second engine.
        study_uid: Restrict to this study; None for all.
    """
    ours, theirs = aliased(Score), aliased(Score)
    query = (
        select(
            Study.study_uid,
            LymphNode.tracking_uid,
            LymphNode.short_axis_mm,
            StationRow.system,
            StationRow.code,
            ours.probability,
            ours.calls,
            theirs.probability,
            theirs.calls,
        )
        .join(Series, LymphNode.series_id == Series.id)
        .join(Study, Series.study_id == Study.id)
        .outerjoin(StationRow, LymphNode.station_id == StationRow.id)
        .outerjoin(ours, (ours.lymph_node_id == LymphNode.id) & (ours.engine_id == first))
        .outerjoin(theirs, (theirs.lymph_node_id == LymphNode.id) & (theirs.engine_id == second))
        .where(CURRENT, or_(ours.id.is_not(None), theirs.id.is_not(None)))
        .order_by(Study.id, Series.id, LymphNode.patch_index)
    )
    if study_uid is not None:
        query = query.where(Study.study_uid == study_uid)
    return [
        ScorePair(
            study_uid=uid,
            tracking_uid=node,
            short_axis_mm=axis,
            station=f"{system}:{code}" if code else "",
            first=p,
            first_calls=calls,
            second=q,
            second_calls=other_calls,
        )
        for uid, node, axis, system, code, p, calls, q, other_calls in session.execute(query)
    ]
