"""The semi-supervised stage: eq. 3 in one loop, exact to resume, blind to test patients."""

# ruff: noqa: TID253

import copy
import json
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from unittest.mock import MagicMock

import numpy as np
import polars as pl
import pytest
import torch

from exported_once import teacher_graph
from fake_training import (
    TINY,
    hidden_truth,
    make_cohort,
    make_unlabelled,
    quick,
    quick_ssl,
    without_masks,
)
from trainer.data.cohort import Cohort
from trainer.data.folds import TEST, Fold, assign
from trainer.errors import TrainerError
from trainer.networks.registry import build
from trainer.networks.starting import Start
from trainer.runs import checkpoint, predictions
from trainer.runs.directory import BEST, DONE, LAST, LOG, put_json
from trainer.semi_supervised import config as ssl_config
from trainer.semi_supervised import ledger, teacher_session
from trainer.semi_supervised import stage as semi_supervised_stage
from trainer.semi_supervised.checkpoint import OTHER
from trainer.semi_supervised.config import SslConfig
from trainer.semi_supervised.fold import SslJob, make_pair
from trainer.semi_supervised.run import OTHER_FILE, SslRun, begin, read_source, train_folds
from trainer.semi_supervised.sharpen import RULES
from trainer.semi_supervised.unlabelled import Unlabelled
from trainer.steps.distributed import Ranks
from trainer.steps.forward import logits_of
from trainer.supervised import run as supervised_run

METHODS = ["pgls", "mean-teacher", "pi", "temporal-ensembling", "simmatch", "supervised"]
CPU = torch.device("cpu")


pytest_plugins = ["fake_training"]
pytestmark = pytest.mark.usefixtures("without_curves")


@pytest.fixture(scope="module")
def cohort() -> Cohort:
    return without_masks(make_cohort(patients=28, hidden=8))


@pytest.fixture(scope="module")
def unlabelled(cohort: Cohort) -> Unlabelled:
    return make_unlabelled(cohort)


@pytest.fixture(scope="module")
def fold(cohort: Cohort) -> Fold:
    return assign(cohort, 0)[0]


def quiet(done: int, total: int, note: str) -> None:
    """Nobody watches."""


