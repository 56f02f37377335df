"""The optimiser of a stage: which parameters get weight decay or a higher learning rate."""

from collections.abc import Collection
from typing import Protocol, runtime_checkable

import torch
from torch import nn

from trainer.steps.schedule import Schedule, factor


@runtime_checkable
class Rates(Protocol):
    """Values that the optimiser needs from a stage's configuration.

    Attributes:
        optimizer: `sgd` or `adamw`.
        learning_rate: Peak of the schedule.
        head_lr_mult: Factor of the learning rate for parameters that no pretrained file filled.
        momentum: Momentum of SGD.
        weight_decay: Decay of the weights; biases and BatchNorm have none.
        schedule: Name of the schedule (see `trainer.steps.schedule`).
    """

    @property
    def optimizer(self) -> str: ...  # noqa: D102
    @property
    def learning_rate(self) -> float: ...  # noqa: D102
    @property
    def head_lr_mult(self) -> float: ...  # noqa: D102
    @property
    def momentum(self) -> float: ...  # noqa: D102
    @property
    def weight_decay(self) -> float: ...  # noqa: D102
    @property
    def schedule(self) -> Schedule: ...  # noqa: D102


def build_optimizer(
    network: nn.Module, config: Rates, fresh: Collection[str]
) -> torch.optim.Optimizer:
    """Build SGD or AdamW with up to four groups: fresh or pretrained, with or without decay.

    Biases and BatchNorm have no weight decay (ours; usual in the works that we follow).

    Args:
        network: Network whose parameters are trained.
        config: Learning rates and decay.
        fresh: Names of parameters that no pretrained file filled.
    """
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        groups.setdefault((name in fresh, parameter.ndim > 1), []).append(parameter)
    described = [
        {
            "params": parameters,
            "weight_decay": config.weight_decay if decays else 0.0,
            "peak": config.learning_rate * (config.head_lr_mult if is_fresh else 1.0),
        }
        for (is_fresh, decays), parameters in groups.items()
    ]
    if config.optimizer == "sgd":
        return torch.optim.SGD(described, lr=config.learning_rate, momentum=config.momentum)
    return torch.optim.AdamW(described, lr=config.learning_rate)


def set_rates(
    optimizer: torch.optim.Optimizer,
    config: Rates,
    step: int,
    steps: int,
) -> None:
    """Set the learning rate of every group for one step (`step` of `steps`, from 0)."""
    part = factor(config.schedule, step, steps)
    for group in optimizer.param_groups:
        group["lr"] = group["peak"] * part
