"""Data classes of one semi-supervised fold: its inputs, its two networks, its progress."""

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
    """Progress of a fold; stored in every checkpoint.

    Attributes:
        epoch: Number of finished epochs.
        validations: AUROC of the reported network at each validation so far.
        best: Highest median of validation AUROCs so far.
        best_epoch: Epoch of the best checkpoint, from 1; 0 before the first.
        thin: Number of latest successive epochs with fewer than ten malignant pseudo-labels.
    """

    epoch: int = 0
    validations: list[float] = field(default_factory=list)
    best: float = -1.0
    best_epoch: int = 0
    thin: int = 0


@dataclass(frozen=True, kw_only=True)
class SslJob:
    """Inputs for the training of one fold.

    Attributes:
        network: Network with the weights of the supervised run, on the device.
        config: Configuration of the stage.
        cohort: Cohort with patches and labels.
        unlabelled: The unlabelled nodes and their stations.
        fold: Division of the patients into training, validation and test.
        place: Folder of the fold.
        device: Device of the network.
        ranks: Rank of this process and number of processes.
        watch: Callback, called after every step.
        track: Callback, called with the log line of every epoch.
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
        """Context manager that sets the precision of a forward pass."""
        return partial(autocast_of, self.device, self.config.precision)


@dataclass(frozen=True)
class StudentAndTeacher:
    """The two networks of a fold: student and teacher.

    Attributes:
        student: The trained network without a wrapper; the teacher averages it.
        stepped: The student wrapped for several processes; the training step calls it.
        teacher: Moving average of the student.
        reported: The one of the two networks that is validated and reported.
        other: The network that is not reported.
    """

    student: Student
    stepped: nn.Module
    teacher: Student
    reported: nn.Module
    other: nn.Module


def make_pair(job: SslJob) -> StudentAndTeacher:
    """Make student and teacher, which both start from the supervised network (Sec. 2.2)."""
    width = job.config.projection if needs_of(job.config).features else None
    torch.manual_seed(seed_of(stream(job.config.seed, job.fold.number, 0, SSL)))
    student = Student(job.network, width).to(job.device)
    teacher = make_teacher(student)
    assert isinstance(teacher, Student)
    networks = teacher.network, student.network
    reported, other = networks if job.config.network == "teacher" else networks[::-1]
    return StudentAndTeacher(student, spread(student, job.ranks), teacher, reported, other)


def fresh_parameters(student: Student) -> frozenset[str]:
    """Return the names of the parameters that the supervised run did not train."""
    names = (name for name, _ in student.named_parameters())
    return frozenset(name for name in names if name.startswith("projection."))
