"""A finished run becomes an engine that says what it was made from."""

# ruff: noqa: TID253

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from demo_bundle import copy_demo
from engines import bundle as bundles
from engines import parity
from engines.bundle import Bundle
from engines.errors import EngineError
from fake_run import finished_run
from fake_training import TINY, make_cohort, quick_ssl
from trainer.bundle import cohort_summary, from_run, model_card
from trainer.bundle.from_run import FoldChoice, best_fold, make_bundle, read_run
from trainer.errors import TrainerError
from trainer.evaluation import calibrate, held_out
from trainer.export.golden_inputs import APART, at_quantiles, golden_patches
from trainer.runs import predictions
from trainer.runs.directory import DONE
from trainer.runs.predictions import FILE, TEST, VALIDATION

pytest_plugins = ["exported_once"]
pytestmark = pytest.mark.usefixtures("each_graph_once")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return finished_run(tmp_path_factory.mktemp("runs") / "first")


@pytest.fixture(scope="module")
def made(root: Path, tmp_path_factory: pytest.TempPathFactory, each_graph_once) -> Bundle:
    torch.set_num_threads(1)
    run = read_run(root)
    folder = tmp_path_factory.mktemp("made") / "first"
    return make_bundle(run, best_fold(run), "first", folder, draws=100)


def rows(root: Path, fold: int) -> predictions.Predictions:
    return predictions.read(root / f"fold-{fold}" / FILE)


def test_the_fold_is_that_of_the_best_validation(root: Path) -> None:
    reached = []
    for fold in range(4):
        of = rows(root, fold).of(VALIDATION)
        reached.append(roc_auc_score(of.label, of.probability))
    choice = best_fold(read_run(root))
    assert choice.fold == int(np.argmax(reached))
    assert choice.why.startswith(f"best validation AUROC: {max(reached):.3f} (other folds: ")


def test_calibration_and_thresholds_are_of_that_folds_validation_part(root, made: Bundle) -> None:
    fold = (made.manifest.cohort or {})["fold"]
    fitted = calibrate.fit(rows(root, fold).of(VALIDATION))
    assert made.manifest.calibration == fitted.calibration
    assert made.manifest.operating_points == list(fitted.points)


def test_held_out_and_pooled_figures_stand_beside_the_short_axis(root, made: Bundle) -> None:
    metrics, fold = made.manifest.metrics, (made.manifest.cohort or {})["fold"]
    test = rows(root, fold).of(TEST)
    every = predictions.concat([rows(root, one).of(TEST) for one in range(4)])
    for name, of, score in (
        ("test_auroc", test, test.probability),
        ("cross_validated_auroc", every, every.probability),
        ("test_short_axis_auroc", test, test.short_axis_mm),
        ("cross_validated_short_axis_auroc", every, every.short_axis_mm),
    ):
        found = metrics[name]
        assert found.value == pytest.approx(roc_auc_score(of.label, score))
        assert found.low is not None
        assert found.high is not None
        assert found.low <= found.value <= found.high


def test_the_held_out_nodes_are_named_by_a_hash_alone(root, made: Bundle) -> None:
    held = held_out.of_cohort(made.manifest.cohort)
    assert held is not None
    test = rows(root, held.fold).of(TEST)
    assert (held.nodes, held.positives) == (len(test), int(test.label.sum()))
    nodes = list(zip(test.tracking_uid.tolist(), test.label.tolist(), strict=True))
    assert held.sha256 == held_out.digest(reversed(nodes))
    assert "2.25." not in (made.path / "manifest.json").read_text()


def test_another_label_is_another_set_of_held_out_nodes() -> None:
    assert held_out.digest([("a", 1), ("b", 0)]) != held_out.digest([("a", 0), ("b", 0)])


def test_golden_inputs_are_drawn_spread_and_told_apart(made: Bundle) -> None:
    expected = made.golden().expected.fused
    assert np.ptp(expected) >= parity.SPREAD_MIN
    assert (np.diff(expected) >= APART).all()


def test_a_network_that_scores_all_alike_gives_no_golden_inputs(root: Path) -> None:
    run = read_run(root)
    network = from_run.load_weights(run, 0)
    with torch.no_grad():
        network.fused_head[1].weight.zero_()
    with pytest.raises(TrainerError, match=r"^T34: probabilities from 0\.\d+ to 0\.\d+ for 256"):
        golden_patches(network, 5)


def test_quantiles_hold_both_ends_and_leave_out_what_lies_too_near() -> None:
    fused = np.array([0.9, 0.1, 0.1 + APART / 2, 0.5])
    assert at_quantiles(fused, 4).tolist() == [1, 3, 0]


def test_the_card_says_data_split_figures_baseline_and_limits(made: Bundle) -> None:
    assert made.manifest.card is not None
    text = (made.path / made.manifest.card.file).read_text()
    auroc = made.manifest.metrics["test_auroc"]
    assert f"| AUROC | {auroc.value:.3f} ({auroc.low:.3f} to {auroc.high:.3f}) |" in text
    for words in (
        "400 labelled nodes (80 malignant) of 60 patients",
        "Patients were divided, never nodes",
        "| held out | short axis, held out | out of fold | short axis, out of fold |",
        "## Limits",
        "**Research use only.**",
        "    lnscore train --stage supervised --network 2.5d --set ",
        " --set fpn_channels=8 --set ",
        " --set variant=small ",
        " --profile scratch --name first --reader ",
    ):
        assert words in text, words
    assert "phantom" not in text


