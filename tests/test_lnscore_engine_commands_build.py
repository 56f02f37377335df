"""`lnscore engine build`: a real plan, what is printed of it, and when it is built again."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from command_line import printed
from demo_bundle import copy_demo
from engines.errors import EngineError
from fake_cohort import settings_in
from fake_plans import NEEDS_RTX
from lnscore.cli.app import app
from lnscore.engine_commands import build as build_job
from lnscore.engine_commands import commands as engine_commands
from lnscore.settings import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return settings_in(tmp_path)


@pytest.fixture
def demo(tmp_path: Path) -> str:
    return str(copy_demo(tmp_path / "demo"))


def build(settings: Settings, demo: str, *, as_json: bool = False, **options) -> None:
    summary = build_job.run(settings, demo, "tensorrt-rtx", "fp16", 16, **options)
    assert printed(summary, as_json=as_json) == 0


@NEEDS_RTX
def test_a_plan_is_built_once_and_told_again(settings, demo, capsys) -> None:
    build(settings, demo, as_json=True)
    first = json.loads(capsys.readouterr().out)
    build(settings, demo, as_json=True)
    again = json.loads(capsys.readouterr().out)
    assert (first["new"], again["new"]) == (True, False)
    assert first["sha256"] == again["sha256"]
    assert Path(first["path"]).stat().st_size == first["size_bytes"]


@NEEDS_RTX
def test_an_altered_plan_is_refused_and_built_again_when_asked(settings, demo, capsys) -> None:
    build(settings, demo, as_json=True)
    plan = Path(json.loads(capsys.readouterr().out)["path"])
    plan.write_bytes(b"other")
    with pytest.raises(EngineError, match=r"^E37: .* --precision fp16 --rebuild$"):
        build(settings, demo)
    build(settings, demo, rebuild=True, as_json=True)
    assert json.loads(capsys.readouterr().out)["new"] is True
    assert plan.stat().st_size > 1_000_000


@NEEDS_RTX
def test_what_is_known_of_a_plan_is_printed(settings, demo, capsys) -> None:
    build(settings, demo)
    out = " ".join(capsys.readouterr().out.split())
    assert "Plan of demo, built" in out
    assert "% of 448 layers in half" in out or "layers in half" in out
    assert "1 to 16, tuned for 16" in out
    assert "Check it: lnscore engine verify" in out


@NEEDS_RTX
def test_verify_names_a_plan_that_cannot_run_here(settings, demo, capsys) -> None:
    build(settings, demo, as_json=True)
    capsys.readouterr()
    assert printed(engine_commands.verify(settings, demo, "tensorrt-rtx"), as_json=True) in (0, 4)
    rows = json.loads(capsys.readouterr().out)["golden"]
    assert {row["backend"] for row in rows} == {"tensorrt-rtx"}


@pytest.mark.parametrize(
    ("backend", "precision", "found"),
    [
        ("onnx", "fp32", "back end 'onnx'; wanted one of tensorrt, tensorrt-rtx"),
        ("tensorrt-rtx", "int8", "precision 'int8'; wanted one of fp32, fp16"),
    ],
)
def test_what_cannot_be_built_is_said(settings, demo, backend, precision, found: str) -> None:
    with pytest.raises(EngineError) as refusal:
        build_job.run(settings, demo, backend, precision, 8)
    assert str(refusal.value).startswith(f"E14: {found}")


@NEEDS_RTX
def test_the_command_takes_its_options(demo, tmp_path) -> None:
    options = ["--backend", "tensorrt-rtx", "--precision", "fp32", "--max-batch", "4", "--json"]
    done = CliRunner().invoke(app, ["engine", "build", demo, *options])
    assert done.exit_code == 0
    assert json.loads(done.stdout)["key"]["max_batch"] == 4
