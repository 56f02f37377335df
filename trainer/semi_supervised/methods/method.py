"""The interface between the training loop and a semi-supervised method."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from torch import Tensor

from trainer.networks.two_stream import Logits


@dataclass(frozen=True, kw_only=True)
class StepNeeds:
    """Outputs and data that a method needs in each step.

    Attributes:
        unlabelled: Unlabelled nodes in the batch; if False, all nodes of the batch are labelled.
        teacher: The teacher's logits of the unlabelled nodes.
        second: The student's logits of a second view of the unlabelled nodes.
        features: Projected features, including the teacher's of the labelled nodes.
        strong: Strong augmentation of the student's view of the unlabelled nodes.
        sharpen: Pseudo-labels from pathology.
    """

    unlabelled: bool = True
    teacher: bool = False
    second: bool = False
    features: bool = False
    strong: bool = False
    sharpen: bool = False


@dataclass(frozen=True, kw_only=True)
class StepOutputs:
    """Outputs of the networks for this process's share of a batch.

    Attributes:
        labelled: Student's logits of the labelled nodes.
        unlabelled: Student's logits of the unlabelled nodes.
        second: Student's fused logits of a second view of the unlabelled nodes, with gradient.
        features: Student's features of the unlabelled nodes, shape (node, width).
        teacher: Teacher's fused logits of another view of the unlabelled nodes.
        teacher_features: Teacher's features of the unlabelled nodes, shape (node, width).
        teacher_labelled: Teacher's features of the labelled nodes, shape (node, width).
    """

    labelled: Logits
    unlabelled: Logits
    second: Tensor | None = None
    features: Tensor | None = None
    teacher: Tensor | None = None
    teacher_features: Tensor | None = None
    teacher_labelled: Tensor | None = None


@dataclass(frozen=True)
class Slots:
    """The nodes of one step.

    Attributes:
        epoch: Number of the epoch, from 0.
        labelled: Indices among the labelled training nodes, of all processes, shape (slot,).
        unlabelled: Indices among the unlabelled nodes, of all processes, shape (slot,).
        mine: This process's part of `unlabelled`.
    """

    epoch: int
    labelled: np.ndarray
    unlabelled: np.ndarray
    mine: np.ndarray


@runtime_checkable
class Method(Protocol):
    """A semi-supervised method: its loss and the state that the loss needs."""

    @property
    def needs(self) -> StepNeeds:
        """Outputs and data that the method needs in each step."""
        ...

    def loss(self, outputs: StepOutputs, slots: Slots) -> Tensor:
        """Return the weighted unsupervised loss, a scalar."""
        ...

    def after_step(self, outputs: StepOutputs, slots: Slots) -> None:
        """Update the state with the outputs of a step."""
        ...

    def after_epoch(self) -> None:
        """Update the state at the end of an epoch."""
        ...

    def tensors(self) -> dict[str, Tensor]:
        """Return the state at the end of an epoch, for the checkpoint."""
        ...

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Restore the state that `tensors` returned."""
        ...
