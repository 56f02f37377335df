"""Store readers' labels of lymph nodes, and combine the labels of several readers.

There is at most one label for each reader and node.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from db.batches import batches
from db.errors import DatabaseError
from db.reading import CURRENT
from db.schema import Label, LymphNode, Series, Study

UNANIMOUS, MAJORITY, ANY_MALIGNANT = "unanimous", "majority", "any_malignant"
RULES = (UNANIMOUS, MAJORITY, ANY_MALIGNANT)
"""Rules that combine the labels of several readers; a reader's name may be given instead."""


@dataclass(frozen=True)
class LabelRecord:
    """Label of one node by one reader.

    Attributes:
        node_id: `lymph_node.id`.
        reader: Name of the reader, for example `radiologist`.
        value: 1 malignant, 0 benign.
        source: Source from which the label was read.
    """

    node_id: int
    reader: str
    value: int
    source: str


def add(session: Session, labels: Sequence[LabelRecord]) -> int:
    """Add labels, except those that are stored already.

    Args:
        session: The caller's transaction.
        labels: The labels; at most one for each reader and node.

    Returns:
        The number of new labels.

    Raises:
        DatabaseError: D18 a reader has already given a node another label; nothing was added.
    """
    known = said_before(session, [label.node_id for label in labels])
    for label in labels:
        before = known.get((label.node_id, label.reader), label.value)
        if before != label.value:
            raise DatabaseError(
                "D18",
                f"label {label.value} of node {label.node_id} by reader {label.reader!r}, "
                f"who gave {before} before",
                "one label for each reader and node",
                "Import the new reading under another reader name.",
            )
    now = datetime.now(UTC)
    new = [label for label in labels if (label.node_id, label.reader) not in known]
    for part in batches(new):
        session.execute(insert(Label), [_row(label, now) for label in part])
    return len(new)


def node_ids(session: Session, series_id: int) -> dict[str, int]:
    """Return the ids of the nodes of a series revision, by tracking UID."""
    query = select(LymphNode.tracking_uid, LymphNode.id).where(LymphNode.series_id == series_id)
    return {tracking_uid: node_id for tracking_uid, node_id in session.execute(query)}


def _row(label: LabelRecord, now: datetime) -> dict[str, int | str | datetime]:
    row = dict(vars(label))
    return row | {"lymph_node_id": row.pop("node_id"), "created_at": now}


def said_before(session: Session, node_ids: Sequence[int]) -> dict[tuple[int, str], int]:
    """Return the stored labels of these nodes, by (node id, reader)."""
    known = {}
    for part in batches(sorted(set(node_ids))):
        query = select(Label.lymph_node_id, Label.reader, Label.value)
        for node_id, reader, value in session.execute(query.where(Label.lymph_node_id.in_(part))):
            known[node_id, reader] = value
    return known


def readers(session: Session) -> Sequence[str]:
    """Return the names of all readers in the database, sorted."""
    return session.scalars(select(Label.reader).distinct().order_by(Label.reader)).all()


@dataclass(frozen=True)
class ReaderLabel:
    """Label of one node of a current series by one reader.

    Attributes:
        node_id: `lymph_node.id`.
        study_uid: StudyInstanceUID.
        tracking_uid: Tracking UID of the node.
        reader: Name of the reader.
        value: 1 malignant, 0 benign.
    """

    node_id: int
    study_uid: str
    tracking_uid: str
    reader: str
    value: int


def readings(session: Session) -> list[ReaderLabel]:
    """Return all labels of nodes of current series, sorted by node and reader."""
    columns = (LymphNode.id, Study.study_uid, LymphNode.tracking_uid, Label.reader, Label.value)
    query = (
        select(*columns)
        .join(Label, Label.lymph_node_id == LymphNode.id)
        .join(Series, LymphNode.series_id == Series.id)
        .join(Study, Series.study_id == Study.id)
        .where(CURRENT)
        .order_by(LymphNode.id, Label.reader)
    )
    return [ReaderLabel(*row) for row in session.execute(query)]


def agreed(given: Sequence[ReaderLabel], rule: str) -> dict[int, int]:
    """Combine the labels of all readers to one label per node: the consensus.

    Args:
        given: Labels, as `readings` returns them.
        rule: `unanimous`: the label that all readers of the node gave, none if they differ;
            `majority`: the label that more than half gave, none on a tie; `any_malignant`:
            malignant if at least one reader gave malignant; or the name of one reader.

    Returns:
        Label by `lymph_node.id`: 1 malignant, 0 benign. Nodes without a result are left out.

    Raises:
        DatabaseError: D19 `rule` is neither a rule nor a reader who labelled a node.
    """
    names = sorted({reading.reader for reading in given})
    if rule not in RULES and rule not in names:
        raise DatabaseError(
            "D19",
            f"consensus rule {rule!r}",
            f"one of {', '.join(RULES)}, or a reader ({', '.join(names) or 'there is none'})",
            "Name one of these.",
        )
    values: dict[int, list[int]] = {}
    for reading in given:
        if rule in RULES or reading.reader == rule:
            values.setdefault(reading.node_id, []).append(reading.value)
    decided = {node_id: decide(said, rule) for node_id, said in values.items()}
    return {node_id: value for node_id, value in decided.items() if value is not None}


def decide(values: Sequence[int], rule: str) -> int | None:
    """Combine the labels of one node; None if the rule gives no result.

    Args:
        values: Labels, 1 malignant or 0 benign; at least one.
        rule: The rule (see `agreed`). With a reader's name there is only one label.
    """
    if rule == ANY_MALIGNANT:
        return max(values)
    if rule == MAJORITY:
        twice = 2 * sum(values)
        return None if twice == len(values) else int(twice > len(values))
    return values[0] if len(set(values)) == 1 else None
