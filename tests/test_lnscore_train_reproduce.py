"""`lnscore reproduce` from end to end: real runs in processes, on a small phantom cohort."""

import json
import os
import shutil
from pathlib import Path

import pytest

from command_line import Run
from fake_phantoms import copy_of, filled

pytest_plugins = ["command_line"]
pytestmark = pytest.mark.slow

RECIPE = """
profile: scratch
folds: 1
network:
  {variant: small, backbone_width: 0.25, group_stride: 3, fpn_channels: 8, input_upsample: 0.5}
supervised: {epochs: 1}
ssl: {epochs: 1, labelled_batch: 4, unlabelled_batch: 8}
"""


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixteen labelled patients and six without labels, with pathology, and a recipe."""
    folder = tmp_path_factory.mktemp("reproduce") / "own"
    copy_of(filled(tmp_path_factory), folder)
    (folder / "recipe.yaml").write_text(RECIPE)
    return folder


@pytest.fixture
def reproduce(lnscore: Run, cohort: Path) -> Run:
    def run(table: str, *words: object) -> tuple[int, str, str]:
        common = ("--recipe", cohort / "recipe.yaml", "--db", cohort / "study.db", "--draws", 100)
        out = () if "--out" in words else ("--out", cohort / "made")
        return lnscore("reproduce", table, *common, *out, *words)

    return run


@pytest.fixture
def made(reproduce: Run, cohort: Path) -> Path:
    """Two rows of Table 2, trained once: 20 s, half of which torch takes to start two times."""
    if not (cohort / "made" / "table2.md").exists():
        code, out, err = reproduce("table2", "--only", "two-stream", "--only", "pgls")
        assert code == 0, out + err
    return cohort / "made"


def finished(folder: Path) -> dict[str, float]:
    return {str(file): file.stat().st_mtime for file in folder.rglob("done.json")}


def test_what_was_run_has_figures_and_what_was_not_has_empty_cells(made: Path) -> None:
    lines = (made / "table2.md").read_text().splitlines()
    ours = next(line for line in lines if "| 93.18 |" in line)
    other = next(line for line in lines if "| 89.61 |" in line)
    assert ours.split("|")[7].strip() != ""
    assert other.split("|")[7].strip() == ""


def test_a_finished_run_is_never_trained_again(made: Path, reproduce: Run) -> None:
    before = finished(made)
    code, out, _ = reproduce("table2", "--only", "two-stream", "--only", "pgls")
    assert code == 0
    assert "2 of 2 runs done" in out
    assert finished(made) == before


def test_a_killed_run_is_gone_on_with(made: Path, reproduce: Run, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(made, copy)
    (copy / "runs/pgls-s0/fold-0/done.json").unlink()
    code, out, _ = reproduce("table2", "--only", "pgls", "--out", copy)
    assert code == 0, out
    there, here = (
        (folder / "runs/pgls-s0/fold-0/best.safetensors").read_bytes() for folder in (made, copy)
    )
    assert there == here


def test_another_recipe_in_the_same_folder_is_refused(made: Path, reproduce: Run) -> None:
    code, _, err = reproduce("table2", "--profile", "paper")
    assert code == 1
    assert "T61" in err


def test_the_plan_trains_nothing(reproduce: Run, tmp_path: Path) -> None:
    out_folder = tmp_path / "none"
    code, out, _ = reproduce("table1", "--plan", "--out", out_folder)
    assert code == 0
    assert "missing: resnet18-3d-s0" in out
    assert not out_folder.exists()


def test_a_failed_run_is_named_and_the_others_go_on(
    made: Path, reproduce: Run, tmp_path: Path
) -> None:
    """The other is one that was killed: it is trained as any other, and half of it is there."""
    copy = tmp_path / "copy"
    shutil.copytree(made, copy)
    (copy / "runs/pgls-s0/fold-0/done.json").unlink()
    blocked = copy / "runs/2.5d+ts-s0"
    blocked.mkdir()
    (blocked / "foreign").touch()
    only = ("--only", "2.5d+ts", "--only", "pgls", "--json")
    code, out, _ = reproduce("table2", *only, "--out", copy, "--workers", 2)
    said = json.loads(out)
    assert code == 1
    assert said["runs"] == {"two-stream-s0": "done", "2.5d+ts-s0": "failed", "pgls-s0": "done"}
    assert "T10" in said["failed"]["2.5d+ts-s0"]
    assert (copy / "runs/pgls-s0/fold-0/done.json").exists()


def test_runs_of_two_cohorts_make_no_table(made: Path, reproduce: Run, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(made, copy)
    facts = copy / "runs/two-stream-s0/run.json"
    facts.write_text(facts.read_text().replace('"cohort_sha256": "', '"cohort_sha256": "0'))
    code, _, err = reproduce("table2", "--only", "pgls", "--out", copy)
    assert code == 1
    assert "T62" in err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("table9",), "no table 'table9'"),
        (("table2", "--only", "simmatch"), "--only simmatch"),
        (("table2", "--folds", "9"), "T60"),
    ],
)
def test_what_cannot_be_is_refused(reproduce: Run, words: tuple[str, ...], said: str) -> None:
    code, _, err = reproduce(*words)
    assert code in (1, 2)
    assert said in err


def test_the_tables_files_are_private_to_their_folder(made: Path) -> None:
    names = {file.name for file in made.iterdir()}
    assert names >= {"table2.md", "table2.csv", "table2-roc.png", "table2-training.csv", "runs"}
    assert os.listdir(made / "logs")
