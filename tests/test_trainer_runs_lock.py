"""Two trainings of one run at once: the second is refused, a killed one leaves the run free."""

import subprocess
import sys
from pathlib import Path

import pytest

from trainer.errors import TrainerError
from trainer.runs import lock as run_lock
from trainer.runs.directory import LOCK, open_run
from trainer.steps.distributed import Ranks

HOLDER = """
import sys
from pathlib import Path
from trainer.runs import lock as run_lock
from trainer.steps.distributed import Ranks
with run_lock.held(Path(sys.argv[1]), Ranks()):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_training_of_a_run_is_refused(tmp_path: Path) -> None:
    root = tmp_path / "a"
    with run_lock.held(root, Ranks()):
        open_run(root, {"stage": "supervised"}, resume=False)
        with pytest.raises(TrainerError) as refusal, run_lock.held(root, Ranks()):
            pass
    assert str(refusal.value) == (
        f"T14: another training holds {root}; wanted one training of a run at a time. Wait for it "
        "to end, or give this one another --name; nothing was changed."
    )
    with run_lock.held(root, Ranks()):
        open_run(root, {"stage": "supervised"}, resume=True)


def test_other_runs_and_other_processes_of_the_run_go_on(tmp_path: Path) -> None:
    with (
        run_lock.held(tmp_path / "a", Ranks(world=2)),
        run_lock.held(tmp_path / "b", Ranks(world=2)),
        run_lock.held(tmp_path / "a", Ranks(rank=1, world=2)),
    ):
        pass


def test_a_killed_training_leaves_the_run_free(tmp_path: Path) -> None:
    root = tmp_path / "a"
    command = [sys.executable, "-c", HOLDER, str(root)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(TrainerError, match=r"^T14: "), run_lock.held(root, Ranks()):
            pass
        holder.kill()
        holder.wait()
    with run_lock.held(root, Ranks()):
        open_run(root, {"stage": "supervised"}, resume=False)


def test_a_folder_of_something_else_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(TrainerError, match=r"^T10: files in "), run_lock.held(tmp_path, Ranks()):
        pass
    assert not (tmp_path / LOCK).exists()
