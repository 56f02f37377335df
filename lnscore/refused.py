"""A refusal as a row of quarantine, and as a line for a person."""

from db.records import RefusedRecord
from lnscore.errors import Refusal


def record_of(
    refusal: Refusal,
    sha256: str,
    scope: str,
    path: str,
    *,
    study_uid: str | None = None,
    series_uid: str | None = None,
    detail: str | None = None,
) -> RefusedRecord:
    """The row of a refusal.

    Args:
        refusal: What was refused, and why.
        sha256: Of the file, or of the series' content.
        scope: `file`, `archive`, `series`, `mask` or `study`.
        path: Where it was found, as the user knows it.
        study_uid: Where it is known.
        series_uid: Where it is known.
        detail: A traceback, where the cause was not foreseen.
    """
    return RefusedRecord(
        sha256=sha256,
        scope=scope,
        code=refusal.code,
        found=refusal.found,
        wanted=refusal.wanted,
        fix=refusal.fix,
        path=path,
        study_uid=study_uid,
        series_uid=series_uid,
        detail=detail,
    )


def sentence(one: RefusedRecord) -> str:
    """A refusal with the place where it was found."""
    return f"{one.path}: {one.code}: {one.found}; wanted {one.wanted}. {one.fix}"
