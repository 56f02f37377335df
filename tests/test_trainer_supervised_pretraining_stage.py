"""Pretraining reads no label, learns what a node measures, and gives a body to start from."""

# ruff: noqa: TID253

from pathlib import Path

import numpy as np
import pytest
import torch

from fake_training import TINY, make_cohort
from trainer.data.cohort import Cohort
from trainer.data.folds import assign
from trainer.errors import TrainerError
from trainer.networks.body import HEADS, body_weights, save_body
from trainer.networks.registry import build
from trainer.networks.starting import Start
from trainer.supervised.pretraining_run import BODY, PretrainedBody, pretrain_run
from trainer.supervised.pretraining_stage import PretrainConfig
from trainer.supervised.pretraining_targets import NAMES, measurable, measure

QUICK = PretrainConfig(epochs=2, batch=8)


@pytest.fixture(scope="module")
def cohort() -> Cohort:
    return make_cohort(patients=24, hidden=12)


class Killed(Exception):
    """Stands for SIGKILL."""


def run(root: Path, cohort: Cohort, stop_at: int | None = None) -> PretrainedBody:
    def watch(done: int, total: int, note: str) -> None:
        if done == stop_at:
            raise Killed

    root.mkdir(exist_ok=True)
    fold = assign(cohort, 0)[0]
    return pretrain_run(root, TINY, QUICK, cohort, fold, torch.device("cpu"), watch)


def test_measures_of_a_box_by_hand(cohort: Cohort) -> None:
    """Brightness is one of two values, so it is scaled to two values."""
    values = measure(cohort, measurable(cohort))
    assert values.shape == (len(cohort.nodes), len(NAMES))
    torch.testing.assert_close(values.mean(0), torch.zeros(6), atol=1e-5, rtol=0)
    bright = values[:, NAMES.index("mean HU")]
    assert len(bright.mul(1e3).round().unique()) == 2


def test_the_log_axes_keep_their_order(cohort: Cohort) -> None:
    index = measurable(cohort)
    sizes = [cohort.nodes[i].short_axis_mm for i in index]
    values = measure(cohort, index)[:, 0].numpy()
    assert np.corrcoef(np.log(sizes), values)[0, 1] == pytest.approx(1, abs=1e-5)


def test_a_body_is_the_same_whatever_the_labels_are(cohort: Cohort, tmp_path: Path) -> None:
    first = run(tmp_path / "a", cohort)
    flipped = make_cohort(patients=24, hidden=12)
    flipped.labels[:24] = 1 - flipped.labels[:24]
    assert run(tmp_path / "b", flipped).sha256 == first.sha256


def test_images_of_labelled_patients_change_no_byte(cohort: Cohort, tmp_path: Path) -> None:
    changed = make_cohort(patients=24, hidden=12)
    changed.patches[:24] += 300
    assert run(tmp_path / "a", changed).sha256 == run(tmp_path / "b", cohort).sha256


def test_killed_and_resumed_gives_the_same_body(cohort: Cohort, tmp_path: Path) -> None:
    with pytest.raises(Killed):
        run(tmp_path / "killed", cohort, stop_at=4)
    assert run(tmp_path / "killed", cohort).sha256 == run(tmp_path / "whole", cohort).sha256


def test_a_finished_pretraining_is_not_done_again(cohort: Cohort, tmp_path: Path) -> None:
    first = run(tmp_path / "a", cohort)
    written = first.file.stat().st_mtime_ns
    assert run(tmp_path / "a", cohort, stop_at=1) == first
    assert first.file.stat().st_mtime_ns == written


def test_a_network_starts_from_the_body_and_draws_its_heads(cohort: Cohort, tmp_path: Path) -> None:
    made = run(tmp_path / "a", cohort)
    network = build(TINY)
    fresh, source = Start("x", made.file, made.sha256).fill(network)
    assert source == f"pretrained file:{made.sha256}"
    assert {name.split(".")[0] for name in fresh} == {"fused_head"} < set(HEADS)
    again = tmp_path / "again.safetensors"
    assert save_body(network, again) == made.sha256


def test_a_body_of_another_network_is_refused_and_changes_nothing(
    cohort: Cohort, tmp_path: Path
) -> None:
    made = run(tmp_path / "a", cohort)
    other = build(TINY.model_copy(update={"fpn_channels": 16}))
    before = body_weights(other)
    with pytest.raises(TrainerError, match=r"^T03: 'body.safetensors' has no fitting"):
        Start("x", made.file, made.sha256).fill(other)
    assert all(torch.equal(before[k], v) for k, v in body_weights(other).items())


def test_a_file_without_its_hash_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TrainerError, match=r"^T45: pretrained weights 'body.safetensors' without"):
        Start("x", tmp_path / BODY).fill(build(TINY))


def test_without_unlabelled_nodes_there_is_nothing_to_learn_from(tmp_path: Path) -> None:
    with pytest.raises(TrainerError, match=r"^T46: 0 nodes with a mask in patients without labels"):
        run(tmp_path / "a", make_cohort(patients=24, hidden=0))