@pytest.mark.parametrize(
    ("method", "stations"),
    [
        (
            "pgls",
            ": 5 in stations that are malignant by pathology, 12 in benign ones, 3 in stations of "
            "unknown status",
        ),
        ("mean-teacher", ""),
    ],
)
def test_the_card_says_what_the_nodes_without_labels_taught(
    method: str, stations: str, tmp_path: Path
) -> None:
    counts = {"nodes": 20, "malignant": 5, "benign": 12, "unknown": 3}
    facts = {"stage": "ssl", "method": method, "from": "first", "unlabelled": counts}
    values = quick_ssl(method=method).model_dump(mode="json")
    run = read_run(finished_run(tmp_path / "run", **facts, values=values))
    about = from_run.describe(run, FoldChoice(2, "asked for"), "x", (), 100)
    assert (
        f"Then semi-supervised by {method} from the run 'first', with 20 nodes without labels"
        f"{stations}.\n" in model_card.card(about, TINY)
    )


def test_an_engine_of_phantoms_says_first_that_it_means_nothing(tmp_path: Path) -> None:
    run = read_run(finished_run(tmp_path / "run", phantom=True))
    bundle = make_bundle(run, FoldChoice(2, "asked for"), "phantoms", tmp_path / "b", draws=100)
    assert bundle.manifest.caution == "trained on phantoms: its scores mean nothing for patients"
    text = (tmp_path / "b" / "model_card.md").read_text()
    assert text.startswith(
        "**This engine was trained on computer-made phantoms. Its scores mean nothing for "
        "patients.**\n"
    )


def test_a_fp16_graph_that_is_off_is_left_out_and_the_card_says_so(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = parity.gate

    def strict(bundle, engine):
        if engine.precision == "fp16":
            raise EngineError("E09", "onnx fp16 of 'half' off by 0.5", "less", "Do not.")
        return gate(bundle, engine)

    monkeypatch.setattr(parity, "gate", strict)
    bundle = make_bundle(read_run(root), FoldChoice(0, "asked"), "half", tmp_path / "b", draws=100)
    assert list(bundle.manifest.models) == ["fp32"]
    assert not (tmp_path / "b" / "model.fp16.onnx").exists()
    assert (
        "no fp16 graph: onnx fp16 of 'half' off" in (tmp_path / "b" / "model_card.md").read_text()
    )


def test_a_run_with_a_fold_to_train_is_refused(tmp_path: Path) -> None:
    root = finished_run(tmp_path / "run")
    (root / "fold-2" / DONE).unlink()
    with pytest.raises(TrainerError, match=r"^T35: fold 2 of .* is not done; wanted all 4 folds"):
        read_run(root)


def test_a_card_with_other_bytes_is_refused(made: Bundle, tmp_path: Path) -> None:
    copied = shutil.copytree(made.path, tmp_path / "copy")
    (copied / "model_card.md").write_text("It is perfect.")
    with pytest.raises(EngineError, match=r"^E03: model_card.md"):
        bundles.read(copied)


def test_a_manifest_from_before_the_card_is_read(tmp_path: Path) -> None:
    path = copy_demo(tmp_path / "old")
    manifest = json.loads((path / "manifest.json").read_text())
    manifest.pop("card", None)
    (path / "manifest.json").write_text(json.dumps(manifest))
    assert bundles.read(path).manifest.card is None


def test_the_summary_counts_patients_and_nodes_by_label() -> None:
    found = cohort_summary.summary(make_cohort(), "a split")
    assert (found["patients"], found["nodes"], found["positives"]) == (20, 40, 20)
    assert (found["unlabelled_patients"], found["unlabelled_nodes"]) == (4, 8)
    assert found["slice_mm"] == {"least": 5.0, "median": 5.0, "largest": 5.0}
    assert found["phantom"] is False


def test_one_phantom_makes_the_cohort_one_of_phantoms() -> None:
    cohort = make_cohort()
    made = replace(cohort.nodes[0], manufacturer="lnscore phantom")
    mixed = replace(cohort, nodes=(made, *cohort.nodes[1:]))
    found = cohort_summary.summary(mixed, "a split")
    assert (found["phantom"], found["phantom_patients"]) == (True, 1)


def test_a_bundle_that_fails_its_gate_leaves_nothing(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder with a manifest would be taken for a finished bundle by the next try."""

    def off(*_: object) -> None:
        raise EngineError("E09", "off", "golden outputs", "Do not use it.")

    monkeypatch.setattr(from_run.parity, "gate", off)
    run = read_run(root)
    with pytest.raises(EngineError, match=r"^E09"):
        make_bundle(run, best_fold(run), "x", tmp_path / "x", draws=100)
    assert list(tmp_path.iterdir()) == []
