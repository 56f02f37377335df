"""`lnscore eval`: exit codes, messages, files, pictures."""

import csv
import json
from importlib import metadata
from pathlib import Path

import pytest

from command_line import Run
from fake_predictions import cohort, write_run
from lnscore.errors import Refusal
from lnscore.train import evaluate as evaluate_job
from lnscore.train.evaluate_options import EvaluateOptions

pytest_plugins = ["command_line"]

DRAWS = ("--draws", "100")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, facts = tmp_path_factory.mktemp("runs"), cohort()
    write_run(folder / "two-stream", facts, profile="default", pretrained="none")
    write_run(folder / "resnet18-3d", facts, 0.9, 2, profile="default")
    return folder


@pytest.fixture(scope="module")
def written(runs: Path) -> Path:
    out = runs / "evaluation"
    evaluate_job.run([runs / "two-stream"], EvaluateOptions(out=out, draws=100))
    return out


def test_two_runs_are_printed_beside_the_short_axis(lnscore: Run, runs: Path) -> None:
    code, out, _ = lnscore("eval", str(runs / "two-stream"), str(runs / "resnet18-3d"), *DRAWS)
    assert code == 0
    for words in ("two-stream", "resnet18-3d", "short axis", "AUROC", "p (Holm)"):
        assert words in out
    assert "Add --out FOLDER to write all tables and pictures." in out


def test_out_gets_tables_and_pictures(written: Path) -> None:
    from matplotlib.image import imread

    pictures = {
        "roc.png",
        "precision-recall.png",
        "calibration.png",
        "decision.png",
        "learning-two-stream.png",
    }
    tables = {"evaluation.json", "evaluation.md", "figures.csv", "tests.csv"}
    assert {path.name for path in written.iterdir()} == pictures | tables
    for name in pictures:
        picture = imread(written / name)
        assert picture.shape[1] >= 700
        assert picture[..., :3].std() > 0.03  # not a blank page
    markdown = (written / "evaluation.md").read_text()
    assert "| two-stream | 0, 1, 2, 3 | two-stream | default | none |" in markdown
    with (written / "figures.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {row["by"] for row in rows} == {
        "all",
        "fold",
        "short axis",
        "slice thickness",
        "station",
    }


def test_json_is_the_file(lnscore: Run, runs: Path, written: Path) -> None:
    _, printed, _ = lnscore("eval", str(runs / "two-stream"), "--json", *DRAWS)
    document = json.loads(printed)
    assert document.pop("files") == []
    assert document == json.loads((written / "evaluation.json").read_text())


def test_the_same_runs_give_the_same_bytes_in_place_of_the_old(
    lnscore: Run, runs: Path, written: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "evaluation.json").write_text("of an earlier evaluation")
    assert lnscore("eval", str(runs / "two-stream"), "--out", str(out), *DRAWS)[0] == 0
    for path in written.iterdir():
        assert path.read_bytes() == (out / path.name).read_bytes(), path.name


def test_a_folder_with_other_files_is_not_touched(lnscore: Run, runs: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("keep")
    code, _, err = lnscore("eval", str(runs / "two-stream"), "--out", str(tmp_path), *DRAWS)
    assert code == 1
    assert err == (
        f"error T26: {tmp_path} cannot be written (it holds other files); wanted a new folder, or "
        "one with an earlier evaluation. Name another folder with --out.\n"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_a_folder_without_predictions_is_refused(lnscore: Run, tmp_path: Path) -> None:
    code, _, err = lnscore("eval", str(tmp_path))
    assert code == 1
    assert err == (
        f"error T20: {tmp_path} without fold-*/predictions.parquet; wanted the folder of a trained "
        "run. Name a folder that `lnscore train` wrote, and let it finish.\n"
    )


def test_one_run_named_twice_is_refused(lnscore: Run, runs: Path) -> None:
    code, _, err = lnscore("eval", str(runs / "two-stream"), str(runs / "two-stream"))
    assert (code, err) == (
        1,
        "error T28: one run named twice; wanted different runs. Name each run once.\n",
    )


def test_a_missing_fold_is_said_with_partial(lnscore: Run, tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", cohort())
    (run / "fold-3/predictions.parquet").unlink()
    assert lnscore("eval", str(run), *DRAWS)[0] == 1
    code, out, _ = lnscore("eval", str(run), "--partial", *DRAWS)
    assert code == 0
    assert "note: run: fold 3 is missing; its patients are in no figure" in out


def test_without_the_train_extra_the_fix_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def version(distribution: str) -> str:
        if distribution in ("scikit-learn", "torch"):
            raise metadata.PackageNotFoundError(distribution)
        return "1"

    monkeypatch.setattr(metadata, "version", version)
    with pytest.raises(Refusal) as refused, evaluate_job.train_extra():
        raise ModuleNotFoundError("No module named 'sklearn'", name="sklearn.metrics")
    assert str(refused.value) == (
        "T29: not installed: scikit-learn, torch; wanted the libraries of the trainer. "
        "Install them with: pip install 'lnscore[train]'"
    )


def test_a_fault_of_our_own_is_not_blamed_on_the_extra() -> None:
    with pytest.raises(ModuleNotFoundError), evaluate_job.train_extra():
        raise ModuleNotFoundError("No module named 'trainer.gone'", name="trainer.gone")
