import shutil
import sqlite3
import stat
from contextlib import closing

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from db import migrate, schema
from db.counts import schema_revision
from db.errors import DatabaseError
from db.location import locate
from db.session import connected, open_database
from db_rows import snapshot

pytest_plugins = ["db_fixtures"]

HEAD = schema.HEAD
NEXT = f"{int(HEAD) + 1:04d}"

LATER = f"""
import sqlalchemy as sa
from alembic import op

revision = "{NEXT}"
down_revision = "{HEAD}"


def upgrade():
    with op.batch_alter_table("study") as batch:
        batch.add_column(sa.Column("note", sa.Text()))
        batch.create_check_constraint("note_short", "length(note) < 100")
"""


@pytest.fixture
def next_version(tmp_path_factory, monkeypatch):
    """A version of lnscore with one more migration."""
    scripts = tmp_path_factory.mktemp("next") / "migrations"
    shutil.copytree(migrate.SCRIPTS, scripts)
    (scripts / "versions" / f"{NEXT}_note.py").write_text(LATER)
    monkeypatch.setattr(migrate, "SCRIPTS", scripts)
    monkeypatch.setattr(schema, "HEAD", NEXT)


def test_models_are_at_the_newest_migration():
    assert ScriptDirectory(str(migrate.SCRIPTS)).get_current_head() == schema.HEAD


def test_migrated_schema_is_what_the_models_say(location):
    with connected(locate(location)) as connection:
        context = MigrationContext.configure(connection, opts={"compare_server_default": True})
        assert compare_metadata(context, schema.Base.metadata) == []


def test_migrated_sqlite_has_the_models_checks_and_strictness(sqlite_database, tmp_path):
    made = tmp_path / "made.db"
    with connected(locate(str(made))) as connection:
        schema.Base.metadata.create_all(connection)
    assert sqlite_definitions(sqlite_database.path) == sqlite_definitions(made)


def sqlite_definitions(path):
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute(
            "SELECT name, sql FROM sqlite_schema WHERE type IN ('table', 'index')"
            " AND sql IS NOT NULL AND name != 'alembic_version'"
        ).fetchall()
    # The order of constraints within a table has no meaning, nor have quotes around a name.
    return {
        name: sorted(line.strip(" ,\t") for line in sql.replace('"', "").splitlines())
        for name, sql in rows
    }


@pytest.mark.postgres
def test_migrated_postgresql_has_the_models_checks(new_server_database):
    migrated, made = new_server_database("migrated"), new_server_database()
    with connected(locate(made)) as connection:
        schema.Base.metadata.create_all(connection)
    assert server_definitions(migrated) == server_definitions(made)


def server_definitions(location):
    with connected(locate(location)) as connection:
        constraints = connection.execute(
            sa.text(
                "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint "
                "WHERE connamespace = 'public'::regnamespace AND conname NOT LIKE 'alembic%'"
            )
        )
        indexes = connection.execute(
            sa.text(
                "SELECT indexname, indexdef FROM pg_indexes "
                "WHERE schemaname = 'public' AND tablename != 'alembic_version'"
            )
        )
        return {name: what for rows in (constraints, indexes) for name, what in rows}


def test_no_name_is_too_long_for_postgresql():
    names = [
        item.name
        for table in schema.Base.metadata.tables.values()
        for item in [*table.constraints, *table.indexes]
    ]
    assert [name for name in names if len(str(name)) > 63] == []


def test_new_database_is_at_head(database):
    assert schema_revision(database) == schema.HEAD


@pytest.mark.usefixtures("next_version")
def test_older_database_is_upgraded_on_opening(own_location):
    with_row(own_location)
    with open_database(own_location) as database, database.read() as session:
        row = session.execute(sa.text("SELECT study_uid, note FROM study")).one()
    assert tuple(row) == ("1.2.3", None)


def with_row(location):
    with connected(locate(location)) as connection:
        connection.execute(
            sa.text("INSERT INTO patient (id, pseudo_key, sex) VALUES (1, 'key', '')")
        )
        connection.execute(
            sa.text(
                "INSERT INTO study (id, patient_id, study_uid, created_at) "
                "VALUES (1, 1, '1.2.3', '2026-01-01T00:00:00+00:00')"
            )
        )


