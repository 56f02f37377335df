"""Store the engines that have scored.

There is one row for each combination of weights, configuration, patch rules, back end and
precision.
"""

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from db.schema import EngineRow


@dataclass(frozen=True, kw_only=True)
class EngineRecord:
    """One engine, described by its bundle and its back end."""

    name: str
    weights_sha256: str
    config_hash: str
    spec_hash: str
    backend: str
    precision: str
    model_sha256: str
    trained: bool
    manifest: dict[str, Any]


def register(session: Session, record: EngineRecord) -> int:
    """Find an engine or add it.

    Two engines are the same if everything that affects their scores is the same: weights,
    configuration, patch rules, back end and precision.

    Returns:
        The id of the engine.
    """
    found = session.scalar(
        select(EngineRow.id).filter_by(
            weights_sha256=record.weights_sha256,
            config_hash=record.config_hash,
            spec_hash=record.spec_hash,
            backend=record.backend,
            precision=record.precision,
        )
    )
    if found is not None:
        return found
    fields = asdict(record) | {"trained": int(record.trained), "created_at": datetime.now(UTC)}
    engine = EngineRow(**fields)
    session.add(engine)
    session.flush()
    return engine.id
