"""Store what was refused: one row for each content and code, even if it is seen again."""

from collections.abc import Collection
from dataclasses import asdict
from datetime import UTC, datetime

from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session

from db import schema
from db.batches import batches
from db.records import RefusedRecord
from db.schema import Quarantine


def add(session: Session, refused: RefusedRecord) -> bool:
    """Store a refusal; if it is stored already, count it once more and open it again.

    Returns:
        True if it is new.
    """
    now = datetime.now(UTC)
    known = session.scalar(select(Quarantine).filter_by(sha256=refused.sha256, code=refused.code))
    if known is None:
        session.add(Quarantine(**asdict(refused), first_seen=now, last_seen=now, tries=1))
        session.flush()
        return True
    for name, value in asdict(refused).items():
        setattr(known, name, value)  # its present path and message texts
    known.last_seen, known.tries, known.resolved_at = now, known.tries + 1, None
    session.flush()
    return False


def resolve(
    session: Session, *, series_uid: str | None = None, sha256s: Collection[str] = ()
) -> int:
    """Close open refusals after the content could be used.

    Args:
        session: The caller's transaction.
        series_uid: Close every refusal of this series.
        sha256s: Close every refusal of these contents.

    Returns:
        The number of rows that were closed.
    """
    of_series = [] if series_uid is None else [Quarantine.series_uid == series_uid]
    closed = 0
    for some in batches(sorted(sha256s)) or [[]]:
        closing = (
            update(Quarantine)
            .where(Quarantine.resolved_at.is_(None))
            .where(or_(Quarantine.sha256.in_(some), *of_series))
            .values(resolved_at=datetime.now(UTC))
            .returning(Quarantine.id)
        )
        closed += len(session.scalars(closing).all())
    return closed


def unresolved(session: Session, study_uid: str | None = None) -> list[schema.Quarantine]:
    """Return the open refusals of one study or of all, in the order of their first occurrence."""
    query = select(Quarantine).where(Quarantine.resolved_at.is_(None)).order_by(Quarantine.id)
    if study_uid is not None:
        query = query.where(Quarantine.study_uid == study_uid)
    return list(session.scalars(query))
