"""Read a whole study for a report, with a few statements."""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload, selectinload

from db.schema import LymphNode, Score, Series, Study

CURRENT = Series.status != "superseded"


def study_uids(session: Session) -> Sequence[str]:
    """Return all study UIDs, sorted by study date (latest first, missing last) and UID."""
    dated = Study.study_date.is_(None)
    order = (dated, Study.study_date.desc(), Study.study_uid)
    return session.scalars(select(Study.study_uid).order_by(*order)).all()


def study(session: Session, study_uid: str) -> Study | None:
    """Read one study with its patient and the nodes, stations and scores of its current series.

    The number of statements does not depend on the number of nodes. `Study.series` holds only the
    current revisions: do not write through it.

    Args:
        session: The caller's transaction.
        study_uid: StudyInstanceUID.

    Returns:
        The study, or None if the database has no study with this UID.
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
