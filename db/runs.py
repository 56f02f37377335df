"""Record runs: one row for every command that writes to the database."""

import platform
import re
from datetime import UTC, datetime
from typing import Any

from sqlalchemy.orm import Session

from db import schema

_URL_PASSWORD = re.compile(r"(?<=://)([^/@\s:]*):[^/\s]*@")
_QUERY_PASSWORD = re.compile(r"(password=)[^&\s]+")


def start(
    session: Session,
    kind: str,
    argv: list[str],
    version: str,
    *,
    engine_id: int | None = None,
    engine_reason: str | None = None,
) -> int:
    """Record that a run has begun.

    Args:
        session: The caller's transaction.
        kind: Kind of run: `ingest`, `score`, ...
        argv: The command line; passwords in URLs are masked.
        version: Version of lnscore.
        engine_id: Id of the engine that the run scores with, if any.
        engine_reason: Why that engine was chosen.

    Returns:
        The id of the run.
    """
    run = schema.RunRow(
        kind=kind,
        argv=[_redacted(word) for word in argv],
        version=version,
        host=platform.node(),
        started_at=datetime.now(UTC),
        engine_id=engine_id,
        engine_reason=engine_reason,
    )
    session.add(run)
    session.flush()
    return run.id


def finish(session: Session, run_id: int, exit_code: int, summary: dict[str, Any]) -> None:
    """Record how a run ended."""
    run = session.get_one(schema.RunRow, run_id)
    run.finished_at, run.exit_code, run.summary = datetime.now(UTC), exit_code, summary


def _redacted(word: str) -> str:
    return _QUERY_PASSWORD.sub(r"\1***", _URL_PASSWORD.sub(r"\1:***@", word))
