"""Convert a refusal to a row of the database table of refusals, and to a line of text."""

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
    """Make the database row of a refusal.

    Args:
        refusal: The refusal with its code and reason.
        sha256: SHA-256 of the file, or of the content of the series.
        scope: `file`, `archive`, `series`, `mask` or `study`.
        path: Path as the user knows it.
        study_uid: StudyInstanceUID, None if unknown.
        series_uid: SeriesInstanceUID, None if unknown.
        detail: Traceback of an unexpected error, else None.
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
    """Return the refusal as one line of text, with the path of the refused input."""
    return f"{one.path}: {one.code}: {one.found}; wanted {one.wanted}. {one.fix}"
