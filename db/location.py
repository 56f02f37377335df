"""Where a study database is: a SQLite file, or a PostgreSQL URL whose password stays unseen."""

from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from db.errors import DatabaseError

POSTGRESQL = ("postgresql", "postgresql+psycopg", "postgres")
HIDDEN = "***"


@dataclass(frozen=True)
class Location:
    """One database's place.

    Attributes:
        path: The SQLite file, absolute; None on a server.
        url: What SQLAlchemy connects to; holds the password.
        shown: What messages and tables may show.
    """

    path: Path | None
    url: URL = field(repr=False)
    shown: str


def locate(location: str) -> Location:
    """Read a path, a `sqlite:///` URL, or a `postgresql://` URL.

    Raises:
        DatabaseError: D06, no such kind of database, or a URL that cannot be read.
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
        # The cause repeats the text, and with it the password: not chained.
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
