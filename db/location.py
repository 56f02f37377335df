"""Location of a study database: a SQLite file, or a PostgreSQL URL with a hidden password."""

from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from db.errors import DatabaseError

POSTGRESQL = ("postgresql", "postgresql+psycopg", "postgres")
HIDDEN = "***"


@dataclass(frozen=True)
class Location:
    """Location of one database.

    Attributes:
        path: Absolute path of the SQLite file; None on a server.
        url: URL for SQLAlchemy, with the password.
        shown: Text that messages and tables may show, without the password.
    """

    path: Path | None
    url: URL = field(repr=False)
    shown: str


def locate(location: str) -> Location:
    """Parse a path, a `sqlite:///` URL or a `postgresql://` URL.

    Raises:
        DatabaseError: D06 the kind of database is not supported, or the URL cannot be parsed.
    """
    if "://" not in location:
        return _sqlite(location)
    scheme, _, rest = location.partition("://")
    if scheme == "sqlite" and rest.startswith("/"):
        return _sqlite(rest[1:])
    if scheme in POSTGRESQL:
        return _server(location)
    raise DatabaseError(
        "D06",
        f"a database URL that begins with {scheme}://",
        "a file name, sqlite:///FILE or postgresql://USER@HOST/NAME",
        "Correct --db or LNSCORE_DB.",
    )


def _sqlite(name: str) -> Location:
    if not name:
        raise DatabaseError("D06", "no file name", "the SQLite file", "Name it with --db.")
    path = Path(name).absolute()
    return Location(path, URL.create("sqlite+pysqlite", database=str(path)), str(path))


def _server(location: str) -> Location:
    try:
        url = make_url(location)
    except (ArgumentError, ValueError):
        # Not chained, because the text of the cause holds the password.
        raise DatabaseError(
            "D06",
            "a PostgreSQL URL that cannot be read",
            "postgresql://USER:PASSWORD@HOST:PORT/NAME, special characters percent-encoded",
            "Correct --db or LNSCORE_DB.",
        ) from None
    secrets = {key: HIDDEN for key in url.query if "password" in key}
    shown = url.set(drivername="postgresql").update_query_dict(secrets)
    url = url.set(drivername="postgresql+psycopg")
    return Location(None, url, shown.render_as_string(hide_password=True))