@pytest.fixture(scope="module")
def source(cohort: Cohort, fold: Fold, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A supervised run of two epochs."""
    torch.set_num_threads(1)
    root = tmp_path_factory.mktemp("runs") / "first"
    root.mkdir()
    config = quick(epochs=2)
    job = supervised_run.SupervisedRun(
        root=root,
        network=TINY,
        config=config,
        start=Start(),
        device=CPU,
        ranks=Ranks(),
        watch=quiet,
    )
    supervised_run.train_folds(job, cohort, [fold])
    facts = {"stage": "supervised", "config": TINY.model_dump(mode="json"), "network": "2.5d"}
    more = {"values": config.model_dump(mode="json"), "reader": "radiologist"}
    put_json(root / "run.json", facts | more | {"split_seed": 0, "pretrained": "none"})
    return root


class Killed(Exception):
    """Stands for SIGKILL: nothing of ours runs after it."""


def run(
    root: Path,
    source: Path,
    cohort: Cohort,
    unlabelled: Unlabelled,
    config: SslConfig,
    stop_at: int | None = None,
) -> Path:
    """Train fold 0; die at a step if asked to."""

    def watch(done: int, total: int, note: str) -> None:
        if done == stop_at:
            raise Killed

    job = SslRun(
        root=root, source=read_source(source), config=config, device=CPU, ranks=Ranks(), watch=watch
    )
    train_folds(job, cohort, unlabelled, assign(cohort, 0)[:1])
    return root / "fold-0"


def tensors(file: Path) -> dict[str, torch.Tensor]:
    return checkpoint.load(file)[0]


def same(one: Path, other: Path) -> bool:
    ours, theirs = tensors(one), tensors(other)
    return ours.keys() == theirs.keys() and all(torch.equal(ours[n], theirs[n]) for n in ours)


@pytest.mark.parametrize("method", METHODS)
def test_killed_and_resumed_ends_bit_for_bit_the_same(
    method: str, source: Path, cohort: Cohort, unlabelled: Unlabelled, tmp_path: Path
) -> None:
    config = quick_ssl(method=method, malignant_rule="top1")
    whole = run(tmp_path / "whole", source, cohort, unlabelled, config)
    with pytest.raises(Killed):
        run(tmp_path / "killed", source, cohort, unlabelled, config, stop_at=3)
    again = run(tmp_path / "killed", source, cohort, unlabelled, config)
    assert same(whole / LAST, again / LAST)
    assert same(whole / BEST, again / BEST)
    assert len((again / LOG).read_text().splitlines()) == 2
    if method == "pgls":
        ours, theirs = (ledger.read(place / ledger.FILE) for place in (whole, again))
        assert ours.equals(theirs)
        assert ours["epoch"].unique().to_list() == [0, 1]


@pytest.mark.slow
def test_a_long_run_on_a_cpu_is_as_exact_to_resume(
    source: Path,
    cohort: Cohort,
    unlabelled: Unlabelled,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    config = quick_ssl(method="pgls", malignant_rule="top1")
    short = run(tmp_path / "short", source, cohort, unlabelled, config)
    monkeypatch.setattr(teacher_session, "PAYS_NODES", 1)
    graph = teacher_graph(tmp_path_factory, build(TINY))
    monkeypatch.setattr(teacher_session, "exported", lambda _: copy.deepcopy(graph))
    monkeypatch.setattr(
        semi_supervised_stage, "logits_of", scored_by_torch := MagicMock(wraps=logits_of)
    )
    whole = run(tmp_path / "whole", source, cohort, unlabelled, config)
    with pytest.raises(Killed):
        run(tmp_path / "killed", source, cohort, unlabelled, config, stop_at=3)
    again = run(tmp_path / "killed", source, cohort, unlabelled, config)
    assert same(whole / LAST, again / LAST)
    assert scored_by_torch.call_count == 4  # the validations
    scores = [ledger.read(place / ledger.FILE)["score"] for place in (short, whole, again)]
    assert scores[1].equals(scores[2])
    np.testing.assert_allclose(scores[1], scores[0], atol=1e-5)


@pytest.fixture(scope="module")
def one_epoch(
    source: Path, cohort: Cohort, unlabelled: Unlabelled, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Path]:
    """The fold of a method after one epoch, trained once."""

    @cache
    def of(method: str) -> Path:
        config = quick_ssl(method=method, epochs=1)
        return run(tmp_path_factory.mktemp("one") / "a", source, cohort, unlabelled, config)

    return of


OTHER_VALUES = {
    **{"beta": 0.6, "gamma": 0.2, "omega": 0.1, "selected_per_batch": 2, "select": "uniform"},
    **{"benign_rule": "gamma", "malignant_rule": "beta", "consistency": "mse", "w_max": 3.0},
    **{"ramp": 0.9, "ensemble": 0.9, "alignment": "uniform", "temperature": 0.5, "tau": 0.5},
    **{"smoothing": 0.5, "queue": 4, "projection": 16, "lambda_u": 0.3, "lambda_in": 0.3},
    **{"strong": {"cutout_px": 2}},
}


def test_other_values_are_tried_of_all_that_not_every_method_reads() -> None:
    listed = {name for names in ssl_config.READ_BY.values() for name in names}
    assert {name for name in listed if not name.startswith("station_")} == set(OTHER_VALUES)
    config = quick_ssl().model_dump()
    assert all(config[name] != value for name, value in OTHER_VALUES.items())


@pytest.mark.parametrize("method", METHODS)
def test_values_that_a_method_does_not_read_change_no_weight(
    method: str, one_epoch, source, cohort, unlabelled, tmp_path: Path
) -> None:
    names = ssl_config.unread(quick_ssl(method=method), OTHER_VALUES)
    values = {name: OTHER_VALUES[name] for name in names}
    config = quick_ssl(method=method, epochs=1, **values)
    place = run(tmp_path / "a", source, cohort, unlabelled, config)
    assert len(names) > 3
    assert same(place / LAST, one_epoch(method) / LAST)


@pytest.mark.parametrize("method", METHODS)
def test_a_fold_leaves_both_networks_and_their_predictions(method: str, one_epoch) -> None:
    config = quick_ssl(method=method, epochs=1)
    place = one_epoch(method)
    done = json.loads((place / DONE).read_text())
    assert done["reported"] == config.network
    names = {path.name for path in place.iterdir()}
    wanted = {predictions.FILE, predictions.LAST_FILE, OTHER_FILE[config.network], "split.json"}
    assert names >= wanted | {LAST, BEST, LOG, DONE, "environment.json"}
    ours = predictions.read(place / predictions.FILE)
    other = predictions.read(place / OTHER_FILE[config.network])
    assert not np.allclose(ours.logit, other.logit)
    line = json.loads((place / LOG).read_text())
    assert {"supervised", "unsupervised", "sharpened", "validation_auroc"} <= line.keys()


def test_methods_with_a_teacher_report_it_and_the_others_the_student() -> None:
    told = {method: quick_ssl(method=method).network for method in METHODS}
    assert {name for name, net in told.items() if net == "teacher"} == {
        "pgls",
        "mean-teacher",
        "simmatch",
    }


def job_of(
    source: Path, cohort: Cohort, unlabelled: Unlabelled, fold: Fold, config: SslConfig
) -> SslJob:
    """A fold about to begin."""
    begun = SslRun(
        root=Path(),
        source=read_source(source),
        config=config,
        device=CPU,
        ranks=Ranks(),
        watch=quiet,
    )
    network, _, _ = begin(begun, fold)
    return SslJob(
        network=network,
        config=config,
        cohort=cohort,
        unlabelled=unlabelled,
        fold=fold,
        place=Path(),
        device=CPU,
        ranks=Ranks(),
        watch=quiet,
    )


def test_student_and_teacher_start_from_the_supervised_weights(
    source: Path, cohort: Cohort, unlabelled: Unlabelled, fold: Fold
) -> None:
    pair = make_pair(job_of(source, cohort, unlabelled, fold, quick_ssl()))
    stored = checkpoint.under(tensors(source / "fold-0" / BEST), checkpoint.WEIGHTS)
    for network in (pair.student.network, pair.teacher.network):
        state = network.state_dict()
        assert all(torch.equal(state[name], stored[name]) for name in stored)
    assert not any(parameter.requires_grad for parameter in pair.teacher.parameters())
    assert not pair.teacher.training


def test_the_teacher_never_gets_a_gradient(
    source: Path, cohort: Cohort, unlabelled: Unlabelled, tmp_path: Path, monkeypatch
) -> None:
    seen = []
    update = semi_supervised_stage.update_teacher

    def watched(teacher, student, alpha) -> None:
        seen.append([p.grad for p in teacher.parameters()])
        update(teacher, student, alpha)

    monkeypatch.setattr(semi_supervised_stage, "update_teacher", watched)
    run(tmp_path / "a", source, cohort, unlabelled, quick_ssl(method="pgls", epochs=1))
    assert seen
    assert all(grad is None for step in seen for grad in step)


def test_omega_0_is_mean_teacher_bit_for_bit(
    source: Path, cohort: Cohort, unlabelled: Unlabelled, tmp_path: Path
) -> None:
    pgls = quick_ssl(method="pgls", omega=0.0)
    one = run(tmp_path / "pgls", source, cohort, unlabelled, pgls)
    mean_teacher = quick_ssl(method="mean-teacher", omega=0.0)
    other = run(tmp_path / "mt", source, cohort, unlabelled, mean_teacher)
    assert same(one / LAST, other / LAST)


def test_alpha_0_makes_the_teacher_the_student(
    source: Path, cohort: Cohort, unlabelled: Unlabelled, tmp_path: Path
) -> None:
    config = quick_ssl(method="mean-teacher", alpha=0.0, epochs=1)
    place = run(tmp_path / "a", source, cohort, unlabelled, config)
    stored = tensors(place / LAST)
    ours = checkpoint.under(stored, checkpoint.WEIGHTS)
    other = checkpoint.under(stored, OTHER)
    assert all(torch.equal(ours[name], other[name]) for name in ours)


def test_the_ledger_has_every_decision(
    source: Path, cohort: Cohort, unlabelled: Unlabelled, tmp_path: Path
) -> None:
    config = quick_ssl(method="pgls", beta=0.5, gamma=0.5, benign_rule="gamma")
    place = run(tmp_path / "a", source, cohort, unlabelled, config)
    told = ledger.read(place / ledger.FILE)
    assert told.height == 2 * len(unlabelled.index)
    assert told.select(pl.struct("epoch", "node_id").is_unique().all()).item()
    unknown = told.filter(pl.col("station") == "unknown")
    assert unknown["label"].unique().to_list() == [-1]
    assert unknown["rule"].unique().to_list() == [RULES[0]]
    assert not unknown["selected"].any()
    assert told.filter(pl.col("selected"))["label"].min() >= 0
    assert told.filter((pl.col("station") == "malignant") & (pl.col("label") == 0)).is_empty()
    log = [json.loads(line) for line in (place / LOG).read_text().splitlines()]
    for line in log:
        mine = told.filter(pl.col("epoch") == line["epoch"])
        assert line["malignant_pool"] == (mine["label"] == 1).sum()
        assert line["selected"] == mine["selected"].sum()


def test_stations_do_not_matter_to_mean_teacher_and_do_to_pgls(
    source: Path, cohort: Cohort, unlabelled: Unlabelled, tmp_path: Path
) -> None:
    turned = replace(
        unlabelled, status=np.where(unlabelled.status >= 0, 1 - unlabelled.status, -1).astype("i1")
    )
    for method, equal in (("mean-teacher", True), ("pgls", False)):
        config = quick_ssl(method=method, malignant_rule="top1", benign_rule="all", epochs=1)
        one = run(tmp_path / method / "a", source, cohort, unlabelled, config)
        other = run(tmp_path / method / "b", source, cohort, turned, config)
        assert same(one / LAST, other / LAST) is equal


def test_test_patients_images_change_no_byte_of_the_checkpoint(
    source: Path, cohort: Cohort, unlabelled: Unlabelled, fold: Fold, tmp_path: Path
) -> None:
    changed = without_masks(make_cohort(patients=28, hidden=8))
    changed.patches[torch.from_numpy(fold.nodes(cohort, TEST))] += 500
    config = quick_ssl(method="pgls", malignant_rule="top1")
    one = run(tmp_path / "a", source, cohort, unlabelled, config)
    other = run(tmp_path / "b", source, changed, unlabelled, config)
    for file in (LAST, BEST, ledger.FILE):
        assert (one / file).read_bytes() == (other / file).read_bytes()


def test_all_labels_train_on_the_truth_of_unlabelled_nodes(
    source: Path, cohort: Cohort, unlabelled: Unlabelled, fold: Fold
) -> None:
    known = replace(unlabelled, truth=hidden_truth(cohort))
    config = quick_ssl(method="supervised", truth_reader="phantom-truth")
    pools = semi_supervised_stage.pools_of(job_of(source, cohort, known, fold, config))
    assert set(unlabelled.index.tolist()) <= set(pools.labelled.tolist())
    assert pools.sizes == (12, 0)
    wanted = dict(zip(unlabelled.index.tolist(), hidden_truth(cohort).tolist(), strict=True))
    got = dict(zip(pools.labelled.tolist(), pools.labels.tolist(), strict=True))
    assert all(got[place] == label for place, label in wanted.items())
    assert not set(pools.labelled.tolist()) & set(fold.nodes(cohort, TEST).tolist())


def test_sharpening_finds_the_bright_nodes(
    source: Path, cohort: Cohort, unlabelled: Unlabelled, tmp_path: Path
) -> None:
    config = quick_ssl(method="pgls", malignant_rule="top1", benign_rule="all", epochs=1)
    place = run(tmp_path / "a", source, cohort, unlabelled, config)
    told = ledger.read(place / ledger.FILE)
    truth = dict(
        zip(
            (cohort.nodes[i].node_id for i in unlabelled.index),
            hidden_truth(cohort).tolist(),
            strict=True,
        )
    )
    given = told.filter(pl.col("label") >= 0)
    assert given.height
    assert all(truth[n] == v for n, v in zip(given["node_id"], given["label"], strict=True))


def test_a_source_without_the_fold_is_refused(
    cohort: Cohort, unlabelled: Unlabelled, source: Path, tmp_path: Path
) -> None:
    job = SslRun(
        root=tmp_path / "a",
        source=read_source(source),
        config=quick_ssl(),
        device=CPU,
        ranks=Ranks(),
        watch=quiet,
    )
    with pytest.raises(TrainerError, match=r"^T52: .* without a finished fold 1"):
        train_folds(job, cohort, unlabelled, assign(cohort, 0)[1:2])


def test_a_folder_without_a_supervised_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TrainerError, match=r"^T52: .* without a supervised run"):
        read_source(tmp_path)


def test_a_source_that_saw_other_patients_is_refused(
    cohort: Cohort, unlabelled: Unlabelled, source: Path, tmp_path: Path
) -> None:
    job = SslRun(
        root=tmp_path / "a",
        source=read_source(source),
        config=quick_ssl(),
        device=CPU,
        ranks=Ranks(),
        watch=quiet,
    )
    other = assign(cohort, 1)[:1]
    with pytest.raises(TrainerError, match=r"^T53: fold 0 of .* has other patients"):
        train_folds(job, cohort, unlabelled, other)


def test_few_malignant_pseudo_labels_are_counted_and_told(
    source: Path, cohort: Cohort, unlabelled: Unlabelled, tmp_path: Path
) -> None:
    notes = []
    config = quick_ssl(method="pgls", epochs=6, validate_every=6, beta=1.0)
    job = SslRun(
        root=tmp_path / "a", source=read_source(source), config=config, device=CPU, ranks=Ranks(),
        watch=lambda done, total, note: notes.append(note),
    )  # fmt: skip
    train_folds(job, cohort, unlabelled, assign(cohort, 0)[:1])
    assert checkpoint.load(tmp_path / "a" / "fold-0" / LAST)[1]["thin"] == 6
    assert sum("scoring unlabelled" in note for note in notes) == 6
    told = ["hardly a malignant" in note for note in notes if "loss" in note]
    assert not any(told[:8])
    assert all(told[8:])
