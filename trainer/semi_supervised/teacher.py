"""The teacher: a moving average of the student's parameters and buffers (eq. 2).

Averaging the buffers as well is our addition (EMAN): pseudo-labels come from the teacher in
evaluation mode, and the running statistics of BatchNorm must fit the averaged weights.
"""

import copy

import torch
from torch import Tensor, nn


def make_teacher(student: nn.Module) -> nn.Module:
    """Return a copy of the student that never gets a gradient, in evaluation mode."""
    return copy.deepcopy(student).requires_grad_(False).eval()


@torch.no_grad()
def update_teacher(teacher: nn.Module, student: nn.Module, alpha: float) -> None:
    """Move the teacher towards the student: alpha theta' + (1 - alpha) theta (eq. 2).

    Args:
        teacher: The network to update; it is changed in place.
        student: The student after its step, without the wrapper for several processes.
        alpha: Smoothing coefficient; 0 copies the student.
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
    # One call for all tensors: a thousand small calls would take longer than the step itself.
    torch._foreach_lerp_(averaged, towards, 1 - alpha)  # pyright: ignore[reportPrivateImportUsage]


def alpha_at(step: int, alpha: float, *, warmup: bool) -> float:
    """Return the smoothing coefficient of a step.

    Args:
        step: Number of student steps before this one.
        alpha: Upper limit of the coefficient.
        warmup: Use min(1 - 1/(n + 1), alpha) with n = step + 1, as the code of Tarvainen and
            Valpola does. The teacher is then the plain mean of the first students, which suits
            a teacher without trained weights.
    """
    return min(1 - 1 / (step + 2), alpha) if warmup else alpha
