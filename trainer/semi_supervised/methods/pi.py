"""The Pi-model (Laine and Aila 2017): two views of a node, one network, one answer."""

from dataclasses import dataclass

import torch
from torch import Tensor

from trainer.semi_supervised.config import SslConfig
from trainer.semi_supervised.consistency import mse_loss, ramp
from trainer.semi_supervised.methods.method import Slots, StepNeeds, StepOutputs

NEEDS = StepNeeds(second=True)


@dataclass(frozen=True)
class Pi:
    """Squared difference of two views; the gradient goes through both.

    Attributes:
        config: Of the stage.
        needs: A second view.
    """

    config: SslConfig
    needs: StepNeeds = NEEDS

    def loss(self, said: StepOutputs, slots: Slots) -> Tensor:
        """w(k) (p1 - p2)^2, mean over the unlabelled nodes; no weight in the first epoch."""
        assert said.second is not None
        config = self.config
        apart = mse_loss(torch.sigmoid(said.unlabelled.fused), torch.sigmoid(said.second))
        weight = ramp(slots.epoch, config.weight, config.ramp * config.epochs)
        return (weight if slots.epoch else 0.0) * apart.mean()

    def after_step(self, said: StepOutputs, slots: Slots) -> None:
        """Nothing to remember."""

    def after_epoch(self) -> None:
        """Nothing to bring up to date."""

    def tensors(self) -> dict[str, Tensor]:
        """No state."""
        return {}

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """No state."""
