"""Mean Teacher (Tarvainen and Valpola 2017); with `sharpen`, the paper's method.

PGLS is Mean Teacher with the third term of eq. 3, which the loop adds.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from trainer.semi_supervised.config import SslConfig
from trainer.semi_supervised.consistency import kl_loss, mse_loss, ramp
from trainer.semi_supervised.methods.method import Slots, StepNeeds, StepOutputs


@dataclass(frozen=True)
class MeanTeacher:
    """Second term of eq. 3: the student follows the teacher on another view.

    Attributes:
        config: Of the stage.
        needs: The teacher; for PGLS pseudo-labels too.
    """

    config: SslConfig
    needs: StepNeeds

    def loss(self, said: StepOutputs, slots: Slots) -> Tensor:
        """w(k) KL(p_T || p_S), mean over the unlabelled nodes; fused heads."""
        assert said.teacher is not None
        config = self.config
        if config.consistency == "kl":
            apart = kl_loss(said.teacher, said.unlabelled.fused)
        else:
            apart = mse_loss(torch.sigmoid(said.teacher), torch.sigmoid(said.unlabelled.fused))
        return ramp(slots.epoch, config.weight, config.ramp * config.epochs) * apart.mean()

    def after_step(self, said: StepOutputs, slots: Slots) -> None:
        """Nothing to remember: the loop averages the teacher."""

    def after_epoch(self) -> None:
        """Nothing to bring up to date."""

    def tensors(self) -> dict[str, Tensor]:
        """No state beside the teacher."""
        return {}

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """No state."""
