"""Find the nodes that an engine still has to score, and store scores once per engine."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime

from sqlalchemy import ColumnElement, Select, exists, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import QueryableAttribute, Session, aliased

from db.batches import batches
from db.schema import Base, LymphNode, PatchFile, Score, Series, Study

SCORABLE = ("ready", "scored")


@dataclass(frozen=True, kw_only=True)
class NodeToScore:
    """One node and its patch: file, index in the file and hash."""

    node_id: int
    series_id: int
    study_id: int
    study_uid: str
    patch_file_sha256: str
    patch_index: int
    patch_sha256: str
    spec_hash: str
    """Hash of the patch specification that the patch was cut by."""


@dataclass(frozen=True, kw_only=True)
class ScoreRecord:
    """Scores of one node by an engine; probabilities are 0-1, calls are 0 or 1."""

    node_id: int
    probability: float
    local_probability: float | None
    global_probability: float | None
    calibrated_probability: float | None
    calls: dict[str, int]
    patch_sha256: str


def to_score(
    session: Session,
    engine_id: int | None,
    study_uids: Sequence[str] | None = None,
    *,
    again: bool = False,
) -> list[NodeToScore]:
    """Return the nodes to score, by study, series and index in the patch file.

    Only nodes of current, usable revisions are returned.

    Args:
        session: The caller's transaction.
        engine_id: Leave out nodes that this engine has scored; None for a new engine.
        study_uids: Restrict to these studies; None for all.
        again: Return nodes that this engine has scored, too.
    """
    query = (
        select(
            LymphNode.id,
            Series.id,
            Study.id,
            Study.study_uid,
            PatchFile.sha256,
            LymphNode.patch_index,
            LymphNode.patch_sha256,
            PatchFile.spec_hash,
        )
        .join(Series, LymphNode.series_id == Series.id)
        .join(Study, Series.study_id == Study.id)
        .join(PatchFile, Series.patch_file_id == PatchFile.id)
        .where(Series.status.in_(SCORABLE))
        .order_by(Study.id, Series.id, LymphNode.patch_index)
    )
    if engine_id is not None and not again:
        query = query.where(~exists().where(_is_score_of(engine_id, LymphNode.id)))
    if study_uids is None:
        return _rows(session, query)
    some = batches(sorted(set(study_uids)))
    found = [row for uids in some for row in _rows(session, query.where(Study.study_uid.in_(uids)))]
    return sorted(found, key=lambda row: (row.study_id, row.series_id, row.patch_index))


def add(session: Session, run_id: int, engine_id: int, records: Sequence[ScoreRecord]) -> int:
    """Store scores; an existing score of the same node and engine is not changed.

    A series gets the status `scored` when this engine has scored all of its nodes.

    Returns:
        The number of new rows.
    """
    if not records:
        return 0
    dialect = postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
    now = datetime.now(UTC)
    shared = {"run_id": run_id, "engine_id": engine_id, "created_at": now}
    rows = [_row(record) | shared for record in records]
    node_ids = [record.node_id for record in records]
    # Counted before the insert, in the same transaction: returning the new ids would be slower.
    known = stored(session, engine_id, node_ids)
    insert = dialect.insert(Base.metadata.tables["score"]).on_conflict_do_nothing()
    session.connection().execute(insert, rows)
    _mark_scored(session, engine_id, node_ids)
    return len(set(node_ids) - set(known))


def stored(session: Session, engine_id: int, node_ids: Sequence[int]) -> dict[int, float]:
    """Return the stored raw probabilities of this engine for these nodes, by node id."""
    query = select(Score.lymph_node_id, Score.probability).where(Score.engine_id == engine_id)
    return {
        node_id: probability
        for ids in batches(node_ids)
        for node_id, probability in session.execute(query.where(Score.lymph_node_id.in_(ids)))
    }


def _rows(session: Session, query: Select) -> list[NodeToScore]:
    names = [field.name for field in fields(NodeToScore)]  # the query's columns, in order
    return [NodeToScore(**dict(zip(names, row, strict=True))) for row in session.execute(query)]


def _row(record: ScoreRecord) -> dict[str, object]:
    row = dict(vars(record))
    row["lymph_node_id"] = row.pop("node_id")
    return row


def _is_score_of(engine_id: int, node_id: QueryableAttribute[int]) -> ColumnElement[bool]:
    return (Score.lymph_node_id == node_id) & (Score.engine_id == engine_id)


def _mark_scored(session: Session, engine_id: int, node_ids: Sequence[int]) -> None:
    node = aliased(LymphNode)
    lacking = (
        exists()
        .where(node.series_id == Series.id)
        .where(~exists().where(_is_score_of(engine_id, node.id)))
    )
    for ids in batches(node_ids):
        touched = select(LymphNode.series_id).where(LymphNode.id.in_(ids))
        session.execute(
            update(Series)
            .where(Series.status == "ready", Series.id.in_(touched), ~lacking)
            .values(status="scored")
        )
