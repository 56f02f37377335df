"""The null: labelled nodes in every slot, no unsupervised term.

With `truth_reader` the unlabelled nodes come with their labels: the 'all labels' row.
"""

from dataclasses import dataclass

from torch import Tensor

from trainer.semi_supervised.methods.method import Slots, StepNeeds, StepOutputs

NEEDS = StepNeeds(unlabelled=False)


@dataclass(frozen=True)
class Supervised:
    """Eq. 1 alone."""

    needs: StepNeeds = NEEDS

    def loss(self, said: StepOutputs, slots: Slots) -> Tensor:
        """Nothing."""
        return said.labelled.fused.new_zeros(())

    def after_step(self, said: StepOutputs, slots: Slots) -> None:
        """Nothing to remember."""

    def after_epoch(self) -> None:
        """Nothing to bring up to date."""

    def tensors(self) -> dict[str, Tensor]:
        """No state."""
        return {}

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """No state."""
