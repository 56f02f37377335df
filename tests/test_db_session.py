import os
import signal
import sqlite3
import stat
import subprocess
import sys
import tempfile
from contextlib import closing, suppress
from pathlib import Path

import pytest
import sqlalchemy as sa

from db import filesystems, runs, schema, session, studies
from db.errors import DatabaseError
from db.records import InstanceRecord
from db.session import open_database
from db_rows import digest, series, snapshot

pytest_plugins = ["db_fixtures"]


def count(database, table):
    with database.read() as reading:
        return reading.scalar(sa.select(sa.func.count()).select_from(table))


def a_run(writing):
    return runs.start(writing, "ingest", ["lnscore", "ingest"], "0.1.0")


def test_block_commits_at_its_end(database):
    with database.begin() as writing:
        a_run(writing)
    assert count(database, schema.RunRow) == 1


def test_error_in_a_block_leaves_nothing(database):
    with suppress(ZeroDivisionError), database.begin() as writing:
        a_run(writing)
        raise ZeroDivisionError
    assert count(database, schema.RunRow) == 0


def test_reader_cannot_write(database):
    with database.read() as reading, pytest.raises(sa.exc.DBAPIError, match=r"read-?only"):
        a_run(reading)
    assert count(database, schema.RunRow) == 0


def test_connection_writes_again_after_it_has_read(database):
    count(database, schema.RunRow)
    with database.begin() as writing:
        a_run(writing)
    assert count(database, schema.RunRow) == 1


def test_reader_sees_one_moment(database):
    with database.read() as reading:
        before = reading.scalar(sa.select(sa.func.count()).select_from(schema.RunRow))
        with database.begin() as writing:
            a_run(writing)
        after = reading.scalar(sa.select(sa.func.count()).select_from(schema.RunRow))
    assert (before, after, count(database, schema.RunRow)) == (0, 0, 1)


def test_opening_again_keeps_the_rows(empty_location):
    with open_database(empty_location, create=True) as database, database.begin() as writing:
        a_run(writing)
    with open_database(empty_location, create=True) as database:
        assert count(database, schema.RunRow) == 1


@pytest.mark.parametrize("name", [":memory:", "a?mode=ro&b", "50%.db", "ein Fall#1 ü.db"])
def test_odd_name_is_only_a_name(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        open_database(name, create=True).close()
    assert [p.name for p in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize(
    ("pragma", "value"),
    [
        ("journal_mode", "wal"),
        ("foreign_keys", 1),
        ("busy_timeout", 10_000),
        ("synchronous", 1),
        ("trusted_schema", 0),
    ],
)
def test_sqlite_connection_has(sqlite_database, pragma, value):
    with sqlite_database.read() as reading:
        assert reading.scalar(sa.text(f"PRAGMA {pragma}")) == value


@pytest.mark.skipif(os.name != "posix", reason="POSIX file modes")
def test_files_are_the_owners_alone(tmp_path):
    umask = os.umask(0)
    try:
        with open_database(str(tmp_path / "x.db"), create=True) as database:
            with database.begin() as writing:
                a_run(writing)
            modes = {p.name: stat.S_IMODE(p.stat().st_mode) for p in tmp_path.iterdir()}
    finally:
        os.umask(umask)
    assert modes == {"x.db": 0o600, "x.db-wal": 0o600, "x.db-shm": 0o600}


@pytest.mark.skipif(os.name != "posix", reason="POSIX file modes")
def test_restored_copy_becomes_private_again(sqlite_database):
    sqlite_database.close()
    sqlite_database.path.chmod(0o644)
    open_database(sqlite_database.location).close()
    assert stat.S_IMODE(sqlite_database.path.stat().st_mode) == 0o600


def test_closing_folds_the_log_into_the_file(sqlite_database):
    with sqlite_database.begin() as writing:
        a_run(writing)
    sqlite_database.close()
    assert [p.name for p in sqlite_database.path.parent.iterdir()] == ["lnscore.db"]


def refuses_untouched(path, pattern, *, create=(False, True)):
    """Opening is refused, and nothing in the folder has changed."""
    before = snapshot(path.parent)
    for choice in create:
        with pytest.raises(DatabaseError, match=pattern):
            open_database(str(path), create=choice)
    assert snapshot(path.parent) == before


def test_missing_file_is_refused_without_create(tmp_path):
    refuses_untouched(tmp_path / "no.db", r"^D01: no study database at .*no\.db", create=[False])


def test_empty_file_is_refused_without_create(tmp_path):
    (tmp_path / "empty.db").touch()
    refuses_untouched(tmp_path / "empty.db", "^D01: no study database", create=[False])


def test_missing_folder_is_refused(tmp_path):
    with pytest.raises(DatabaseError, match=r"^D01: no folder .*nowhere"):
        open_database(str(tmp_path / "nowhere" / "x.db"), create=True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "content", [b"x", b"no database" * 1000, b"SQLite format 3\0" + b"x" * 5000]
)
def test_file_that_is_not_sqlite_is_refused_untouched(tmp_path, content):
    (tmp_path / "notes.txt").write_bytes(content)
    refuses_untouched(tmp_path / "notes.txt", r"^D02: .*notes\.txt is not a SQLite database")


def test_folder_is_refused(tmp_path):
    (tmp_path / "x.db").mkdir()
    with pytest.raises(DatabaseError, match=r"^D02: .*x\.db is not a file"):
        open_database(str(tmp_path / "x.db"), create=True)


@pytest.mark.parametrize("mode", ["DELETE", "WAL"])
def test_sqlite_file_of_another_program_is_refused_untouched(tmp_path, mode):
    path = tmp_path / "other.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA journal_mode = {mode}")
        connection.execute("CREATE TABLE alembic_version (version_num TEXT)")
        connection.execute("CREATE TABLE customers (id INTEGER)")
    refuses_untouched(path, "^D02: .* is the SQLite database of another program")


@pytest.mark.postgres
def test_server_database_of_another_program_is_refused(new_server_database):
    url = new_server_database()
    other = sa.create_engine(url)
    with other.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE customers (id integer)")
    with pytest.raises(DatabaseError, match=r"^D02: .* holds the tables of another program"):
        open_database(url, create=True)
    with other.begin() as connection:
        assert sa.inspect(connection).get_table_names() == ["customers"]
    other.dispose()


@pytest.mark.postgres
def test_empty_server_database_is_refused_without_create(new_server_database):
    with pytest.raises(DatabaseError, match=r"^D01: no study database at postgresql://"):
        open_database(new_server_database())


def test_damaged_file_is_refused_untouched(sqlite_database):
    sqlite_database.close()
    content = bytearray(sqlite_database.path.read_bytes())
    content[100:2000] = b"\xff" * 1900  # the list of tables
    sqlite_database.path.write_bytes(content)
    refuses_untouched(sqlite_database.path, "^D08: .* cannot be read")


def test_old_sqlite_is_refused_untouched(tmp_path, monkeypatch):
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 34, 1))
    refuses_untouched(tmp_path / "x.db", r"^D06: SQLite .* in this Python; wanted 3\.37 or newer")


