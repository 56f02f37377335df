"""The audit log: what was done and by whom, as a chain of hashes.

The hash of each row includes the hash of the row before. Triggers refuse to change or remove a
row; if someone avoids them, the chain is broken, and `verify` finds this. It cannot find that rows
are missing at the end: for that, keep a copy of the last hash.
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
"""Value that the first row has instead of the hash of an earlier row."""


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
        actor: User of the system, or command, that acted.
        action: What was done.
        object_: Study UID, engine or file hash that it was done to; nothing personal.
        details: Further facts for an audit.
    """
    if session.get_bind().dialect.name == "postgresql":
        # Two writers would read the same last row; on SQLite there is only one writer at a time.
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
    """Check the hashes of all rows, from the first row on.

    Returns:
        The number of rows.

    Raises:
        DatabaseError: D11 a row was changed, removed or inserted.
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
