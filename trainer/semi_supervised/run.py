"""A semi-supervised run: each fold starts from the supervised weights of the same fold."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from ground.whole_files import put
from trainer.data.cohort import Cohort
from trainer.data.folds import FOLDS, Fold, check_fold
from trainer.data.sampling import positives_of
from trainer.errors import TrainerError
from trainer.evaluation import figures
from trainer.networks.config import NetworkConfig
from trainer.networks.registry import build, parse, placed
from trainer.runs import checkpoint, predictions
from trainer.runs import directory as run_directory
from trainer.runs.directory import BEST, CURVES, DONE, LAST
from trainer.runs.predicting import predict
from trainer.runs.predictions import FILE, LAST_FILE, ROLE_FILES
from trainer.runs.tracking import Tracker
from trainer.semi_supervised.batches import labelled_pool
from trainer.semi_supervised.checkpoint import OTHER
from trainer.semi_supervised.config import SslConfig
from trainer.semi_supervised.fold import SslJob
from trainer.semi_supervised.stage import train_fold
from trainer.semi_supervised.unlabelled import Unlabelled
from trainer.steps.distributed import Ranks, wait
from trainer.steps.guards import Watch
from trainer.supervised.run import check_split, keep_split, refuse_unoutlined, within

OTHER_FILE = {"teacher": ROLE_FILES["student"], "student": ROLE_FILES["teacher"]}
"""File for the predictions of the other network at the same epoch, by the reported network."""


@dataclass(frozen=True)
class SourceRun:
    """The supervised run that both networks start from.

    Attributes:
        root: Folder of the run.
        facts: Content of its `run.json`.
        sha256: SHA-256 of that file.
        network: Configuration of its network, with the BatchNorm momentum used in training.
    """

    root: Path
    facts: dict[str, Any]
    sha256: str
    network: NetworkConfig


@dataclass(frozen=True, kw_only=True)
class SslRun:
    """Inputs of a semi-supervised run.

    Attributes:
        root: Folder `runs/NAME`; its `run.json` is already written.
        source: The supervised run.
        config: Configuration of the stage.
        device: Device to train on.
        ranks: Rank of this process and number of processes.
        watch: Callback, called after every step of all folds.
    """

    root: Path
    source: SourceRun
    config: SslConfig
    device: torch.device
    ranks: Ranks
    watch: Watch


def read_source(root: Path) -> SourceRun:
    """Read the supervised run that a semi-supervised one starts from.

    Raises:
        TrainerError: T52 the folder holds no supervised run.
    """
    file = root / run_directory.FACTS
    facts = run_directory.read_facts(root) if file.exists() else {}
    if facts.get("stage") != "supervised":
        raise TrainerError(
            "T52",
            f"{root} without a supervised run",
            "the folder that `lnscore train --stage supervised` wrote",
            "Name it with --from, or train it first.",
        )
    momentum = facts["values"].get("bn_momentum")
    set_so = {} if momentum is None else {"bn_momentum": momentum}
    sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
    return SourceRun(root, facts, sha256, parse(facts["config"] | set_so))


def train_folds(run: SslRun, cohort: Cohort, unlabelled: Unlabelled, folds: Sequence[Fold]) -> None:
    """Train the folds that are not done, and write their checkpoints and predictions.

    Raises:
        TrainerError: T08 a part of a fold lacks a class; T12, T13 from the training loop; T52 the
            supervised run lacks a fold; T53 it trained on other patients.
    """
    for fold in folds:
        check_fold(fold, cohort)
        check_source(run.source, cohort, fold)
    if run.source.network.needs_mask:
        refuse_unoutlined(cohort, np.arange(len(cohort.nodes)))
    there = cohort.to(run.device)
    for number, fold in enumerate(folds):
        place = run.root / f"fold-{fold.number}"
        place.mkdir(parents=True, exist_ok=True)
        if not (place / DONE).exists():
            part = replace(run, watch=within(run.watch, number, len(folds), fold.number))
            _train(part, there, unlabelled, fold, place)


def check_source(source: SourceRun, cohort: Cohort, fold: Fold) -> None:
    """Check that the fold's weights exist and never saw a patient who is now in the test part.

    Raises:
        TrainerError: T52 the supervised fold is not finished; T53 its patients were divided
            otherwise.
    """
    place = source.root / f"fold-{fold.number}"
    if not (place / DONE).exists():
        raise TrainerError(
            "T52",
            f"{source.root} without a finished fold {fold.number}",
            "the same fold of the supervised run",
            "Let it finish (--resume), or name folds with --fold.",
        )
    check_split(place, cohort, fold)


def _train(run: SslRun, cohort: Cohort, known: Unlabelled, fold: Fold, place: Path) -> None:
    network, start, done_before = begin(run, fold)
    if run.ranks.writes:
        keep_split(place, cohort, fold)
        run_directory.put_json(place / "environment.json", run_directory.environment(run.device))
    with Tracker(place, writes=run.ranks.writes) as tracker:
        job = SslJob(
            network=network,
            config=run.config,
            cohort=cohort,
            unlabelled=known,
            fold=fold,
            place=place,
            device=run.device,
            ranks=run.ranks,
            watch=run.watch,
            track=tracker.add,
        )
        progress = train_fold(job)
    if run.ranks.writes:
        _predict(job, place / LAST, place / LAST_FILE)
        _predict(job, place / BEST, place / FILE)
        _predict(job, place / BEST, place / OTHER_FILE[run.config.network], other=True)
        if (curves := figures.draw_fold(place)) is not None:
            put(place / CURVES, curves)
        done = {
            "best_epoch": progress.best_epoch,
            "epochs": progress.epoch,
            "start": done_before["start"],
            "from": start,
            "reported": run.config.network,
            "prior": prior(run.config, cohort, fold, known),
            "unlabelled": known.counts(),
        }
        run_directory.put_json(place / DONE, done)
    wait(run.ranks)


def begin(run: SslRun, fold: Fold) -> tuple[nn.Module, str, dict[str, Any]]:
    """Load the supervised network of a fold.

    Returns:
        The network, the name of its run with the hash of its weights file, its `done.json`.
    """
    place = run.source.root / f"fold-{fold.number}"
    network = build(run.source.network)
    checkpoint.restore(checkpoint.load(place / BEST)[0], network)
    placed(network, run.device)
    digest = hashlib.sha256((place / BEST).read_bytes()).hexdigest()
    return network, f"{run.source.root.name} sha256:{digest}", run_directory.read_json(place / DONE)


def prior(config: SslConfig, cohort: Cohort, fold: Fold, known: Unlabelled) -> float:
    """Return the share of positives among the labelled nodes that the network trains on."""
    if config.positive_fraction is not None:
        size = config.labelled_batch
        return positives_of(size, config.positive_fraction) / size
    return float((labelled_pool(cohort, fold, known)[1] == 1).mean())


def _predict(job: SslJob, weights: Path, file: Path, *, other: bool = False) -> None:
    tensors, _ = checkpoint.load(weights)
    if other:
        tensors = {
            checkpoint.WEIGHTS + name: value
            for name, value in checkpoint.under(tensors, OTHER).items()
        }
    checkpoint.restore(tensors, job.network)
    predictions.write(file, predict(job.network, job.cohort, job.fold, job.device))


def facts_of(source: SourceRun, config: SslConfig, cohort: Cohort) -> dict[str, Any]:
    """Return the facts that identify a run, without the cohort's digest.

    A run can only be resumed if all of them are equal.
    """
    before = source.facts
    return {
        "stage": "ssl",
        "method": config.method,
        "network": before["network"],
        "config": source.network.model_dump(mode="json"),
        "profile": config.profile,
        "values": config.model_dump(mode="json"),
        "reader": before["reader"],
        "split_seed": before["split_seed"],
        "labelled_share": before["labelled_share"],
        "nodes": len(cohort.nodes),
        "labelled": len(cohort.labelled),
        "positive": int((cohort.labels == 1).sum()),
        "pretrained": before["pretrained"],
        "from": source.root.name,
        "from_sha256": source.sha256,
        "folds": FOLDS,
    }
