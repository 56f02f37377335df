"""Readers' labels of lymph nodes: one a reader and node; and what several readers agree on."""

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
"""How several readers become one label; a reader's name in place of a rule means that reader."""


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
    known = said_before(session, [label.node_id for label in labels])
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


def said_before(session: Session, node_ids: Sequence[int]) -> dict[tuple[int, str], int]:
    """(node, reader) to value, of the labels that these nodes have."""
    known = {}
    for part in batches(sorted(set(node_ids))):
        query = select(Label.lymph_node_id, Label.reader, Label.value)
        for node_id, reader, value in session.execute(query.where(Label.lymph_node_id.in_(part))):
            known[node_id, reader] = value
    return known


def readers(session: Session) -> Sequence[str]:
    """Every reader that the database knows, by name."""
    return session.scalars(select(Label.reader).distinct().order_by(Label.reader)).all()


@dataclass(frozen=True)
class ReaderLabel:
    """One reader's label of one node of a current series.

    Attributes:
        node_id: `lymph_node.id`.
        study_uid: StudyInstanceUID.
        tracking_uid: The node's.
        reader: Who.
        value: 1 malignant, 0 benign.
    """

    node_id: int
    study_uid: str
    tracking_uid: str
    reader: str
    value: int


def readings(session: Session) -> list[ReaderLabel]:
    """Every label of a current series' node, by node and reader."""
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


def consensus(session: Session, rule: str = UNANIMOUS) -> dict[int, int]:
    """One label a node, by a rule that is named.

    Args:
        session: The caller's transaction.
        rule: `unanimous`: what all who read the node say, none where they differ; `majority`:
            what more than half say, none on a tie; `any_malignant`: malignant where one reader
            says so; or the name of one reader.

    Returns:
        `lymph_node.id` of a current series to 1 malignant or 0 benign; a node on which the
        rule gives nothing is not in it.

    Raises:
        DatabaseError: D19, neither a rule nor a reader that labelled a node.
    """
    return agreed(readings(session), rule)


def agreed(given: Sequence[ReaderLabel], rule: str) -> dict[int, int]:
    """As `consensus`, of labels that were read already."""
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
    """What the labels of one node come to; None where the rule gives nothing.

    Args:
        values: At least one, 1 malignant or 0 benign.
        rule: As for `consensus`; of one reader's labels there is one.
    """
    if rule == ANY_MALIGNANT:
        return max(values)
    if rule == MAJORITY:
        twice = 2 * sum(values)
        return None if twice == len(values) else int(twice > len(values))
    return values[0] if len(set(values)) == 1 else None
