"""From phantoms through a training to a default engine that scores and is compared."""

import json
from pathlib import Path

import pytest
from sqlalchemy import select
from typer.testing import CliRunner

from db.schema import AuditLog, EngineRow
from db.session import open_database
from demo_bundle import copy_demo, edit_manifest
from engines import bundle as bundles
from engines.errors import EngineError
from fake_phantoms import copy_of, phantoms_of_the_command
from lnscore.cli.app import app
from lnscore.engine_commands import importing
from lnscore.scoring import engine_choice
from lnscore.train import engine as train_engine

TRAIN = (
    *("train", "--network", "two-stream-small", "--profile", "scratch", "--name", "Tiny 1"),
    *("--set", "group_stride=3", "--set", "fpn_channels=8", "--set", "two_stream=false"),
    *("--set", "backbone_width=0.25", "--set", "input_upsample=0.5"),
    *("--epochs", "2", "--batch", "4", "--learning-rate", "0.003", "--device", "cpu"),
)


@pytest.mark.parametrize(
    ("run", "engine"),
    [
        ("supervised-2.5d+ts", "supervised-2.5d-ts"),
        ("First Run", "first-run"),
        ("_a", "a"),
        ("x" * 80, "x" * 64),
        ("+", "engine"),
    ],
)
def test_a_runs_name_becomes_one_that_an_engine_may_have(run: str, engine: str) -> None:
    assert train_engine.engine_name(run) == engine


def test_a_name_that_is_taken_is_refused_before_training(tmp_path: Path) -> None:
    home, run = tmp_path / "engines", tmp_path / "runs" / "mine"
    source = edit_manifest(copy_demo(tmp_path / "source"), name="mine")
    importing.import_bundle(source, home)
    with pytest.raises(EngineError, match=r"^E12: another engine named 'mine'"):
        train_engine.refuse_taken("mine", home, run)
    with pytest.raises(EngineError, match=r"^E12: another engine named 'demo'"):
        train_engine.refuse_taken("demo", home, run)
    train_engine.refuse_taken("free", home, run)


def test_the_engine_that_the_run_itself_made_is_no_obstacle(tmp_path: Path) -> None:
    home, run = tmp_path / "engines", tmp_path / "runs" / "mine"
    source = edit_manifest(copy_demo(run / train_engine.FOLDER), name="mine")
    importing.import_bundle(source, home)
    train_engine.refuse_taken("mine", home, run)


@pytest.mark.slow
def test_phantoms_train_an_engine_that_is_promoted_scores_and_is_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The whole way, so it takes its time: four folds, two exports, every command a user gives."""
    monkeypatch.setenv("LNSCORE_ENGINES", str(tmp_path / "engines"))

    def lnscore(*words: str, code: int = 0) -> str:
        done = CliRunner().invoke(app, [*words, "--db", "a.db"])
        assert done.exit_code == code, (done.output, done.exception)
        return done.stdout

    monkeypatch.chdir(copy_of(phantoms_of_the_command(tmp_path_factory), tmp_path / "own").parent)
    assert "no engine made: --no-engine was given" in lnscore(*TRAIN, "--no-engine")
    assert not (tmp_path / "engines").exists()
    out = lnscore(*TRAIN, "--resume")
    assert "engine tiny-1 made from fold " in out
    assert "best validation AUROC" in out
    assert "engine tiny-1 is trained on phantoms: its scores mean nothing for patients" in out
    assert all(Path(f"runs/Tiny 1/fold-{n}/curves.png").is_file() for n in range(4))
    again = lnscore(*TRAIN, "--resume")
    assert again == out

    bundle = bundles.read(tmp_path / "engines" / "tiny-1")
    cohort = bundle.manifest.cohort or {}
    assert (cohort["patients"], cohort["phantom_patients"]) == (24, 24)
    card = (bundle.path / "model_card.md").read_text()
    assert card.startswith("**This engine was trained on computer-made phantoms.")
    with open_database("a.db") as database, database.read() as session:
        names = session.scalars(select(EngineRow.name)).all()
        actions = session.scalars(select(AuditLog.action)).all()
    assert "tiny-1" in names
    assert "train" in actions

    assert "engine tiny-1 is now the default" in lnscore("engine", "promote", "tiny-1")
    assert "scored by engine tiny-1" in lnscore("score", "--pending")
    assert "scored by engine demo" in lnscore("score", "--pending", "--engine", "demo")
    found = json.loads(lnscore("engine", "diff", "tiny-1", "demo", "--json"))
    shared = {p.name for p in bundle.manifest.operating_points} & demo_points()
    assert (found["both"], found["only_first"], found["only_second"]) == (cohort["nodes"], 0, 0)
    assert {point["name"] for point in found["points"]} == shared


def demo_points() -> set[str]:
    manifest = bundles.read_manifest(engine_choice.SHIPPED / engine_choice.DEMO)
    return {point.name for point in manifest.operating_points}
