"""What the loop asks of a method, and what it tells it of a step."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from torch import Tensor

from trainer.networks.two_stream import Logits


@dataclass(frozen=True, kw_only=True)
class StepNeeds:
    """What a method wants done in a step.

    Attributes:
        unlabelled: Slots of unlabelled nodes; off, every slot is labelled.
        teacher: The teacher's logits of the unlabelled nodes.
        second: The student's logits of a second view.
        features: Projected features, and the teacher's of the labelled nodes too.
        strong: Strong augmentation of what the student sees unlabelled.
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
    """What the networks said of this process's share of a batch.

    Attributes:
        labelled: Student's logits of the labelled nodes.
        unlabelled: Student's logits of the unlabelled nodes.
        second: Student's fused logits of a second view of the unlabelled, with gradient.
        features: Student's features of the unlabelled, shape (node, width).
        teacher: Teacher's fused logits of another view of the unlabelled.
        teacher_features: Teacher's features of the unlabelled.
        teacher_labelled: Teacher's features of the labelled.
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
    """Which nodes a step is about.

    Attributes:
        epoch: From 0.
        labelled: Rows among the labelled training nodes, of all processes, shape (slot,).
        unlabelled: Rows among the unlabelled nodes, of all processes, shape (slot,).
        mine: This process's part of `unlabelled`.
    """

    epoch: int
    labelled: np.ndarray
    unlabelled: np.ndarray
    mine: np.ndarray


@runtime_checkable
class Method(Protocol):
    """One way to learn from unlabelled nodes: a loss, and the state that it needs."""

    @property
    def needs(self) -> StepNeeds:
        """What it wants done in a step."""
        ...

    def loss(self, said: StepOutputs, slots: Slots) -> Tensor:
        """The unsupervised term with its weight, a scalar."""
        ...

    def after_step(self, said: StepOutputs, slots: Slots) -> None:
        """Remember what a step showed."""
        ...

    def after_epoch(self) -> None:
        """Bring the state up to date."""
        ...

    def tensors(self) -> dict[str, Tensor]:
        """The state at the end of an epoch, for the checkpoint."""
        ...

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Put back what `tensors` gave."""
        ...
