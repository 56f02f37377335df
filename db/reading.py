"""What a report reads: one study at a time, whole, in few statements."""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload, selectinload

from db.schema import LymphNode, Score, Series, Study

CURRENT = Series.status != "superseded"


def study_uids(session: Session) -> Sequence[str]:
    """Every study's UID: latest study date first, without a date last, then by UID."""
    dated = Study.study_date.is_(None)
    order = (dated, Study.study_date.desc(), Study.study_uid)
    return session.scalars(select(Study.study_uid).order_by(*order)).all()


def study(session: Session, study_uid: str) -> Study | None:
    """One study with its patient and, of its current series, nodes, stations and scores.

    A constant number of statements, whatever the number of nodes. `Study.series` holds the
    current revisions only: do not write through it.

    Args:
        session: The caller's transaction.
        study_uid: StudyInstanceUID.

    Returns:
        The study, or None where the database has none of that UID.
    """
    nodes = selectinload(Study.series.and_(CURRENT)).selectinload(Series.nodes)
    query = (
        select(Study)
        .where(Study.study_uid == study_uid)
        .options(
            joinedload(Study.patient),
            selectinload(Study.series.and_(CURRENT)).joinedload(Series.patch_file),
            nodes.joinedload(LymphNode.station),
            nodes.selectinload(LymphNode.scores).joinedload(Score.engine),
        )
    )
    return session.scalar(query)
