"""The audit log: what was done, by whom, each row sealed with the hash of the one before.

Triggers refuse to change or remove a row; the chain shows it where someone went around
them. A log cut off at its end is shorter, not broken: keep a copy of the last hash.
"""

import hashlib
import json
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from db.errors import DatabaseError
from db.schema import AuditLog

FIRST = "0" * 64
"""What the first row has in place of an earlier row's hash."""


def record(
    session: Session,
    actor: str,
    action: str,
    object_: str,
    details: dict[str, Any] | None = None,
) -> None:
    """Append one row.

    Args:
        session: The caller's transaction.
        actor: Who: a user of the system, or the command.
        action: What was done.
        object_: To what: a study UID, an engine, a file's hash. Nothing personal.
        details: What else an audit should see.
    """
    if session.get_bind().dialect.name == "postgresql":
        # Two writers would read the same last row; SQLite's writers already stand in line.
        session.execute(text("LOCK TABLE audit_log IN SHARE ROW EXCLUSIVE MODE"))
    last = session.scalar(select(AuditLog.hash).order_by(AuditLog.id.desc()).limit(1))
    row = AuditLog(
        at=datetime.now(UTC),
        actor=actor,
        action=action,
        object=object_,
        details=details,
        prev_hash=last or FIRST,
    )
    row.hash = _seal(row)
    session.add(row)
    session.flush()


def verify(session: Session) -> int:
    """Walk the chain from its first row.

    Returns:
        How many rows there are.

    Raises:
        DatabaseError: D11, a row was changed, removed, or put in.
    """
    expected, count = FIRST, 0
    for row in session.scalars(
        select(AuditLog).order_by(AuditLog.id).execution_options(yield_per=1000)
    ):
        if row.prev_hash != expected or row.hash != _seal(row):
            raise DatabaseError(
                "D11",
                f"row {row.id} of the audit log does not follow from the row before it",
                "an unbroken chain",
                "Someone changed the log outside lnscore: compare it with a backup.",
            )
        expected, count = row.hash, count + 1
    return count


def _seal(row: AuditLog) -> str:
    at = row.at.astimezone(UTC).isoformat(timespec="microseconds")
    content = [at, row.actor, row.action, row.object, row.details, row.prev_hash]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
