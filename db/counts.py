"""Count what the database holds, for `lnscore status` and `lnscore doctor`."""

from typing import Any

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from db.schema import EngineRow, LymphNode, Patient, Quarantine, Score, Series, Study
from db.session import Database

CURRENT = Series.status != "superseded"


def summary(session: Session) -> dict[str, Any]:
    """Count patients, studies, series, nodes, scores and refusals.

    Returns:
        `patients` and `studies`; `series` by status, including superseded ones; `nodes` of
        current revisions; `scored`: number of these nodes that are scored, by engine name;
        `quarantine`: number of open refusals, by code.
    """
    scored = (
        select(EngineRow.name, func.count(Score.lymph_node_id.distinct()))
        .join(Score, Score.engine_id == EngineRow.id)
        .join(LymphNode, Score.lymph_node_id == LymphNode.id)
        .join(Series, LymphNode.series_id == Series.id)
        .where(CURRENT)
        .group_by(EngineRow.name)
        .order_by(EngineRow.name)
    )
    by_status = select(Series.status, func.count()).group_by(Series.status)
    by_code = select(Quarantine.code, func.count()).where(Quarantine.resolved_at.is_(None))
    by_code = by_code.group_by(Quarantine.code).order_by(Quarantine.code)
    nodes = select(func.count()).select_from(LymphNode).join(Series).where(CURRENT)
    return {
        "patients": session.scalar(select(func.count()).select_from(Patient)),
        "studies": session.scalar(select(func.count()).select_from(Study)),
        "series": {status: count for status, count in session.execute(by_status)},
        "nodes": session.scalar(nodes),
        "scored": {name: count for name, count in session.execute(scored)},
        "quarantine": {code: count for code, count in session.execute(by_code)},
    }


def schema_revision(database: Database) -> str:
    """Return the schema revision of the database."""
    with database.read() as session:
        return session.scalar(text("SELECT version_num FROM alembic_version")) or ""
