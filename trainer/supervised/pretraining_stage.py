"""The pretraining stage: regression of measured properties of nodes, without labels (ours).

It replaces ImageNet weights where these are not available. The targets are in
`pretraining_targets`. Only nodes of unlabelled patients are used, the same in every fold, so that
no image of a test patient is among them.
"""

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from trainer.data.augment import WEAK, Weak, augment
from trainer.data.cohort import Cohort
from trainer.data.sampling import (
    AUGMENT_STREAM,
    DROPOUT_STREAM,
    SAMPLING_STREAM,
    batches,
    seed_of,
    stream,
)
from trainer.names import Precision
from trainer.networks.body import swap_heads
from trainer.networks.two_stream import Logits
from trainer.runs import checkpoint
from trainer.runs import directory as run_directory
from trainer.runs.directory import LAST, LOG
from trainer.steps.forward import forward
from trainer.steps.guards import Watch, autocast_of, check_loss, out_of_memory
from trainer.steps.schedule import factor
from trainer.supervised.pretraining_targets import NAMES, measure

NO_FOLD = 0


class PretrainConfig(BaseModel):
    """The values of pretraining (ours).

    Attributes:
        epochs: Number of passes over the nodes.
        batch: Number of nodes of a step.
        learning_rate: Peak learning rate of the one-cycle schedule, for AdamW.
        weight_decay: Weight decay, applied to all parameters.
        augment: Ranges of the weak augmentation, without change of size and HU level, because
            the size and the mean HU are targets.
        precision: Precision of the forward pass, as in the supervised stage.
        seed: Random seed of initialisation, sampling, augmentation and dropout.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    epochs: int = Field(default=10, ge=1)
    batch: int = Field(default=64, ge=2)
    learning_rate: float = Field(default=2e-3, gt=0)
    weight_decay: float = Field(default=1e-4, ge=0)
    augment: Weak = Weak(window_hu=0.0, scale=0.0, noise_hu=WEAK.noise_hu)
    precision: Precision = "auto"
    seed: int = Field(default=0, ge=0)


@dataclass
class PretrainingProgress:
    """State of a pretraining; it is stored in the checkpoint.

    Attributes:
        epoch: Number of epochs done.
        losses: Mean loss of each epoch.
    """

    epoch: int = 0
    losses: list[float] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class PretrainJob:
    """Everything that one pretraining needs.

    Attributes:
        network: Network with random weights, on the device; its heads will be replaced.
        config: Values of the stage.
        cohort: Cohort with masks.
        index: Indices of the nodes to train on; all must be measurable.
        place: Folder of the run.
        device: Device of the network.
        watch: Function called after every step.
    """

    network: nn.Module
    config: PretrainConfig
    cohort: Cohort
    index: np.ndarray
    place: Path
    device: torch.device
    watch: Watch


def pretrain(job: PretrainJob) -> PretrainingProgress:
    """Train the body, or resume its training.

    Raises:
        TrainerError: T12 the loss is not finite; T13 out of memory. Finished epochs are kept.
    """
    config, network = job.config, job.network
    swap_heads(network, len(NAMES))
    network.to(job.device)
    targets = measure(job.cohort, job.index)
    optimizer = torch.optim.AdamW(
        network.parameters(), config.learning_rate, weight_decay=config.weight_decay
    )
    progress = _resume(job, optimizer)
    with out_of_memory(config.batch):
        for epoch in range(progress.epoch, config.epochs):
            loss = _epoch(job, targets, optimizer, epoch)
            progress.epoch = epoch + 1
            progress.losses.append(loss)
            _keep(job, optimizer, progress, {"epoch": epoch, "loss": loss})
    return progress


def _epoch(
    job: PretrainJob, targets: Tensor, optimizer: torch.optim.Optimizer, epoch: int
) -> float:
    config = job.config
    job.network.train()
    draw = partial(stream, config.seed, NO_FOLD, epoch)
    views = torch.Generator(job.device).manual_seed(seed_of(draw(AUGMENT_STREAM)))
    torch.manual_seed(seed_of(draw(DROPOUT_STREAM)))
    steps = max(1, len(job.index) // config.batch)
    picks = batches(np.zeros(len(job.index)), config.batch, None, draw(SAMPLING_STREAM))
    autocast = partial(autocast_of, job.device, config.precision)
    total = 0.0
    for step, pick in enumerate(picks):
        places = torch.from_numpy(job.index[pick]).to(job.cohort.patches.device)
        masks = None if job.cohort.masks is None else job.cohort.masks[places].to(job.device)
        patches = job.cohort.patches[places].to(job.device)
        hu, mask = augment(patches, config.augment, views, masks)
        mask = mask if job.network.needs_mask else None
        loss = measured_loss(forward(job.network, hu, mask, autocast), targets[pick].to(job.device))
        for group in optimizer.param_groups:
            group["lr"] = config.learning_rate * factor(
                "onecycle", epoch * steps + step, config.epochs * steps
            )
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        total += float(loss.detach())
        check_loss(total, config.learning_rate)
        job.watch(epoch * steps + step + 1, config.epochs * steps, f"epoch {epoch + 1}")
    return total / steps


def measured_loss(predicted: Logits, target: Tensor) -> Tensor:
    """Compute the mean squared error, averaged over the heads; a constant output of 0 gives 1.

    Args:
        predicted: Outputs of each head, shape (node, 6).
        target: Targets of the same shape.
    """
    heads = [head for head in predicted if head is not None]
    return torch.stack([(head - target).square().mean() for head in heads]).mean()


def _keep(
    job: PretrainJob,
    optimizer: torch.optim.Optimizer,
    progress: PretrainingProgress,
    line: dict[str, Any],
) -> None:
    run_directory.append_log(job.place / LOG, line)
    weights = checkpoint.weights_of(job.network)
    tensors = weights | checkpoint.optimizer_of(job.network, optimizer)
    checkpoint.save(job.place / LAST, tensors, vars(progress))


def _resume(job: PretrainJob, optimizer: torch.optim.Optimizer) -> PretrainingProgress:
    if not (job.place / LAST).exists():
        return PretrainingProgress()
    tensors, facts = checkpoint.load(job.place / LAST)
    checkpoint.restore(tensors, job.network, optimizer)
    progress = PretrainingProgress(**facts)
    run_directory.cut_log(job.place / LOG, progress.epoch)
    return progress
