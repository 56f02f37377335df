"""Fixtures of the database's tests: every test runs on a SQLite file and on PostgreSQL.

A test module asks for them with `pytest_plugins = ["db_fixtures"]`.
"""

import shutil
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest
import sqlalchemy as sa

import postgres_server
from db.schema import Base
from db.session import Database, open_database

BOTH = ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)]


EMPTY_ALL = """
SET session_replication_role = replica;  -- the audit log's triggers refuse even this
TRUNCATE {} RESTART IDENTITY
"""


@pytest.fixture(scope="session")
def server() -> Iterator[Callable[[str, str], str]]:
    """A PostgreSQL server; makes a database of a name from a template and gives its URL."""
    if postgres_server.programs() is None:
        pytest.skip("no PostgreSQL server in /usr/lib/postgresql")
    with postgres_server.running() as socket:
        url = f"postgresql+psycopg://lnscore@/{{}}?host={socket}"
        admin = sa.create_engine(url.format("postgres"), isolation_level="AUTOCOMMIT")

        def make(name: str, template: str) -> str:
            with admin.connect() as connection:
                connection.exec_driver_sql(f"CREATE DATABASE {name} TEMPLATE {template}")
            return url.format(name)

        yield make
        admin.dispose()


@pytest.fixture(scope="session")
def new_server_database(server) -> Callable[..., str]:
    """Makes an empty PostgreSQL database, or one with all tables; gives its URL."""
    numbers = count()
    open_database(server("migrated", "template0"), create=True).close()
    return lambda template="template0": server(f"test_{next(numbers)}", template)


@pytest.fixture(scope="session")
def shared_server_database(new_server_database) -> str:
    """The one PostgreSQL database that most tests use in turn."""
    return new_server_database("migrated")


@pytest.fixture
def emptied_server_database(shared_server_database) -> Iterator[str]:
    """The shared database without rows: a new one for every test takes longer than the test."""
    yield shared_server_database
    engine = sa.create_engine(shared_server_database)
    with engine.begin() as connection:
        connection.exec_driver_sql(EMPTY_ALL.format(", ".join(Base.metadata.tables)))
    engine.dispose()


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory) -> Path:
    """A SQLite database with all tables and no rows."""
    path = tmp_path_factory.mktemp("migrated") / "lnscore.db"
    open_database(str(path), create=True).close()
    return path


@pytest.fixture(params=BOTH)
def empty_location(request, tmp_path) -> str:
    """Where no study database is yet."""
    if request.param == "sqlite":
        return str(tmp_path / "lnscore.db")
    return request.getfixturevalue("new_server_database")()


@pytest.fixture(params=BOTH)
def location(request, tmp_path) -> str:
    """Where a study database without rows is."""
    if request.param == "sqlite":
        return _copied(request, tmp_path)
    return request.getfixturevalue("emptied_server_database")


@pytest.fixture(params=BOTH)
def own_location(request, tmp_path) -> str:
    """As `location`, for a test that changes tables."""
    if request.param == "sqlite":
        return _copied(request, tmp_path)
    return request.getfixturevalue("new_server_database")("migrated")


def _copied(request, tmp_path) -> str:
    return str(shutil.copy(request.getfixturevalue("migrated_file"), tmp_path / "lnscore.db"))


@pytest.fixture
def database(location) -> Iterator[Database]:
    """A study database without rows."""
    opened = open_database(location)
    yield opened
    opened.close()


@pytest.fixture
def sqlite_database(migrated_file, tmp_path) -> Iterator[Database]:
    """A study database without rows, as a SQLite file."""
    opened = open_database(str(shutil.copy(migrated_file, tmp_path / "lnscore.db")))
    yield opened
    opened.close()
