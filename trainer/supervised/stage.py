"""The supervised stage: trains one fold with the loss of eq. 1 on its labelled nodes.

The functions stand in the order in which they are called. The module uses folds and files; it does
not depend on the command line.
"""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn

from trainer.data.augment import augment
from trainer.data.cohort import Cohort
from trainer.data.folds import TRAIN, VALIDATION, Fold
from trainer.data.sampling import (
    AUGMENT_STREAM,
    DROPOUT_STREAM,
    SAMPLING_STREAM,
    batches,
    seed_of,
    stream,
)
from trainer.runs import checkpoint
from trainer.runs import directory as run_directory
from trainer.runs.directory import BEST, LAST, LOG
from trainer.steps.distributed import Ranks, spread, wait
from trainer.steps.forward import forward, logits_of
from trainer.steps.guards import (
    CHECK_EVERY,
    Autocast,
    Watch,
    autocast_of,
    check_loss,
    out_of_memory,
)
from trainer.steps.losses import sup_loss
from trainer.steps.optimizers import build_optimizer, set_rates
from trainer.supervised.config import SupervisedConfig


@dataclass
class SupervisedProgress:
    """State of the training of a fold; it is stored in the `last` checkpoint.

    Attributes:
        epoch: Number of epochs done.
        validations: AUROC of every validation so far.
        best: Highest median of the last validations so far.
        best_epoch: Epoch of the `best` checkpoint, from 1; 0 if there is none yet.
    """

    epoch: int = 0
    validations: list[float] = field(default_factory=list)
    best: float = -1.0
    best_epoch: int = 0


@dataclass(frozen=True, kw_only=True)
class FoldJob:
    """Everything that the training of one fold needs.

    Attributes:
        network: Network with its initial weights, on the device.
        fresh: Names of the parameters with the higher learning rate (see `Start.fill`).
        config: Values of the stage.
        cohort: Cohort with patches and labels.
        fold: Fold that gives the training and validation patients.
        place: Folder of the fold.
        device: Device of the network.
        ranks: Position of this process among all.
        watch: Function called after every step.
        track: Function called after every epoch with its numbers.
    """

    network: nn.Module
    fresh: frozenset[str]
    config: SupervisedConfig
    cohort: Cohort
    fold: Fold
    place: Path
    device: torch.device
    ranks: Ranks
    watch: Watch
    track: Callable[[dict[str, Any]], None] = lambda line: None

    @property
    def autocast(self) -> Autocast:
        """Function that returns the precision context of a forward pass."""
        return partial(autocast_of, self.device, self.config.precision)


def train_fold(job: FoldJob) -> SupervisedProgress:
    """Train one fold or resume it; write the checkpoints `last` and `best` in its folder.

    Raises:
        TrainerError: T12 the loss is not finite; T13 out of memory. Finished epochs are kept.
    """
    config, ranks = job.config, job.ranks
    optimizer = build_optimizer(job.network, config, job.fresh)
    progress = _resume(job, optimizer)
    stepped = spread(job.network, ranks)
    with out_of_memory(config.batch):
        for epoch in range(progress.epoch, config.epochs):
            started = time.monotonic()
            line: dict[str, Any] = {
                "epoch": epoch,
                "loss": _epoch(job, stepped, optimizer, progress),
            }
            progress.epoch = epoch + 1
            if progress.epoch % config.validate_every == 0 or progress.epoch == config.epochs:
                line["validation_auroc"] = _validate(job, progress)
            line["learning_rate"] = optimizer.param_groups[0]["lr"]
            line["seconds"] = round(time.monotonic() - started, 3)
            if ranks.writes:
                _keep(job, optimizer, progress, line)
            wait(ranks)
    return progress


