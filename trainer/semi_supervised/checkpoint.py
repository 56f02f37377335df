"""Checkpoints of the semi-supervised stage.

They hold both networks, the optimiser and the state of the method.
"""

from typing import Any

import torch
from torch import Tensor

from trainer.runs import checkpoint
from trainer.runs import directory as run_directory
from trainer.runs.directory import LAST, LOG
from trainer.semi_supervised.fold import SemiSupervisedProgress, SslJob, StudentAndTeacher
from trainer.semi_supervised.methods.method import Method

STUDENT, TEACHER, STATE, OTHER = "student/", "teacher/", "state/", "other/"
"""Prefixes of tensor names.

They mark the projections of student and teacher, the state of the method, and the network that
is not reported.
"""


def both(pair: StudentAndTeacher) -> dict[str, Tensor]:
    """Return the weights of both networks.

    The reported network has the names that every reader of checkpoints expects; the names of the
    other one have a prefix.
    """
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
    """Write the log line of an epoch, then the checkpoint.

    The log comes first: when the run is resumed, log lines without a checkpoint are removed.
    """
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
    """Restore what `keep` wrote; without a checkpoint the fold starts from the beginning."""
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
