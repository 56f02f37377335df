"""Lock that lets one process at a time write to a database.

The operating system or the server releases the lock when the process ends.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

from db import sqlite_file
from db.errors import DatabaseError
from db.location import Location, locate
from db.session import make_engine, no_database, rephrased

LOCK_CLASS = 0x6C6E7363
"""First key of PostgreSQL's advisory lock, "lnsc" in ASCII; the second is the schema's name."""

TRY_LOCK = sa.text("SELECT pg_try_advisory_lock(:of, hashtext(current_schema()))")


@contextmanager
def writer_lock(location: str, *, create: bool = True) -> Iterator[None]:
    """Hold the write lock of a database for the time of the block.

    On SQLite the lock is on a file beside the database; on PostgreSQL it is an advisory lock of
    one connection. It is released even if the process is killed.

    Args:
        location: Location of the database, in the form that `open_database` takes.
        create: Whether the caller makes the database if there is none.

    Raises:
        DatabaseError: D10 another run holds the lock (there is no waiting); D01 to D08 (see
            `open_database`). Nothing was written.
    """
    place = locate(location)
    if place.path is None:
        with _server_lock(place):
            yield
    else:
        sqlite_file.check_place(place.path)
        # Neither another program's database nor an empty place gets a lock file.
        if sqlite_file.revision_in(place.path) is None and not create:
            raise no_database(place)
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
        engine.dispose()  # closes the connection, which releases the lock


def _held(shown: str) -> DatabaseError:
    return DatabaseError(
        "D10",
        f"another run is writing to {shown}",
        "one run at a time",
        "Wait for it to end; nothing was changed.",
    )