def _epoch(
    job: FoldJob, network: nn.Module, optimizer: torch.optim.Optimizer, progress: SupervisedProgress
) -> float:
    """Train one epoch; return its mean loss. All randomness depends on (seed, fold, epoch) only."""
    config, fold, epoch = job.config, job.fold, progress.epoch
    network.train()
    training = fold.nodes(job.cohort, TRAIN)
    labels = job.cohort.labels[training]
    steps = max(1, len(training) // config.batch)
    draw = partial(stream, config.seed, fold.number, epoch)
    views = torch.Generator(job.device).manual_seed(seed_of(draw(AUGMENT_STREAM)))
    torch.manual_seed(seed_of(draw(DROPOUT_STREAM)) + job.ranks.rank)
    picks = batches(labels, config.batch, config.positive_fraction, draw(SAMPLING_STREAM))
    total, note = torch.zeros((), device=job.device), ""
    for step, pick in enumerate(picks):
        hu, mask, target = draw_batch(job, training[pick], views)
        set_rates(optimizer, config, epoch * steps + step, config.epochs * steps)
        loss = sup_loss(forward(network, hu, mask, job.autocast), target)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        total += loss.detach()
        if step % CHECK_EVERY == 0 or step == steps - 1:
            check_loss(float(total), config.learning_rate)
            note = _note(progress, float(total) / (step + 1))
        job.watch(epoch * steps + step + 1, config.epochs * steps, note)
    return float(total) / steps


def _note(progress: SupervisedProgress, loss: float) -> str:
    auroc = f", validation AUROC {progress.validations[-1]:.3f}" if progress.validations else ""
    return f"epoch {progress.epoch + 1}, loss {loss:.3f}{auroc}"


def draw_batch(
    job: FoldJob, index: np.ndarray, views: torch.Generator
) -> tuple[Tensor, Tensor | None, Tensor]:
    """Make this process's part of a batch.

    Every process augments the whole batch, so that all processes draw the same random numbers.

    Args:
        job: Inputs of the fold.
        index: Indices in the cohort of the nodes of the whole batch.
        views: Source of the random numbers of the augmentation, on the device of the network.

    Returns:
        Augmented crops, masks (None if the cohort has none), and targets.
    """
    cohort, mine = job.cohort, job.ranks.share(len(index))
    places = torch.from_numpy(index).to(cohort.patches.device)
    masks = None if cohort.masks is None else cohort.masks[places].to(job.device)
    patches = cohort.patches[places].to(job.device)
    hu, mask = augment(patches, job.config.augment, views, masks)
    target = torch.from_numpy(cohort.labels[index]).to(job.device).float()
    return hu[mine], None if mask is None else mask[mine], target[mine]


def _validate(job: FoldJob, progress: SupervisedProgress) -> float:
    """Compute the validation AUROC of the fused head, and save the weights if they are the best."""
    index = job.fold.nodes(job.cohort, VALIDATION)
    logits = logits_of(job.network, job.cohort, index, job.device, job.autocast)
    auroc = float(roc_auc_score(job.cohort.labels[index], logits[:, 0]))
    _select(job, progress, auroc)
    return auroc


def _select(job: FoldJob, progress: SupervisedProgress, auroc: float) -> None:
    """Save the weights if the median of the last validations is the highest so far, or equal."""
    progress.validations.append(auroc)
    median = statistics.median(progress.validations[-job.config.smooth :])
    if median < progress.best:
        return
    progress.best, progress.best_epoch = median, progress.epoch
    if job.ranks.writes:
        facts = {"epoch": progress.epoch, "validation_auroc": auroc, "median": median}
        checkpoint.save(job.place / BEST, checkpoint.weights_of(job.network), facts)


def _keep(
    job: FoldJob,
    optimizer: torch.optim.Optimizer,
    progress: SupervisedProgress,
    line: dict[str, Any],
) -> None:
    """Write log and checkpoint; the log first, as a resumed run cuts lines without a checkpoint."""
    run_directory.append_log(job.place / LOG, line)
    job.track(line)
    weights = checkpoint.weights_of(job.network)
    tensors = weights | checkpoint.optimizer_of(job.network, optimizer)
    checkpoint.save(job.place / LAST, tensors, vars(progress))


def _resume(job: FoldJob, optimizer: torch.optim.Optimizer) -> SupervisedProgress:
    if not (job.place / LAST).exists():
        return SupervisedProgress()
    tensors, facts = checkpoint.load(job.place / LAST)
    checkpoint.restore(tensors, job.network, optimizer)
    progress = SupervisedProgress(**facts)
    if job.ranks.writes:
        run_directory.cut_log(job.place / LOG, progress.epoch)
    return progress
