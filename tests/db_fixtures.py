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
from db.session import Database, open_database

BOTH = ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)]


@pytest.fixture(scope="session")
def new_server_database() -> Iterator[Callable[..., str]]:
    """Makes an empty PostgreSQL database, or one with all tables; gives its URL."""
    if postgres_server.programs() is None:
        pytest.skip("no PostgreSQL server in /usr/lib/postgresql")
    with postgres_server.running() as socket:
        url = f"postgresql://lnscore@/{{}}?host={socket}"
        admin = sa.create_engine(
            url.format("postgres").replace("://", "+psycopg://"), isolation_level="AUTOCOMMIT"
        )
        numbers = count()

        def make(template: str = "template0") -> str:
            name = f"test_{next(numbers)}"
            with admin.connect() as connection:
                connection.exec_driver_sql(f"CREATE DATABASE {name} TEMPLATE {template}")
            return url.format(name)

        with admin.connect() as connection:
            connection.exec_driver_sql("CREATE DATABASE migrated TEMPLATE template0")
        open_database(url.format("migrated"), create=True).close()
        yield make
        admin.dispose()


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
        source = request.getfixturevalue("migrated_file")
        return str(shutil.copy(source, tmp_path / "lnscore.db"))
    return request.getfixturevalue("new_server_database")("migrated")


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
