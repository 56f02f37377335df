"""Checkpoints of the semi-supervised stage: both networks, the optimiser, the method's state."""

from typing import Any

import torch
from torch import Tensor

from trainer.runs import checkpoint
from trainer.runs import directory as run_directory
from trainer.runs.directory import LAST, LOG
from trainer.semi_supervised.fold import SemiSupervisedProgress, SslJob, StudentAndTeacher
from trainer.semi_supervised.methods.method import Method

STUDENT, TEACHER, STATE, OTHER = "student/", "teacher/", "state/", "other/"
"""Prefixes: projections of both, the method's state, the network that is not reported."""


def both(pair: StudentAndTeacher) -> dict[str, Tensor]:
    """The reported network where every reader of checkpoints looks, and the other beside it."""
    other = {OTHER + name: value for name, value in pair.other.state_dict().items()}
    return checkpoint.weights_of(pair.reported) | other


def keep(
    job: SslJob,
    pair: StudentAndTeacher,
    optimizer: torch.optim.Optimizer,
    method: Method,
    progress: SemiSupervisedProgress,
    line: dict[str, Any],
) -> None:
    """The log first: a line that no checkpoint follows is cut when the run goes on."""
    run_directory.append_log(job.place / LOG, line)
    job.track(line)
    tensors = both(pair) | checkpoint.optimizer_of(pair.student, optimizer)
    for prefix, student in ((STUDENT, pair.student), (TEACHER, pair.teacher)):
        if student.projection is not None:
            mine = student.projection.state_dict()
            tensors |= {prefix + name: value for name, value in mine.items()}
    tensors |= {STATE + name: value for name, value in method.tensors().items()}
    checkpoint.save(job.place / LAST, tensors, vars(progress))


def resume(
    job: SslJob, pair: StudentAndTeacher, optimizer: torch.optim.Optimizer, method: Method
) -> SemiSupervisedProgress:
    """Put back what `keep` kept; a fold that has none begins."""
    if not (job.place / LAST).exists():
        return SemiSupervisedProgress()
    tensors, facts = checkpoint.load(job.place / LAST)
    checkpoint.restore(tensors, pair.reported)
    pair.other.load_state_dict(checkpoint.under(tensors, OTHER))
    for prefix, student in ((STUDENT, pair.student), (TEACHER, pair.teacher)):
        if student.projection is not None:
            student.projection.load_state_dict(checkpoint.under(tensors, prefix))
    checkpoint.restore_optimizer(tensors, pair.student, optimizer)
    method.restore(checkpoint.under(tensors, STATE))
    progress = SemiSupervisedProgress(**facts)
    if job.ranks.writes:
        run_directory.cut_log(job.place / LOG, progress.epoch)
    return progress
