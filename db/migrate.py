"""Upgrade the schema of a database in one transaction; a SQLite file is backed up first."""

import os
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa

from db import schema
from db.errors import DatabaseError
from db.sqlite_file import OURS

if TYPE_CHECKING:
    from alembic.config import Config

SCRIPTS = Path(__file__).parent / "migrations"

UPGRADE_LOCK = 0x6C6E736375700000
"""Key of PostgreSQL's advisory lock for an upgrade, "lnscup" in ASCII.

It differs from the writer's lock, because a writer may hold its own lock during the upgrade.
"""


def _config() -> "Config":
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))
    return config


def refuse_unknown(revision: str | None, shown: str) -> None:
    """Raise an error if this version of lnscore does not know the schema revision.

    Raises:
        DatabaseError: D03 the schema is newer.
    """
    from alembic.script import ScriptDirectory

    scripts = ScriptDirectory.from_config(_config())
    if revision is None or revision in {script.revision for script in scripts.walk_revisions()}:
        return
    raise DatabaseError(
        "D03",
        f"{shown} has schema {revision}",
        f"{schema.HEAD} or older, which is what this version of lnscore knows",
        "Update lnscore, or use the version that wrote the database.",
    )


def server_revision(connection: sa.Connection, shown: str) -> str | None:
    """Read the schema revision of a PostgreSQL database; None if it has no tables.

    Raises:
        DatabaseError: D02 the tables belong to another program.
    """
    names = set(sa.inspect(connection).get_table_names())
    if not names:
        return None
    if not names >= OURS:
        raise DatabaseError(
            "D02",
            f"{shown} holds the tables of another program",
            "an empty database, or one that lnscore made",
            "Create a database for lnscore and name it in the URL.",
        )
    return connection.scalar(sa.text("SELECT version_num FROM alembic_version"))


def back_up(path: Path, revision: str | None) -> Path | None:
    """Copy a SQLite database to a file beside it, before its schema is changed.

    Returns:
        Path of the copy, which only its owner can read; None if the database is new.

    Raises:
        DatabaseError: D04 the copy could not be written.
    """
    if revision is None:
        return None
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%f")
    copy = path.with_name(f"{path.name}.schema-{revision}-{stamp}.backup")
    # The file is made first with its mode: VACUUM INTO accepts an empty file and keeps the mode.
    os.close(os.open(copy, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    try:
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("VACUUM INTO ?", (str(copy),))
    except sqlite3.Error as error:
        copy.unlink()
        raise DatabaseError(
            "D04",
            f"no backup of {path} could be written ({error})",
            "a copy beside it before its schema changes",
            "Make room on the disk and run again; nothing was changed.",
        ) from error
    return copy


def upgrade(connection: sa.Connection, shown: str) -> None:
    """Run the missing migrations inside the caller's transaction.

    Raises:
        DatabaseError: D03 another process has upgraded to a newer schema meanwhile; D08 a row
            violates a foreign key.
    """
    from alembic import command

    if connection.dialect.name == "postgresql":
        connection.execute(sa.text("SELECT pg_advisory_xact_lock(:key)"), {"key": UPGRADE_LOCK})
    names = sa.inspect(connection).get_table_names()
    if "alembic_version" in names:  # read again, because now no other process can upgrade
        revision = connection.scalar(sa.text("SELECT version_num FROM alembic_version"))
        refuse_unknown(revision, shown)
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
    if connection.dialect.name == "sqlite":
        orphan = connection.exec_driver_sql("PRAGMA foreign_key_check").first()
        if orphan is not None:
            raise DatabaseError(
                "D08",
                f"a row of {orphan[0]} in {shown} points to a {orphan[2]} that is not there",
                "rows that belong together",
                "Restore the last backup.",
            )