def test_network_file_system_is_refused_untouched(sqlite_database, tmp_path, monkeypatch):
    sqlite_database.close()
    mounts = tmp_path.parent / f"{tmp_path.name}-mounts"
    mounts.write_text(f"/dev/sda1 / ext4 rw 0 0\nserver:/export {tmp_path} nfs4 rw 0 0\n")
    monkeypatch.setattr(filesystems, "MOUNTS", mounts)
    refuses_untouched(sqlite_database.path, r"^D05: .* is on a network file system \(nfs4\)")
    refuses_untouched(tmp_path / "new.db", "^D05: ")


@pytest.fixture
def folder_of_nobody():
    """A folder in reach of an account without rights; the test runs as that account."""
    if os.name != "posix" or os.geteuid() != 0:
        folder = Path(tempfile.mkdtemp())
        yield folder
        folder.chmod(0o700)
    else:
        folder = Path(tempfile.mkdtemp())
        os.chown(folder, 65534, 65534)
        os.seteuid(65534)
        try:
            yield folder
        finally:
            os.seteuid(0)


@pytest.mark.skipif(os.name != "posix", reason="POSIX file modes")
def test_read_only_file_is_refused_untouched(folder_of_nobody):
    path = folder_of_nobody / "x.db"
    open_database(str(path), create=True).close()
    path.chmod(0o400)
    refuses_untouched(path, r"^D04: .*x\.db is read-only for this user")


@pytest.mark.skipif(os.name != "posix", reason="POSIX file modes")
def test_read_only_folder_is_refused_untouched(folder_of_nobody):
    path = folder_of_nobody / "x.db"
    open_database(str(path), create=True).close()
    folder_of_nobody.chmod(0o500)
    refuses_untouched(path, "^D04: .* is read-only for this user")
    refuses_untouched(folder_of_nobody / "new.db", "^D04: .* is read-only for this user")


def test_writer_that_waits_too_long_is_told_why(sqlite_database, monkeypatch):
    monkeypatch.setattr(session, "BUSY_TIMEOUT_S", 0)
    with (
        open_database(sqlite_database.location) as second,
        sqlite_database.begin(),
        pytest.raises(DatabaseError, match=r"^D09: .*database is locked; wanted no other"),
        second.begin(),
    ):
        pass


