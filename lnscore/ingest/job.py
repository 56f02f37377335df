"""`lnscore ingest`: start the workers, take the lock, open the database, ingest."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lnscore.dicom.sources import find
from lnscore.ingest.options import IngestOptions
from lnscore.settings import Settings
from lnscore.workers import Limits, Workers, no_collection

if TYPE_CHECKING:
    from lnscore.ingest.summary import IngestSummary


def run(paths: Sequence[Path], settings: Settings, options: IngestOptions) -> "IngestSummary":
    """Ingest under the lock of the database.

    Raises:
        Refusal: F10, a path does not exist; or the masks have no series, or the secret is
            missing.
        DatabaseError: The database cannot be used, or another run holds its lock.
    """
    options.check_files()
    found = find(paths)
    with Workers(limits(settings)) as workers:
        with no_collection():
            from db.lock import writer_lock
            from db.session import open_database
            from lnscore.ingest.driver import ingest

        with writer_lock(settings.db), open_database(settings.db, create=True) as database:
            return ingest(database, found, settings, options, workers)


def limits(settings: Settings) -> Limits:
    """Return the number of workers, and the memory and time that each may use."""
    return Limits(settings.jobs, settings.worker_memory_mb, settings.timeout_s)
