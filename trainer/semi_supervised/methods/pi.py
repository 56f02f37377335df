"""The Pi-model (Laine and Aila 2017): the student's outputs on two views should agree."""

from dataclasses import dataclass

import torch
from torch import Tensor

from trainer.semi_supervised.config import SslConfig
from trainer.semi_supervised.consistency import mse_loss, ramp
from trainer.semi_supervised.methods.method import Slots, StepNeeds, StepOutputs

NEEDS = StepNeeds(second=True)


@dataclass(frozen=True)
class Pi:
    """Squared difference of the student's outputs on two views; both have gradients.

    Attributes:
        config: Configuration of the stage.
        needs: A second view of the unlabelled nodes.
    """

    config: SslConfig
    needs: StepNeeds = NEEDS

    def loss(self, outputs: StepOutputs, slots: Slots) -> Tensor:
        """Compute w(k) (p1 - p2)^2, the mean over the unlabelled nodes; 0 in the first epoch."""
        assert outputs.second is not None
        config = self.config
        apart = mse_loss(torch.sigmoid(outputs.unlabelled.fused), torch.sigmoid(outputs.second))
        weight = ramp(slots.epoch, config.weight, config.ramp * config.epochs)
        return (weight if slots.epoch else 0.0) * apart.mean()

    def after_step(self, outputs: StepOutputs, slots: Slots) -> None:
        """Do nothing: the method has no state."""

    def after_epoch(self) -> None:
        """Do nothing: the method has no state."""

    def tensors(self) -> dict[str, Tensor]:
        """Return nothing: the method has no state."""
        return {}

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Do nothing: the method has no state."""
