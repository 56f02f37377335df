"""Open the study database, with transactions for writing and snapshots for reading.

The caller controls every transaction: the other functions in `db` never commit.
"""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import SQLAlchemyError as SQLAlchemyError
from sqlalchemy.orm import Session as Session

from db import migrate, schema, sqlite_file
from db.errors import DatabaseError
from db.location import Location, locate

BUSY_TIMEOUT_S = 10
CONNECT_TIMEOUT_S = 10

HIDE_VALUES = True
"""Hide the values of a failed statement in logs: a path may hold a patient's name."""


@dataclass(frozen=True)
class Database:
    """An open study database; use it in a `with` block, which closes it.

    Attributes:
        location: Path, or URL without its password, to show in messages.
        path: Path of the SQLite file; None on a server.
        dialect: `sqlite` or `postgresql`.
    """

    location: str
    path: Path | None
    dialect: str
    _engine: sa.Engine = field(repr=False)

    @contextmanager
    def begin(self) -> Iterator[Session]:
        """Open a write transaction; it is committed at the end and rolled back on any error.

        Raises:
            DatabaseError: D04, D07, D08 or D09 the database failed in a known way.
        """
        with rephrased(self.location), Session(self._engine) as session, session.begin():
            session.connection()  # takes the write lock now, not at the first statement
            yield session

    @contextmanager
    def read(self) -> Iterator[Session]:
        """Open a read-only snapshot; it is rolled back at the end.

        Raises:
            DatabaseError: The same codes as in `begin`.
        """
        reader = self._engine.execution_options(**_READ_OPTIONS[self.dialect])
        with rephrased(self.location), Session(reader) as session:
            yield session

    def close(self) -> None:
        """Close the connections; SQLite then writes its log into the database file."""
        self._engine.dispose()

    def __enter__(self) -> "Database":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


_READ_OPTIONS: dict[str, dict[str, Any]] = {
    "sqlite": {"lnscore_reads": True},
    "postgresql": {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True},
}


def no_database(place: Location) -> DatabaseError:
    """Make the error for a place without a database."""
    return DatabaseError(
        "D01",
        f"no study database at {place.shown}",
        "one that `lnscore ingest` made",
        "Correct --db, or ingest first.",
    )


def open_database(location: str, *, create: bool = False) -> Database:
    """Open a study database, bringing an older schema up to date.

    Args:
        location: Path of a SQLite file, `sqlite:///FILE`, or `postgresql://USER@HOST/NAME`.
        create: Make the tables if there are none.

    Returns:
        The database; the caller must close it.

    Raises:
        DatabaseError: D01 to D09. A database that is refused before it is opened is not changed.
    """
    place = locate(location)
    revision = _found_revision(place)
    if revision is None and not create:
        raise no_database(place)
    if revision != schema.HEAD:
        migrate.refuse_unknown(revision, place.shown)
        if place.path is not None:
            sqlite_file.make_private(place.path)
            migrate.back_up(place.path, revision)
        with rephrased(place.shown), connected(place, foreign_keys=False) as connection:
            migrate.upgrade(connection, place.shown)
    elif place.path is not None:
        sqlite_file.make_private(place.path)
    engine = make_engine(place)
    return Database(place.shown, place.path, engine.dialect.name, engine)


def _found_revision(place: Location) -> str | None:
    if place.path is not None:
        sqlite_file.check_place(place.path)
        return sqlite_file.revision_in(place.path)
    with rephrased(place.shown), connected(place) as connection:
        return migrate.server_revision(connection, place.shown)


@contextmanager
def connected(place: Location, *, foreign_keys: bool = True) -> Iterator[sa.Connection]:
    """Open one connection with one transaction; commit it and close all at the end."""
    engine = make_engine(place, foreign_keys=foreign_keys)
    try:
        with engine.begin() as connection:
            yield connection
    finally:
        engine.dispose()


def make_engine(place: Location, *, foreign_keys: bool = True) -> sa.Engine:
    """Make an SQLAlchemy engine with our connection settings; it does not connect yet.

    Raises:
        DatabaseError: D06 the driver for PostgreSQL is not installed.
    """
    if place.path is None:
        return _postgresql(place)
    engine = sa.create_engine(
        place.url, connect_args={"timeout": BUSY_TIMEOUT_S}, hide_parameters=HIDE_VALUES
    )

    @event.listens_for(engine, "connect")
    def _configure(connection: Any, _: object) -> None:  # noqa: ANN401
        connection.isolation_level = None  # pysqlite must begin no transaction; `_begin` does
        for pragma in (
            f"busy_timeout = {BUSY_TIMEOUT_S * 1000}",
            "synchronous = NORMAL",
            f"foreign_keys = {'ON' if foreign_keys else 'OFF'}",
            "trusted_schema = OFF",
        ):
            connection.execute(f"PRAGMA {pragma}")
        _use_wal(connection)

    @event.listens_for(engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        reads = connection.get_execution_options().get("lnscore_reads", False)
        connection.exec_driver_sql(f"PRAGMA query_only = {'ON' if reads else 'OFF'}")
        # A writer takes the write lock at once: turning a read lock into one could deadlock.
        connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")

    return engine


def _use_wal(connection: sqlite3.Connection) -> None:
    """Switch to the write-ahead log; wait if another process opens the same new file.

    SQLite itself does not wait for this lock.
    """
    deadline_s = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline_s:
                raise
            time.sleep(0.01)


def _postgresql(place: Location) -> sa.Engine:
    settings: dict[str, Any] = {"application_name": "lnscore"}
    if "connect_timeout" not in place.url.query:
        settings["connect_timeout"] = CONNECT_TIMEOUT_S
    try:
        return sa.create_engine(
            place.url, connect_args=settings, pool_pre_ping=True, hide_parameters=HIDE_VALUES
        )
    except ModuleNotFoundError as error:
        raise DatabaseError(
            "D06",
            f"{place.shown} needs the package {error.name}, which is not installed",
            "the PostgreSQL driver",
            "Install lnscore[postgres], or use a SQLite file.",
        ) from error


@contextmanager
def rephrased(shown: str) -> Iterator[None]:
    """Turn known failures of the database driver into a `DatabaseError`."""
    try:
        yield
    except DBAPIError as error:
        known = _known(error, shown)
        if known is None:
            raise
        raise known from error


_SQLITE_FAILURES = (
    # part of SQLite's text, code, wanted, what to do
    ("locked", "D09", "no other program writing to it", "Wait for it to end and run again."),
    ("readonly", "D04", "a file that can be written", "Correct the permissions."),
    ("unable to open", "D04", "a file that can be opened", "Correct the permissions."),
    ("disk is full", "D04", "room on the disk", "Make room and run again."),
    ("disk I/O error", "D08", "a disk that works", "Check the disk, then run again."),
    ("malformed", "D08", "a whole SQLite file", "Restore the last backup."),
    ("not a database", "D08", "a whole SQLite file", "Restore the last backup."),
)


def _known(error: DBAPIError, shown: str) -> DatabaseError | None:
    text = str(error.orig).strip().splitlines()[0] if str(error.orig).strip() else "no reason"
    if type(error.orig).__module__.startswith("psycopg"):
        if not error.connection_invalidated and error.statement is not None:
            return None
        return DatabaseError(
            "D07",
            f"{shown} does not answer ({text})",
            "a PostgreSQL server that accepts this user",
            "Start the server, or correct the URL.",
        )
    for part, code, wanted, fix in _SQLITE_FAILURES:
        if part in text:
            return DatabaseError(code, f"{shown}: {text}", wanted, fix)
    return None
