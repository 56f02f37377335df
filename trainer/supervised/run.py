"""A supervised run: trains every fold and stores predictions of its validation and test nodes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from ground.whole_files import put
from trainer.data.cohort import Cohort
from trainer.data.folds import TEST, TRAIN, VALIDATION, Fold, check_fold
from trainer.data.sampling import INIT_STREAM, positives_of, seed_of, stream
from trainer.errors import TrainerError
from trainer.evaluation import figures
from trainer.networks.config import NetworkConfig
from trainer.networks.dualnet import refuse_points
from trainer.networks.registry import build, placed
from trainer.networks.starting import Start
from trainer.runs import checkpoint, predictions
from trainer.runs import directory as run_directory
from trainer.runs.directory import BEST, CURVES, DONE, LAST, SPLIT
from trainer.runs.predicting import predict
from trainer.runs.predictions import FILE, LAST_FILE
from trainer.runs.tracking import Tracker
from trainer.steps.distributed import Ranks, wait
from trainer.steps.guards import Watch
from trainer.supervised.config import SupervisedConfig
from trainer.supervised.stage import FoldJob, train_fold


@dataclass(frozen=True, kw_only=True)
class SupervisedRun:
    """Everything that a supervised run needs beside the cohort and its folds.

    Attributes:
        root: Folder `runs/NAME` of the run, which exists already.
        network: Config of the network; prior and BatchNorm momentum are set for each fold.
        config: Values of the stage.
        start: Source of the initial weights.
        device: Device to train on.
        ranks: Position of this process among all.
        watch: Function called after every step, counted over all folds.
    """

    root: Path
    network: NetworkConfig
    config: SupervisedConfig
    start: Start
    device: torch.device
    ranks: Ranks
    watch: Watch


def train_folds(run: SupervisedRun, cohort: Cohort, folds: Sequence[Fold]) -> None:
    """Train the folds that are not done; write checkpoints and predictions of each.

    Raises:
        TrainerError: T08 a part of a fold lacks a class; T12 the loss is not finite; T13 out of
            memory; T40 a node has no mask, but the network needs one; T53 a fold was begun with
            other patients.
    """
    for fold in folds:
        check_fold(fold, cohort)
    if run.network.needs_mask:
        refuse_unoutlined(cohort, cohort.labelled)
    there = cohort.to(run.device)
    for number, fold in enumerate(folds):
        place = run.root / f"fold-{fold.number}"
        place.mkdir(parents=True, exist_ok=True)
        if not (place / DONE).exists():
            part = replace(run, watch=within(run.watch, number, len(folds), fold.number))
            _train(part, there, fold, place)


def _train(run: SupervisedRun, cohort: Cohort, fold: Fold, place: Path) -> None:
    network, fresh, source = begin(run, cohort, fold)
    if run.ranks.writes:
        keep_split(place, cohort, fold)
        run_directory.put_json(place / "environment.json", run_directory.environment(run.device))
    with Tracker(place, writes=run.ranks.writes) as tracker:
        job = FoldJob(
            network=network,
            fresh=fresh,
            config=run.config,
            cohort=cohort,
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
        if (curves := figures.draw_fold(place)) is not None:
            put(place / CURVES, curves)
        done = {"best_epoch": progress.best_epoch, "epochs": progress.epoch, "start": source}
        run_directory.put_json(place / DONE, done | {"prior": run_prior(run, cohort, fold)})
    wait(run.ranks)


def refuse_unoutlined(cohort: Cohort, index: np.ndarray) -> None:
    """Refuse nodes that are marked by a point only, for a network that needs masks.

    Raises:
        TrainerError: T40 a node has no outline.
    """
    assert cohort.masks is not None
    refuse_points(cohort.masks[index], [cohort.nodes[i].tracking_uid for i in index])


def begin(run: SupervisedRun, cohort: Cohort, fold: Fold) -> tuple[nn.Module, frozenset[str], str]:
    """Make the network of a fold before its first step.

    Returns:
        The network on the device, the names of the parameters with the higher learning rate, and
        the source of the weights as a text.
    """
    torch.manual_seed(seed_of(stream(run.config.seed, fold.number, 0, INIT_STREAM)))
    values: dict[str, Any] = {"head_prior": run_prior(run, cohort, fold)}
    if run.config.bn_momentum is not None:
        values["bn_momentum"] = run.config.bn_momentum
    network = build(run.network.model_copy(update=values))
    fresh, source = run.start.fill(network)
    return placed(network, run.device), fresh, source


def run_prior(run: SupervisedRun, cohort: Cohort, fold: Fold) -> float:
    """Return the share of positives in training: that of the sampler, or of the training part."""
    if run.config.positive_fraction is not None:
        return positives_of(run.config.batch, run.config.positive_fraction) / run.config.batch
    return float((cohort.labels[fold.nodes(cohort, TRAIN)] == 1).mean())


def keep_split(place: Path, cohort: Cohort, fold: Fold) -> None:
    """Write which patients are in which part; when a fold resumes, check that they are the same.

    Raises:
        TrainerError: T53 the fold was begun with other patients.
    """
    if (place / SPLIT).exists():
        check_split(place, cohort, fold)
    else:
        run_directory.put_json(place / SPLIT, split_of(cohort, fold))


def check_split(place: Path, cohort: Cohort, fold: Fold) -> None:
    """Check that a trained fold has the same patients in the same parts as now.

    This makes sure that its networks have not seen a patient who is now in the test part.

    Raises:
        TrainerError: T53 the fold has other patients.
    """
    before, now = run_directory.read_json(place / SPLIT), split_of(cohort, fold)
    if any(before.get(part, []) != now.get(part, []) for part in (TRAIN, VALIDATION, TEST)):
        raise TrainerError(
            "T53",
            f"fold {fold.number} of {place.parent} has other patients than this database",
            "the same patients in the same parts",
            "Use the database of that run, or train it again under another name.",
        )


def split_of(cohort: Cohort, fold: Fold) -> dict[str, Any]:
    """Return the pseudonyms of each part; they are the same in every database of the site."""
    keys = {node.patient_id: node.patient_key for node in cohort.nodes}
    parts: dict[str, list[str]] = {}
    for patient, part in fold.parts.items():
        parts.setdefault(part, []).append(keys[patient])
    return {part: sorted(mine) for part, mine in parts.items()}


def _predict(job: FoldJob, weights: Path, file: Path) -> None:
    tensors, _ = checkpoint.load(weights)
    checkpoint.restore(tensors, job.network)
    predictions.write(file, predict(job.network, job.cohort, job.fold, job.device))


def within(watch: Watch, number: int, folds: int, name: int) -> Callable[[int, int, str], None]:
    """Return a `Watch` for one fold that reports its steps as part of the steps of the run.

    Args:
        watch: Function called with the steps of the run.
        number: Number of folds trained before this one.
        folds: Number of folds to train.
        name: Number of the fold, for the note.
    """

    def tell(done: int, total: int, note: str) -> None:
        watch(number * total + done, folds * total, f"fold {name}, {note}")

    return tell
