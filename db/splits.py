"""Store and read splits: which patients train, validate and test in each fold.

A split is stored in the database, so that a patient is never in two parts of a fold.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from db.batches import batches
from db.errors import DatabaseError
from db.schema import Split, SplitMember


def store(session: Session, name: str, seed: int, folds: Sequence[Mapping[int, str]]) -> int:
    """Store a split, unless it is stored already.

    Args:
        session: The caller's transaction.
        name: Name of the split, made from reader, seed and cohort.
        seed: Random seed of the division.
        folds: For each fold the part of each patient id: `train`, `validation`, `test` or
            `unlabelled`.

    Returns:
        The id of the split.

    Raises:
        DatabaseError: D20 a stored split of this name divides the patients differently.
    """
    known = session.scalar(select(Split).where(Split.name == name))
    if known is not None:
        if members(session, known.id) != [dict(fold) for fold in folds]:
            raise DatabaseError(
                "D20",
                f"a split '{name}' that divides the patients otherwise",
                "one division for one name",
                "Use another --split-seed, or the database that the split was made in.",
            )
        return known.id
    split = Split(name=name, seed=seed, created_at=datetime.now(UTC))
    session.add(split)
    session.flush()
    rows = [
        {"split_id": split.id, "fold": number, "patient_id": patient, "part": part}
        for number, fold in enumerate(folds)
        for patient, part in sorted(fold.items())
    ]
    for part in batches(rows):
        session.execute(insert(SplitMember), part)
    return split.id


def find(session: Session, name: str) -> int | None:
    """Return the id of the split with this name, or None."""
    return session.scalar(select(Split.id).where(Split.name == name))


def members(session: Session, split_id: int) -> list[dict[int, str]]:
    """Return for each fold the part of every patient, by patient id."""
    query = (
        select(SplitMember.fold, SplitMember.patient_id, SplitMember.part)
        .where(SplitMember.split_id == split_id)
        .order_by(SplitMember.fold, SplitMember.patient_id)
    )
    folds: dict[int, dict[int, str]] = {}
    for fold, patient, part in session.execute(query):
        folds.setdefault(fold, {})[patient] = part
    return [folds[number] for number in sorted(folds)]
