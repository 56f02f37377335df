"""Check a SQLite file before it is opened; a file that is refused here is not changed."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from db.errors import DatabaseError
from db.filesystems import network_type

OURS = frozenset({"alembic_version", "audit_log", "lymph_node", "score"})
"""Tables by which a study database is recognised; other programs hardly have them all."""

OLDEST = (3, 37, 0)
"""Oldest usable SQLite version: the first with STRICT tables (RETURNING is older)."""

SMALLEST_PAGE = 512
"""Size in bytes of the smallest SQLite file that is not empty."""


def check_place(path: Path) -> None:
    """Raise an error if a database cannot work at this path.

    Raises:
        DatabaseError: D01 the folder does not exist; D04 folder or file is read-only; D05 the
            path is on a network file system; D06 the SQLite of this Python is too old.
    """
    if sqlite3.sqlite_version_info < OLDEST:
        raise DatabaseError(
            "D06",
            f"SQLite {sqlite3.sqlite_version} in this Python",
            "3.37 or newer",
            "Use a newer Python, or give a PostgreSQL URL.",
        )
    if not path.parent.is_dir():
        raise DatabaseError(
            "D01", f"no folder {path.parent}", "one that exists", "Make it, or correct --db."
        )
    kind = network_type(path)
    if kind is not None:
        raise DatabaseError(
            "D05",
            f"{path} is on a network file system ({kind})",
            "a local disk, because SQLite's locks and shared memory fail on networks",
            "Keep the file on this machine, or give a PostgreSQL URL.",
        )
    for place in (path.parent, path):
        if place.exists() and not _writable(place):
            raise DatabaseError(
                "D04",
                f"{place} is read-only for this user",
                "a file and a folder that can be written (SQLite keeps its log beside the file)",
                "Correct the permissions, or use a copy.",
            )


def revision_in(path: Path) -> str | None:
    """Read the schema revision of a file that may be a study database.

    Returns:
        The revision; None if there is no file or it is empty.

    Raises:
        DatabaseError: D02 the file is not SQLite or belongs to another program; D08 it is damaged.
    """
    if not path.exists():
        return None
    if not path.is_file():
        raise DatabaseError("D02", f"{path} is not a file", "a SQLite file", "Correct --db.")
    if 0 < path.stat().st_size < SMALLEST_PAGE:  # SQLite would treat it as an empty database
        raise _not_sqlite(path)
    try:
        with closing(sqlite3.connect(_uri(path), uri=True)) as connection:
            return _revision(connection, path)
    except sqlite3.DatabaseError as error:
        raise _unreadable(path, error) from error


def _uri(path: Path) -> str:
    # With `immutable` SQLite leaves no -shm file, but it does not read the write-ahead log. If a
    # killed run left a log, the log must be read.
    wal = path.with_name(path.name + "-wal")
    unfinished = wal.exists() and wal.stat().st_size > 0
    return path.as_uri() + ("?mode=ro" if unfinished else "?mode=ro&immutable=1")


def _revision(connection: sqlite3.Connection, path: Path) -> str | None:
    names = {row[0] for row in connection.execute("SELECT name FROM sqlite_schema")}
    if not names:
        return None
    if not names >= OURS:
        raise DatabaseError(
            "D02",
            f"{path} is the SQLite database of another program",
            "one that lnscore made",
            "Correct --db.",
        )
    row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    return row[0] if row else None


def _unreadable(path: Path, error: sqlite3.DatabaseError) -> DatabaseError:
    if error.sqlite_errorcode == sqlite3.SQLITE_NOTADB:
        return _not_sqlite(path)
    return DatabaseError(
        "D08",
        f"{path} cannot be read ({error})",
        "a whole SQLite file",
        "Restore the last backup; keep the damaged file.",
    )


def _not_sqlite(path: Path) -> DatabaseError:
    return DatabaseError(
        "D02", f"{path} is not a SQLite database", "one that lnscore made", "Correct --db."
    )


def _writable(place: Path) -> bool:
    effective = os.access in os.supports_effective_ids
    return os.access(place, os.W_OK, effective_ids=effective)


def make_private(path: Path) -> None:
    """Make sure that the file exists and that only its owner can read and write it.

    SQLite gives the same mode to its log and its shared memory.
    """
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except FileExistsError:
        status = path.stat()
        if status.st_mode & 0o077 and os.name == "posix" and status.st_uid == os.geteuid():
            path.chmod(0o600)