@pytest.mark.usefixtures("next_version")
def test_upgrade_leaves_a_private_copy_of_the_older_database(migrated_file, tmp_path):
    location = str(shutil.copy(migrated_file, tmp_path / "lnscore.db"))
    with_row(location)
    open_database(location).close()
    (copy,) = tmp_path.glob("*.backup")
    assert copy.name.startswith(f"lnscore.db.schema-{HEAD}-")
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    with closing(sqlite3.connect(copy)) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchone() == (HEAD,)
        assert connection.execute("SELECT study_uid FROM study").fetchall() == [("1.2.3",)]


@pytest.mark.usefixtures("next_version")
def test_failed_upgrade_changes_nothing(own_location, monkeypatch):
    with_row(own_location)
    script = next((migrate.SCRIPTS / "versions").glob(f"{NEXT}*"))
    script.write_text(LATER + "    op.execute('SELECT nothing FROM nowhere')\n")
    with pytest.raises(sa.exc.DBAPIError):
        open_database(own_location)
    monkeypatch.setattr(schema, "HEAD", HEAD)
    with open_database(own_location) as database, database.read() as session:
        columns = {
            column["name"] for column in sa.inspect(session.connection()).get_columns("study")
        }
    assert "note" not in columns


@pytest.mark.usefixtures("next_version")
def test_without_a_backup_there_is_no_upgrade(migrated_file, tmp_path, monkeypatch):
    path = shutil.copy(migrated_file, tmp_path / "lnscore.db")
    before = snapshot(tmp_path)

    def full(*_):
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(migrate.sqlite3, "connect", full)
    with pytest.raises(DatabaseError, match=r"^D04: no backup of .* \(database or disk is full\)"):
        migrate.back_up(path, HEAD)
    assert snapshot(tmp_path) == before


def test_current_database_is_opened_without_a_backup(sqlite_database):
    open_database(sqlite_database.location).close()
    assert list(sqlite_database.path.parent.glob("*.backup")) == []


def test_newer_sqlite_is_refused_without_a_write(sqlite_database):
    sqlite_database.close()
    set_revision(sqlite_database.location, "0999")
    before = snapshot(sqlite_database.path.parent)
    for create in (False, True):
        wanted = rf"^D03: .* has schema 0999; wanted {HEAD} or older"
        with pytest.raises(DatabaseError, match=wanted):
            open_database(sqlite_database.location, create=create)
    assert snapshot(sqlite_database.path.parent) == before


def test_newer_database_is_refused(own_location):
    set_revision(own_location, "0999")
    with pytest.raises(DatabaseError, match=r"^D03: .* has schema 0999"):
        open_database(own_location)


def set_revision(location, revision):
    with connected(locate(location)) as connection:
        connection.execute(sa.text(f"UPDATE alembic_version SET version_num = '{revision}'"))


INSERT_REPORT = """
INSERT INTO pathology_report (id, patient_key, report_id, report_date, neoadjuvant,
    source_sha256, superseded_by_id, created_at)
VALUES (:id, 'key', 'R1', '2026-01-31', 'none', :sha, :by, '2026-01-31T00:00:00+00:00')
"""
INSERT_FINDING = """
INSERT INTO finding (id, report_id, status, source_row, source_column)
VALUES (1, 1, 'negative', 1, '')
"""


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def first_version(request, tmp_path) -> str:
    """A database as the first migration made it."""
    location = str(tmp_path / "lnscore.db")
    if request.param == "postgresql":
        location = request.getfixturevalue("new_server_database")()
    with connected(locate(location), foreign_keys=False) as connection:
        config = Config()
        config.set_main_option("script_location", str(migrate.SCRIPTS))
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
    return location


def test_reports_of_the_first_version_stay_with_their_findings(first_version):
    """SQLite copies the table of reports; what points to it must not be lost."""
    with connected(locate(first_version)) as connection:
        for number, newer in ((2, None), (1, 2)):
            row = {"id": number, "sha": str(number), "by": newer}
            connection.execute(sa.text(INSERT_REPORT), row)
        connection.execute(sa.text(INSERT_FINDING))
    query = "SELECT id, superseded_by_id, content_sha256 FROM pathology_report ORDER BY id"
    with open_database(first_version) as database, database.read() as session:
        reports = session.execute(sa.text(query)).all()
        finding = session.execute(sa.text("SELECT report_id, status FROM finding")).one()
    assert [tuple(row) for row in reports] == [(1, 2, None), (2, None, None)]
    assert tuple(finding) == (1, "negative")
