"""One fold of the semi-supervised stage: what is trained, with what, and how far it is."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from trainer.data.cohort import Cohort
from trainer.data.folds import Fold
from trainer.data.sampling import SSL, seed_of, stream
from trainer.semi_supervised.config import SslConfig
from trainer.semi_supervised.methods.choose import needs_of
from trainer.semi_supervised.student import Student
from trainer.semi_supervised.teacher import make_teacher
from trainer.semi_supervised.unlabelled import Unlabelled
from trainer.steps.distributed import Ranks, spread
from trainer.steps.guards import Watch, autocast_of


@dataclass
class SemiSupervisedProgress:
    """What a fold has reached; stored in every checkpoint.

    Attributes:
        epoch: Epochs done.
        validations: Validation AUROC of every validation, of the reported network.
        best: Highest median so far.
        best_epoch: The epoch of that checkpoint, from 1; 0 before the first.
        thin: Epochs in a row with fewer than ten malignant pseudo-labels to choose from.
    """

    epoch: int = 0
    validations: list[float] = field(default_factory=list)
    best: float = -1.0
    best_epoch: int = 0
    thin: int = 0


@dataclass(frozen=True, kw_only=True)
class SslJob:
    """One fold to train.

    Attributes:
        network: With the weights of the supervised run; on the device.
        config: The stage's values.
        cohort: Patches and labels.
        unlabelled: The unlabelled nodes and their stations.
        fold: Whose patients train and validate.
        place: The fold's folder.
        device: Where the network is.
        ranks: This process among all.
        watch: Told of every step.
        track: Told of every epoch's numbers.
    """

    network: nn.Module
    config: SslConfig
    cohort: Cohort
    unlabelled: Unlabelled
    fold: Fold
    place: Path
    device: torch.device
    ranks: Ranks
    watch: Watch
    track: Callable[[dict[str, Any]], None] = lambda line: None

    @property
    def autocast(self) -> Callable[[], torch.autocast]:
        """The precision of a forward pass."""
        return partial(autocast_of, self.device, self.config.precision)


@dataclass(frozen=True)
class StudentAndTeacher:
    """Student and teacher.

    Attributes:
        student: Trained; its plain form, which the teacher follows.
        stepped: The same as the step calls it, over several processes.
        teacher: The student's moving average.
        reported: The one of the two that is validated and reported.
        other: The other.
    """

    student: Student
    stepped: nn.Module
    teacher: Student
    reported: nn.Module
    other: nn.Module


def make_pair(job: SslJob) -> StudentAndTeacher:
    """Both start from the supervised network (Sec. 2.2)."""
    width = job.config.projection if needs_of(job.config).features else None
    torch.manual_seed(seed_of(stream(job.config.seed, job.fold.number, 0, SSL)))
    student = Student(job.network, width).to(job.device)
    teacher = make_teacher(student)
    assert isinstance(teacher, Student)
    networks = teacher.network, student.network
    reported, other = networks if job.config.network == "teacher" else networks[::-1]
    return StudentAndTeacher(student, spread(student, job.ranks), teacher, reported, other)


def fresh_parameters(student: Student) -> frozenset[str]:
    """What the supervised run did not train."""
    names = (name for name, _ in student.named_parameters())
    return frozenset(name for name in names if name.startswith("projection."))
