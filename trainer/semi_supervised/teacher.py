"""The teacher: a moving average of the student (eq. 2), of its parameters and its buffers.

Buffers too (EMAN, ours): a pseudo-label needs a teacher in evaluation mode, and the running
statistics of BatchNorm must belong to the averaged weights.
"""

import copy

import torch
from torch import Tensor, nn


def make_teacher(student: nn.Module) -> nn.Module:
    """A copy of the student that never gets a gradient, in evaluation mode."""
    return copy.deepcopy(student).requires_grad_(False).eval()


@torch.no_grad()
def update_teacher(teacher: nn.Module, student: nn.Module, alpha: float) -> None:
    """Move the teacher towards the student: alpha theta' + (1 - alpha) theta (eq. 2).

    Args:
        teacher: Changed in place.
        student: After its step; without the wrapper of several processes.
        alpha: Smoothing; 0 copies the student.
    """
    theirs = student.state_dict()
    averaged: list[Tensor] = []
    towards: list[Tensor] = []
    for name, mine in teacher.state_dict().items():
        if mine.is_floating_point():
            averaged.append(mine)
            towards.append(theirs[name])
        else:
            mine.copy_(theirs[name])  # counts of batches
    # One call for all: a thousand small ones would cost more than the step's launch.
    torch._foreach_lerp_(averaged, towards, 1 - alpha)  # pyright: ignore[reportPrivateImportUsage]


def alpha_at(step: int, alpha: float, *, warmup: bool) -> float:
    """The smoothing of a step.

    Args:
        step: Student steps before this one, from 0.
        alpha: Its limit.
        warmup: min(1 - 1/(n + 1), alpha) with n = step + 1, as Tarvainen and Valpola's code:
            a plain mean of the first students. For a teacher that starts cold.
    """
    return min(1 - 1 / (step + 2), alpha) if warmup else alpha
