"""`lnscore pathology import`: import a whole file in one transaction, or nothing of it."""

import secrets
from pathlib import Path

from db import audit, pathology, runs, studies
from db.errors import DatabaseError
from db.lock import writer_lock
from db.session import Session, open_database
from lnscore import console
from lnscore.command_options import recorded_words
from lnscore.errors import Refusal
from lnscore.pathology.collecting import CollectedReports, collect
from lnscore.pathology.comparing import ComparedReports, compare
from lnscore.pathology.imported import PathologySummary
from lnscore.pathology.options import ImportRequest
from lnscore.pathology.patients import Identities, identities
from lnscore.pathology.reading import told
from lnscore.pseudonym import Pseudonyms, open_pseudonyms
from lnscore.settings import Settings, actor
from lnscore.stations import storing
from lnscore.version import version

NO_DATABASE = "D01"


def run(path: Path, settings: Settings, wanted: ImportRequest) -> PathologySummary:
    """Import a file; if reading it finds an error, nothing is imported and all are reported.

    Raises:
        Refusal: The secret is missing.
        DatabaseError: The database cannot be used, or another run holds its lock.
    """
    collected = read(path, wanted)
    who = identities_or_told(wanted, collected)
    if who is None or not collected.is_sound:
        return summary_of(collected, compared(settings, collected, who, wanted))
    with (
        writer_lock(settings.db, create=wanted.allow_pending),
        open_database(settings.db, create=wanted.allow_pending) as database,
    ):
        with database.read() as session:
            pseudonyms = _secret(session, settings, create=wanted.allow_pending)
            found = compare(
                session, collected, who, pseudonyms,
                allow_pending=wanted.allow_pending, max_days=wanted.max_days,
            )  # fmt: skip
        summary = summary_of(collected, found)
        collected.reports.clear()  # the records hold the same
        if not summary.exit_code:
            with database.begin() as session:
                _write(session, found, summary, wanted)
    return summary


def read(path: Path, wanted: ImportRequest, *, keep: bool = False) -> CollectedReports:
    """Read and check the file, and show a progress bar."""
    with console.progress("reading pathology", "findings") as advance:
        return collect(path, wanted.options, wanted.order, advance, keep=keep)


def compared(
    settings: Settings, collected: CollectedReports, who: Identities | None, wanted: ImportRequest
) -> ComparedReports | None:
    """Compare the reports with the database, without a write; None if there is no database yet."""
    if who is None:
        return None
    try:
        database = open_database(settings.db)
    except DatabaseError as error:
        if error.code == NO_DATABASE:
            return None
        raise
    with database, database.read() as session:
        pseudonyms = _secret(session, settings, create=False)
        return compare(
            session, collected, who, pseudonyms,
            allow_pending=wanted.allow_pending, max_days=wanted.max_days,
        )  # fmt: skip


def _secret(session: Session, settings: Settings, *, create: bool) -> Pseudonyms:
    """Open the pseudonyms; create a new secret only if the database holds no patient yet."""
    known = studies.any_patient(session)
    if not known and not create:
        # An empty database holds no patient to find, so the secret does not matter.
        return Pseudonyms(secrets.token_bytes(32))
    return open_pseudonyms(settings.secret_path, create=not known)


def summary_of(collected: CollectedReports, found: ComparedReports | None) -> PathologySummary:
    """Return the summary as it is before anything is written."""
    messages = [*collected.messages, *(found.messages if found else ())]
    messages.sort(key=lambda one: one.row or 0)
    return PathologySummary(
        format=collected.format,
        notes=collected.notes,
        sha256=collected.sha256,
        rows=collected.rows,
        patients=found.patients if found else 0,
        pending=found.pending if found else 0,
        messages=messages,
    )


def identities_or_told(wanted: ImportRequest, collected: CollectedReports) -> Identities | None:
    """Return how ids become patient keys; None, with an error message, if the key file fails."""
    try:
        return identities(wanted.issuer, wanted.key_file)
    except Refusal as refusal:
        collected.messages.append(told(refusal))
        return None


def _write(
    session: Session, found: ComparedReports, summary: PathologySummary, wanted: ImportRequest
) -> None:
    """Store the run, the vocabulary, the reports and the audit record in one transaction."""
    run_id = runs.start(session, "pathology import", _argv(summary, wanted), version())
    total = sum(len(record.findings) for record in found.records)
    with console.progress("storing pathology", "findings") as advance:
        added = pathology.add_reports(
            session, found.records, advance=lambda done: advance(done, total)
        )
    systems = {
        key.system for record in found.records for one in record.findings for key in one.stations
    }
    storing.store_vocabularies(session, systems)
    summary.new, summary.changed, summary.same = added.new, added.changed, added.same
    summary.outdated, summary.findings, summary.written = added.outdated, added.findings, True
    details = {"new": added.new, "changed": added.changed, "findings": added.findings}
    audit.record(session, actor(), "pathology import", summary.sha256, details)
    runs.finish(session, run_id, summary.exit_code, summary.counts())


def _argv(summary: PathologySummary, wanted: ImportRequest) -> list[str]:
    """Return the command line for the run's row, without file names: they may name a patient."""
    words = ["pathology", "import", f"sha256:{summary.sha256}", "--format", summary.format]
    for record in (wanted.options, wanted):
        words += recorded_words(record)
    return words
