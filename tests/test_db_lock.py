import signal
import subprocess
import sys
import time
from contextlib import suppress

import pytest

from db import filesystems
from db.errors import DatabaseError
from db.lock import writer_lock

pytest_plugins = ["db_fixtures"]

HELD = r"^D10: another run is writing to .*; wanted one run at a time\. Wait for it to end"

HOLDER = """if 1:
    import sys
    from db.lock import writer_lock
    with writer_lock(sys.argv[1]):
        print("held", flush=True)
        sys.stdin.read()
"""


@pytest.fixture
def holder(location):
    """Another process that holds the lock."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, location],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()
    process.stdin.close()
    process.stdout.close()


def test_second_run_is_refused_at_once(location):
    with writer_lock(location), pytest.raises(DatabaseError, match=HELD), writer_lock(location):
        pass


def test_other_process_is_refused_at_once(location, holder):
    with pytest.raises(DatabaseError, match=HELD), writer_lock(location):
        pass
    assert holder.poll() is None


def test_killed_holder_leaves_no_lock(location, holder):
    holder.kill()
    assert holder.wait() == -signal.SIGKILL
    assert is_free_within_seconds(location)


def is_free_within_seconds(location):
    """PostgreSQL notices a lost client a moment after its death."""
    for _ in range(100):
        with suppress(DatabaseError), writer_lock(location):
            return True
        time.sleep(0.05)
    return False


def test_lock_is_free_after_an_error(location):
    with pytest.raises(ZeroDivisionError), writer_lock(location):
        raise ZeroDivisionError
    with writer_lock(location):
        pass


def test_lock_may_be_taken_before_the_file_is_there(tmp_path):
    with writer_lock(str(tmp_path / "new.db")):
        assert [p.name for p in tmp_path.iterdir()] == ["new.db.lock"]


def test_two_databases_are_locked_apart(tmp_path):
    with writer_lock(str(tmp_path / "a.db")), writer_lock(str(tmp_path / "b.db")):
        pass


def test_no_lock_file_beside_another_programs_file(tmp_path):
    (tmp_path / "notes.txt").write_text("not a database, and longer than a page" * 20)
    with pytest.raises(DatabaseError, match=r"^D02"), writer_lock(str(tmp_path / "notes.txt")):
        pass
    assert [p.name for p in tmp_path.iterdir()] == ["notes.txt"]


def test_no_lock_file_on_a_network(tmp_path, monkeypatch):
    (tmp_path / "mounts").write_text(f"server:/export {tmp_path} cifs rw 0 0\n")
    monkeypatch.setattr(filesystems, "MOUNTS", tmp_path / "mounts")
    with pytest.raises(DatabaseError, match=r"^D05"), writer_lock(str(tmp_path / "x.db")):
        pass
    assert [p.name for p in tmp_path.iterdir()] == ["mounts"]


def test_without_a_database_nothing_is_left_by_a_command_that_makes_none(tmp_path) -> None:
    with (
        pytest.raises(DatabaseError, match=r"^D01"),
        writer_lock(str(tmp_path / "none.db"), create=False),
    ):
        pass
    assert list(tmp_path.iterdir()) == []
