"""One writer at a time per database: a lock that the kernel drops when its holder dies."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

from db import sqlite_file
from db.errors import DatabaseError
from db.location import Location, locate
from db.session import make_engine, rephrased

LOCK_CLASS = 0x6C6E7363
"""First key of PostgreSQL's advisory lock: "lnsc"; the second is the schema's name."""

TRY_LOCK = sa.text("SELECT pg_try_advisory_lock(:of, hashtext(current_schema()))")


@contextmanager
def writer_lock(location: str) -> Iterator[None]:
    """Hold the database against every other run; a killed holder leaves nothing behind.

    On SQLite the lock is on a file beside the database, on PostgreSQL it is an advisory
    lock of one connection.

    Args:
        location: As `open_database` takes it.

    Raises:
        DatabaseError: D10, at once, when another run holds it; D01 to D08 as
            `open_database`, before anything is written.
    """
    place = locate(location)
    if place.path is None:
        with _server_lock(place):
            yield
    else:
        sqlite_file.check_place(place.path)
        sqlite_file.revision_in(place.path)  # no lock file beside another program's database
        with _file_lock(place.path):
            yield


@contextmanager
def _file_lock(path: Path) -> Iterator[None]:
    from filelock import FileLock, Timeout

    lock = FileLock(path.with_name(path.name + ".lock"), mode=0o600)
    try:
        lock.acquire(blocking=False)
    except Timeout as error:
        raise _held(str(path)) from error
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _server_lock(place: Location) -> Iterator[None]:
    engine = make_engine(place).execution_options(isolation_level="AUTOCOMMIT")
    try:
        with rephrased(place.shown):
            connection = engine.connect()
        with connection:
            with rephrased(place.shown):
                held = connection.scalar(TRY_LOCK, {"of": LOCK_CLASS})
            if not held:
                raise _held(place.shown)
            yield
    finally:
        engine.dispose()  # closes the connection, and with it goes the lock


def _held(shown: str) -> DatabaseError:
    return DatabaseError(
        "D10",
        f"another run is writing to {shown}",
        "one run at a time",
        "Wait for it to end; nothing was changed.",
    )
