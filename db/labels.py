"""Readers' labels of lymph nodes: one a reader and node."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from db.batches import batches
from db.errors import DatabaseError
from db.schema import Label, LymphNode


@dataclass(frozen=True)
class LabelRecord:
    """What one reader says of one node.

    Attributes:
        node_id: `lymph_node.id`.
        reader: Who, such as `radiologist`.
        value: 1 malignant, 0 benign.
        source: Where the label was taken from.
    """

    node_id: int
    reader: str
    value: int
    source: str


def add(session: Session, labels: Sequence[LabelRecord]) -> int:
    """Add labels; one that is there already is not added again.

    Args:
        session: The caller's transaction.
        labels: At most one a reader and node.

    Returns:
        How many are new.

    Raises:
        DatabaseError: D18, a reader labelled a node otherwise before; nothing was added.
    """
    known = _known(session, labels)
    for label in labels:
        before = known.get((label.node_id, label.reader), label.value)
        if before != label.value:
            raise DatabaseError(
                "D18",
                f"label {label.value} of node {label.node_id} by reader {label.reader!r}, "
                f"who said {before} before",
                "one label a reader and node",
                "Give the new reading a reader's name of its own.",
            )
    now = datetime.now(UTC)
    new = [label for label in labels if (label.node_id, label.reader) not in known]
    for part in batches(new):
        session.execute(insert(Label), [_row(label, now) for label in part])
    return len(new)


def node_ids(session: Session, series_id: int) -> dict[str, int]:
    """Tracking UID to id of a series revision's nodes."""
    query = select(LymphNode.tracking_uid, LymphNode.id).where(LymphNode.series_id == series_id)
    return {tracking_uid: node_id for tracking_uid, node_id in session.execute(query)}


def _row(label: LabelRecord, now: datetime) -> dict[str, int | str | datetime]:
    row = dict(vars(label))
    return row | {"lymph_node_id": row.pop("node_id"), "created_at": now}


def _known(session: Session, labels: Sequence[LabelRecord]) -> dict[tuple[int, str], int]:
    known = {}
    for part in batches(sorted({label.node_id for label in labels})):
        query = select(Label.lymph_node_id, Label.reader, Label.value)
        for node_id, reader, value in session.execute(query.where(Label.lymph_node_id.in_(part))):
            known[node_id, reader] = value
    return known
