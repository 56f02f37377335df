"""Mean Teacher (Tarvainen and Valpola 2017), also the base of the paper's method PGLS.

PGLS is Mean Teacher plus the third term of eq. 3, which the training loop adds.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from trainer.semi_supervised.config import SslConfig
from trainer.semi_supervised.consistency import kl_loss, mse_loss, ramp
from trainer.semi_supervised.methods.method import Slots, StepNeeds, StepOutputs


@dataclass(frozen=True)
class MeanTeacher:
    """Second term of eq. 3: the student learns the teacher's output on another view of a node.

    Attributes:
        config: Configuration of the stage.
        needs: The teacher's output; for PGLS also pseudo-labels.
    """

    config: SslConfig
    needs: StepNeeds

    def loss(self, outputs: StepOutputs, slots: Slots) -> Tensor:
        """Compute w(k) KL(p_T || p_S) of the fused heads, the mean over the unlabelled nodes."""
        assert outputs.teacher is not None
        config = self.config
        if config.consistency == "kl":
            apart = kl_loss(outputs.teacher, outputs.unlabelled.fused)
        else:
            apart = mse_loss(
                torch.sigmoid(outputs.teacher), torch.sigmoid(outputs.unlabelled.fused)
            )
        return ramp(slots.epoch, config.weight, config.ramp * config.epochs) * apart.mean()

    def after_step(self, outputs: StepOutputs, slots: Slots) -> None:
        """Do nothing: the training loop updates the teacher."""

    def after_epoch(self) -> None:
        """Do nothing: there is no state beside the teacher."""

    def tensors(self) -> dict[str, Tensor]:
        """Return nothing: there is no state beside the teacher."""
        return {}

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Do nothing: there is no state beside the teacher."""