def test_looking_at_an_open_database_does_not_drop_its_lock(sqlite_database):
    with sqlite_database.begin() as writing:
        a_run(writing)
        open_database(sqlite_database.location).close()  # POSIX: closing a file drops its locks
        script = f"""if 1:
            import sqlite3
            sqlite3.connect({sqlite_database.location!r}, timeout=0).execute("BEGIN IMMEDIATE")
        """
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert "database is locked" in done.stderr


KILLED_WRITER = """if 1:
    import os, signal, sys
    from db import runs
    from db.session import open_database
    database = open_database(sys.argv[1], create=True)
    with database.begin() as session:
        runs.start(session, "ingest", [], "0.1.0")
    with database.begin() as session:
        runs.start(session, "score", [], "0.1.0")
        session.flush()
        os.kill(os.getpid(), signal.SIGKILL)
"""


def test_killed_writer_leaves_what_it_committed(empty_location):
    done = subprocess.run([sys.executable, "-c", KILLED_WRITER, empty_location], check=False)
    assert done.returncode == -signal.SIGKILL
    with open_database(empty_location) as database, database.read() as reading:
        assert reading.scalars(sa.select(schema.RunRow.kind)).all() == ["ingest"]


def test_creation_that_was_killed_is_taken_up_again(tmp_path):
    script = """if 1:
        import os, signal, sys
        from db import migrate
        from db.session import open_database
        upgrade = migrate.upgrade
        def killed(connection, shown):
            upgrade(connection, shown)
            os.kill(os.getpid(), signal.SIGKILL)
        migrate.upgrade = killed
        open_database(sys.argv[1], create=True)
    """
    location = str(tmp_path / "x.db")
    done = subprocess.run([sys.executable, "-c", script, location], check=False)
    assert done.returncode == -signal.SIGKILL
    with pytest.raises(DatabaseError, match=r"^D01: no study database"):
        open_database(location)
    with open_database(location, create=True) as database:
        assert count(database, schema.RunRow) == 0


def test_processes_may_create_at_once(empty_location):
    script = "import sys; from db import session; session.open_database(sys.argv[1], create=True)"
    command = [sys.executable, "-c", script, empty_location]
    starts = [subprocess.Popen(command) for _ in range(3)]
    assert [start.wait() for start in starts] == [0, 0, 0]


def test_full_disk_is_told(sqlite_database):
    def fill():
        with sqlite_database.begin() as writing:
            writing.execute(sa.text("PRAGMA max_page_count = 1"))  # not below what is there
            for _ in range(1000):
                a_run(writing)

    with pytest.raises(DatabaseError, match=r"^D04: .*full; wanted room on the disk"):
        fill()
    assert count(sqlite_database, schema.RunRow) == 0


@pytest.mark.postgres
def test_connection_that_breaks_is_told(emptied_server_database):
    def break_off():
        with database.begin() as writing:
            writing.execute(sa.text("SELECT pg_terminate_backend(pg_backend_pid())"))

    with open_database(emptied_server_database) as database:
        with pytest.raises(DatabaseError, match=r"^D07: postgresql://.* does not answer"):
            break_off()
        assert count(database, schema.RunRow) == 0, "the next block connects anew"


def test_other_errors_stay_what_they_are_but_hide_the_values(database):
    secret = {"path": "DOE^JOHN"}
    with pytest.raises(sa.exc.DBAPIError) as told, database.begin() as writing:
        writing.execute(sa.text("SELECT path FROM nowhere WHERE path = :path"), secret)
    assert "nowhere" in str(told.value)
    assert "DOE" not in str(told.value)


@pytest.mark.postgres
def test_server_that_does_not_answer_is_named_without_its_password(tmp_path):
    url = f"postgresql://me:s3cret@/studies?host={tmp_path}"
    pattern = r"^D07: postgresql://me:\*\*\*@.* does not answer"
    with pytest.raises(DatabaseError, match=pattern) as told:
        open_database(url)
    assert "s3cret" not in str(told.value)


def test_missing_driver_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(DatabaseError, match=r"^D06: .*psycopg.* Install lnscore\[postgres\]"):
        open_database("postgresql://me:s3cret@host/studies")


def test_url_of_an_open_database_hides_the_password(new_server_database):
    url = new_server_database("migrated").replace("lnscore@", "lnscore:s3cret@")
    with open_database(url) as database:
        assert "s3cret" not in repr(database)
        assert database.dialect == "postgresql"


def test_hostile_file_name_costs_no_run(database):
    """A lone surrogate and a NUL, as a damaged archive gives them."""
    with database.begin() as writing:
        path = "ct\0\udcff.dcm"
        record = series(instances=[InstanceRecord("1.2.3", digest("ct"), path)])
        studies.add_series(writing, record, a_run(writing))
    with database.read() as reading:
        assert reading.scalar(sa.select(schema.Instance.path)) == "ct\ufffd\\udcff.dcm"
