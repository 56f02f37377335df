"""Pictures of odd runs: every one is drawn, or left out for a reason."""

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fake_predictions import cohort, predicted
from trainer.evaluation import figures, metrics
from trainer.evaluation.evaluate import models
from trainer.evaluation.predicted_run import PredictedRun
from trainer.evaluation.scored import OutOfFoldScores
from trainer.runs.predictions import TEST, Predictions

ROWS = predicted(cohort(120, 30))


def scored(rows: Predictions, runs: int = 1) -> list[OutOfFoldScores]:
    return models([PredictedRun(f"network-{n}", {}, rows, ()) for n in range(runs)])


def width(png: bytes) -> int:
    from matplotlib.image import imread

    return imread(io.BytesIO(png)).shape[1]


def test_without_calibration_only_rankings_are_drawn() -> None:
    drawn = figures.draw(scored(ROWS.of(TEST)), 0, 0)
    assert set(drawn) == {"roc.png", "precision-recall.png"}


def test_without_outlines_there_is_no_short_axis_to_draw() -> None:
    points = replace(ROWS, short_axis_mm=np.full(len(ROWS), np.nan))
    assert len(scored(points)) == 1
    assert set(figures.draw(scored(points), 0, 0)) == {
        "roc.png",
        "precision-recall.png",
        "calibration.png",
        "decision.png",
    }


def test_a_long_legend_goes_beside_the_axes() -> None:
    few = figures.draw(scored(ROWS), 0, 0)["roc.png"]
    many = figures.draw(scored(ROWS, 12), 0, 0)["roc.png"]
    assert width(many) > width(few) + 200


def test_of_many_runs_the_calibration_of_the_first_is_drawn() -> None:
    few = figures.draw(scored(ROWS, 4), 0, 0)["calibration.png"]
    many = figures.draw(scored(ROWS, 9), 0, 0)["calibration.png"]
    assert width(many) == width(few)


def test_twenty_models_look_different() -> None:
    assert len({str(figures.look(place)) for place in range(24)}) == 24


def test_a_run_without_a_log_has_no_learning_curve(tmp_path: Path) -> None:
    assert figures.draw_learning(tmp_path) is None


def test_a_log_that_is_cut_short_is_drawn_as_far_as_it_goes(tmp_path: Path) -> None:
    (tmp_path / "fold-0").mkdir()
    (tmp_path / "fold-0/log.jsonl").write_text('{"epoch": 0, "loss": 0.7}\n{"epoch": 1, "lo')
    drawn = figures.draw_learning(tmp_path)
    assert drawn is not None
    assert width(drawn) > 1000


def test_wilson_by_hand() -> None:
    low, high = figures.wilson(np.array([0, 5]), np.array([10, 10]))
    assert (low[0], high[0]) == (0, pytest.approx(0.2775, abs=1e-4))
    assert (low[1], high[1]) == (pytest.approx(0.2366, abs=1e-4), pytest.approx(0.7634, abs=1e-4))


def test_the_rule_benefits_as_the_share_it_calls() -> None:
    label, called = np.array([1, 1, 0, 0]), np.array([1.0, 0, 1, 0])
    found = metrics.net_benefit(label, called, np.array([0.2, 0.5]))
    np.testing.assert_allclose(found, [0.25 - 0.25 * 0.25, 0])
