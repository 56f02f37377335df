"""AUROC and calls of a back end beside fp32: by hand, and how often the nodes are scored."""

from pathlib import Path

import numpy as np
import pytest

from engines.manifest import OperatingPoint
from fake_promotion import engine, planted_cohort
from lnscore.engine_commands import accuracy, held_out_nodes
from lnscore.engine_commands.accuracy import compare
from lnscore.scoring.engine_choice import GoldenCheck

LABEL = np.array([0, 0, 1, 1, 1])
REFERENCE = np.array([0.1, 0.4, 0.45, 0.6, 0.9], np.float32)
POINTS = [OperatingPoint(name="half", threshold=0.5), OperatingPoint(name="low", threshold=0.42)]


def test_the_same_scores_change_nothing() -> None:
    found = compare(REFERENCE, REFERENCE, LABEL, POINTS, 0.02)
    assert (found.auroc, found.reference, found.flips, found.largest) == (1.0, 1.0, 0, 0.0)
    assert found.rank == pytest.approx(1.0)
    assert found.holds


def test_a_flip_far_from_the_threshold_does_not_hold() -> None:
    ours = REFERENCE.copy()
    ours[3] = 0.49  # 0.6 before: outside a band of 0.02 around 0.5
    found = compare(ours, REFERENCE, LABEL, POINTS, 0.02)
    assert (found.flips, found.flips_outside, found.holds) == (1, 1, False)
    assert found.largest == pytest.approx(0.11)
    assert found.mean == pytest.approx(0.022)


def test_a_flip_within_the_tolerance_holds() -> None:
    ours = REFERENCE.copy()
    ours[1] = 0.425  # 0.4 before; the threshold 0.42 is within 0.03
    found = compare(ours, REFERENCE, LABEL, POINTS, 0.03)
    assert (found.flips, found.flips_outside, found.holds) == (1, 0, True)


def test_a_changed_auroc_does_not_hold() -> None:
    ours = REFERENCE.copy()
    ours[1], ours[2] = 0.45, 0.4
    found = compare(ours, REFERENCE, LABEL, [], 0.02)
    assert found.auroc == pytest.approx(5 / 6)
    assert not found.holds
    assert found.rank == pytest.approx(0.9)


def test_the_reference_is_scored_once_for_all_back_ends(tmp_path: Path, monkeypatch) -> None:
    settings, held = planted_cohort(tmp_path)
    engine(settings, tmp_path, "mine", held, 1.0)
    runs = []

    def scored(loaded, *given):
        runs.append((loaded.backend, loaded.precision))
        return held_out_nodes.scored(loaded, *given)

    monkeypatch.setattr(accuracy, "scored", scored)
    rows = [
        GoldenCheck(backend="onnx", precision=precision, outcome="passed", reason="", figures=None)
        for precision in ("fp32", "fp16")
    ]
    absent = GoldenCheck(
        backend="tensorrt", precision="fp32", outcome="absent", reason="not here", figures=None
    )
    found = accuracy.verify(settings, "mine", [*rows, rows[1], absent])
    assert [one.outcome for one in found] == ["passed", "passed", "passed"]
    assert runs == [("onnx", "fp32"), ("onnx", "fp16"), ("onnx", "fp16")]
