"""Bring a database's schema up to date, in one transaction, after a backup."""

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
"""PostgreSQL's advisory lock of an upgrade: "lnscup"; another than the writer's, who holds
that one while it upgrades."""


def _config() -> "Config":
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))
    return config


def refuse_unknown(revision: str | None, shown: str) -> None:
    """Refuse a schema that this version of lnscore has never heard of.

    Raises:
        DatabaseError: D03, it is newer.
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
    """Schema revision of a PostgreSQL database; None where it has no tables.

    Raises:
        DatabaseError: D02, the tables are another program's.
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
    """Copy an older database beside itself before its schema changes.

    Returns:
        The copy, readable by its owner only; None where there was nothing to copy.

    Raises:
        DatabaseError: D04, the copy could not be written.
    """
    if revision is None:
        return None
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%f")
    copy = path.with_name(f"{path.name}.schema-{revision}-{stamp}.backup")
    # VACUUM INTO accepts an empty file and leaves its mode alone.
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
        DatabaseError: D03, another process has meanwhile made the schema newer; D08, rows
            would break a foreign key.
    """
    from alembic import command

    if connection.dialect.name == "postgresql":
        connection.execute(sa.text("SELECT pg_advisory_xact_lock(:key)"), {"key": UPGRADE_LOCK})
    names = sa.inspect(connection).get_table_names()
    if "alembic_version" in names:  # read again: now nobody else upgrades
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
