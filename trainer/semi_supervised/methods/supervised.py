"""Supervised training in the semi-supervised stage: the control without unlabelled nodes.

All nodes of a batch are labelled and there is no unsupervised loss. With `truth_reader` the
unlabelled nodes have labels too: this is the 'all labels' row.
"""

from dataclasses import dataclass

from torch import Tensor

from trainer.semi_supervised.methods.method import Slots, StepNeeds, StepOutputs

NEEDS = StepNeeds(unlabelled=False)


@dataclass(frozen=True)
class Supervised:
    """Method without an unsupervised loss: eq. 1 alone."""

    needs: StepNeeds = NEEDS

    def loss(self, outputs: StepOutputs, slots: Slots) -> Tensor:
        """Return 0: there is no unsupervised loss."""
        return outputs.labelled.fused.new_zeros(())

    def after_step(self, outputs: StepOutputs, slots: Slots) -> None:
        """Do nothing: the method has no state."""

    def after_epoch(self) -> None:
        """Do nothing: the method has no state."""

    def tensors(self) -> dict[str, Tensor]:
        """Return nothing: the method has no state."""
        return {}

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Do nothing: the method has no state."""
