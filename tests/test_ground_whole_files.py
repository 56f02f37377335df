"""Files that are whole or not at all (ground.whole_files)."""

import os
import subprocess
import sys
import time
from pathlib import Path

from ground.whole_files import ABANDONED_S, put

WRITES = """
import sys
from pathlib import Path
from ground.whole_files import put
for _ in range(300):
    put(Path(sys.argv[1]), sys.argv[2].encode() * 1000)
"""


def test_two_processes_that_write_one_file_at_once_leave_the_last_one_whole(tmp_path: Path) -> None:
    file = tmp_path / "recipe.json"
    writers = [subprocess.Popen([sys.executable, "-c", WRITES, str(file), name]) for name in "ab"]
    assert [writer.wait() for writer in writers] == [0, 0]
    assert file.read_text() in ("a" * 1000, "b" * 1000)
    assert [left.name for left in tmp_path.iterdir()] == ["recipe.json"]


def test_a_file_that_is_there_is_replaced(tmp_path: Path) -> None:
    file = tmp_path / "facts.json"
    put(file, b"old and longer")
    put(file, b"new")
    assert file.read_bytes() == b"new"


def test_what_a_killed_run_left_goes_and_a_living_runs_file_stays(tmp_path: Path) -> None:
    file = tmp_path / "last.safetensors"
    left, young = tmp_path / ".last.safetensors.a.half", tmp_path / ".last.safetensors.b.half"
    for half in (left, young):
        half.touch()
    old = time.time() - ABANDONED_S - 1
    os.utime(left, (old, old))
    put(file, b"new")
    assert {path.name for path in tmp_path.iterdir()} == {file.name, young.name}
