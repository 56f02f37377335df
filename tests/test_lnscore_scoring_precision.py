"""Half precision is another engine: its scores stand beside those of float32."""

import sqlite3
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from fake_cohort import filled, settings_in
from lnscore.cli.app import app
from lnscore.scoring import job as score
from lnscore.scoring.options import EngineOptions


def engine_of(backend: str, precision) -> EngineOptions:
    return EngineOptions(engine="demo", backend=backend, precision=precision)


def test_scores_of_both_precisions_stand_side_by_side(tmp_path: Path) -> None:
    settings = filled(settings_in(tmp_path), 1, 2)
    for precision in ("fp32", "fp16"):
        summary = score.run(settings, score.PENDING, engine_of("onnx", precision))
        assert summary.added == 2
        assert f"onnx on cpu, {precision}" in summary.reason
    connection = sqlite3.connect(settings.db)
    stored = dict(connection.execute("SELECT precision, count(*) FROM engine GROUP BY precision"))
    connection.close()
    assert stored == {"fp32": 1, "fp16": 1}


def test_an_unknown_precision_is_a_usage_error(tmp_path: Path) -> None:
    arguments = ["score", "--pending", "--precision", "int8", "--db", str(tmp_path / "none.db")]
    assert CliRunner().invoke(app, arguments).exit_code == typer.BadParameter("").exit_code == 2


def test_a_plan_asked_for_that_is_not_there_fails_and_nothing_is_replaced(tmp_path: Path) -> None:
    from engines.errors import EngineError

    settings = filled(settings_in(tmp_path), 1, 1)
    with pytest.raises(EngineError) as refusal:
        score.run(settings, score.PENDING, engine_of("tensorrt-rtx", "fp16"))
    assert refusal.value.code in ("E02", "E31", "E40")
