"""Killed at any moment and run again, scoring ends as if nothing had happened."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import text

from db import audit
from db.session import open_database
from fake_cohort import filled, settings_in

CHAINS, KILLS = 4, 5
STUDIES, NODES = 240, 4
SCORES = (
    "SELECT study_uid, tracking_uid, engine_id, probability, local_probability, "
    "global_probability, calibrated_probability, calls, score.patch_sha256 FROM score "
    "JOIN lymph_node ON lymph_node.id = lymph_node_id JOIN series ON series.id = series_id "
    "JOIN study ON study.id = study_id ORDER BY study_uid, tracking_uid"
)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is POSIX's"),
]


@dataclass(frozen=True)
class Undisturbed:
    """What a run leaves that nobody kills, and how long it takes to begin and to score."""

    scores: list[tuple]
    files: list[str]
    begins_s: float
    scores_s: float


def copied(cohort: Path, folder: Path) -> Path:
    """A database of its own; the patches, which scoring only reads, stay where they are."""
    folder.mkdir()
    settings = settings_in(cohort)
    shutil.copy(settings.db, folder)
    (folder / "patches").symlink_to(settings.store_root)
    return folder


def start(folder: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-P", "-m", "lnscore", "score", "--pending"]
    command += ["--db", str(folder / "lnscore.db")]
    return subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        cwd=folder,
        env=os.environ | {"LNSCORE_STORE": "patches"},
    )


def wait_until_it_scores(process: subprocess.Popen[str]) -> None:
    assert process.stderr is not None
    line = process.stderr.readline()
    assert line.startswith("engine demo on "), line


def finish(folder: Path) -> None:
    process = start(folder)
    _, error = process.communicate(timeout=120)
    assert process.returncode == 0, error


def stored(folder: Path) -> list[tuple]:
    with open_database(str(folder / "lnscore.db")) as database, database.read() as session:
        return [tuple(row) for row in session.execute(text(SCORES))]


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cohort")
    filled(settings_in(folder), STUDIES, NODES)
    return folder


@pytest.fixture(scope="module")
def undisturbed(cohort: Path, tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    folder = copied(cohort, tmp_path_factory.mktemp("undisturbed") / "run")
    began = time.monotonic()
    process = start(folder)
    wait_until_it_scores(process)
    scoring = time.monotonic()
    process.communicate(timeout=120)
    ended = time.monotonic()
    assert process.returncode == 0
    return Undisturbed(stored(folder), files(folder), scoring - began, ended - scoring)


def wait_until_it_commits(process: subprocess.Popen[str], folder: Path) -> None:
    while process.poll() is None and not stored(folder):
        time.sleep(0.005)


def killed(folder: Path, undisturbed: Undisturbed, moment: random.Random, number: int) -> int:
    """Kill one run: the first while it starts, the second at its first commit (whatever the
    machine's speed, a part is then stored), the others at a random moment while they score."""
    process = start(folder)
    if number == 0:
        time.sleep(moment.uniform(0, undisturbed.begins_s))
    else:
        wait_until_it_scores(process)
        if number == 1:
            wait_until_it_commits(process, folder)
        else:
            time.sleep(moment.uniform(0, 0.25 * undisturbed.scores_s))
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    return process.returncode


@pytest.mark.parametrize("chain", range(CHAINS))
def test_killed_five_times_and_run_again_it_ends_as_if_undisturbed(
    chain: int, cohort: Path, undisturbed: Undisturbed, tmp_path: Path
) -> None:
    folder, moment = copied(cohort, tmp_path / "run"), random.Random(chain)
    codes, counts = [], []
    for number in range(KILLS):
        codes.append(killed(folder, undisturbed, moment, number))
        counts.append(len(stored(folder)))
    # Most kills must have hit a run under way, or this test would show nothing.
    assert codes.count(-signal.SIGKILL) >= 3
    assert counts == sorted(counts)
    assert any(0 < count < STUDIES * NODES for count in counts)
    assert all(count % NODES == 0 for count in counts)
    finish(folder)
    assert stored(folder) == undisturbed.scores
    assert files(folder) == undisturbed.files
    with open_database(str(folder / "lnscore.db")) as database, database.read() as session:
        assert session.scalar(text("PRAGMA integrity_check")) == "ok"
        assert audit.verify(session) >= 1


def test_an_undisturbed_run_scores_every_node(undisturbed: Undisturbed) -> None:
    assert len(undisturbed.scores) == STUDIES * NODES
    assert len({row[3] for row in undisturbed.scores}) > 0.9 * STUDIES * NODES
